//! Bringing readers up: connect, authenticate and subscribe, each step for all of them at once.

use crate::Fallible;
use crate::args::{Format, ReadersArgs};
use crate::conn::{Conn, Shared, State};
use crate::stamp::{StampFinder, symbol_name};
use crate::stats::Stats;
use crate::system;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Symbols in one request: 1,500 rows stay below the protocol's 64 KiB frames.
const SYMBOLS_PER_REQUEST: usize = 1_500;
const SCRATCH: usize = 512 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

/// All readers, and the poll they wait in.
pub struct Fleet {
    poll: Poll,
    events: Events,
    /// The readers; those that stall come last
    pub conns: Vec<Conn>,
    /// What they share
    pub shared: Shared,
}

/// How long each step took, ms.
#[derive(Serialize)]
pub struct Times {
    event: &'static str,
    readers: usize,
    connect_ms: f64,
    authenticate_ms: f64,
    subscribe_ms: f64,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    subscriptions: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    status: String,
}

impl Fleet {
    /// No readers yet.
    pub fn new(warm_up_s: f64) -> Fallible<Self> {
        let stats = Stats::new((warm_up_s * 1e9) as u64)?;
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            conns: Vec::new(),
            shared: Shared { scratch: vec![0; SCRATCH], finder: StampFinder::new(), stats },
        })
    }

    /// Waits at most `timeout` and lets every reader with something to do do it.
    pub fn turn(&mut self, timeout: Duration) -> Fallible<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &self.events {
            let conn = &mut self.conns[event.token().0];
            conn.receive(&mut self.shared, event.is_read_closed())?;
        }
        Ok(())
    }

    /// Brings all readers to where they only wait for ticks.
    pub fn bring_up(&mut self, args: &ReadersArgs) -> Fallible<Times> {
        let start = Instant::now();
        self.connect(args)?;
        let connected = Instant::now();
        if !args.bare {
            let text = authenticate_request(args);
            self.all(|conn| conn.request(&text), State::Authenticating)?;
            self.until(|state| state == State::Ready, "authenticated")?;
        }
        let authenticated = Instant::now();
        if !args.bare && !args.connect_only {
            let requests = subscribe_requests(args.symbols);
            self.all(|conn| requests.iter().for_each(|text| conn.request(text)), State::Subscribing(requests.len()))?;
            self.until(|state| state == State::Live, "subscribed")?;
        }
        let subscribed = Instant::now();
        self.check_answers(if args.bare || args.connect_only { 0 } else { args.symbols })?;
        self.stall(args.readers)?;
        let ms = |from: Instant, to: Instant| (to - from).as_secs_f64() * 1e3;
        Ok(Times {
            event: "ready",
            readers: self.conns.len(),
            connect_ms: ms(start, connected),
            authenticate_ms: ms(connected, authenticated),
            subscribe_ms: ms(authenticated, subscribed),
        })
    }

    fn connect(&mut self, args: &ReadersArgs) -> Fallible<()> {
        let total = args.readers + args.stall;
        let started = Instant::now();
        let mut open = 0;
        while open < total {
            while self.conns.len() < total && self.conns.len() - open < args.in_flight {
                self.connect_one(args)?;
            }
            self.turn(Duration::from_millis(100))?;
            open = self.conns.iter().filter(|conn| conn.state != State::Upgrading).count();
            self.check_alive("connected", started)?;
        }
        Ok(())
    }

    fn connect_one(&mut self, args: &ReadersArgs) -> Fallible<()> {
        let stream = std::net::TcpStream::connect(&args.address)?;
        stream.set_nodelay(true)?;
        if self.conns.len() >= args.readers {
            system::shrink_receive_buffer(&stream)?;
        }
        stream.set_nonblocking(true)?;
        let mut conn = Conn::new(TcpStream::from_std(stream), &args.address, args.symbols);
        let token = Token(self.conns.len());
        self.poll.registry().register(&mut conn.stream, token, Interest::READABLE | Interest::WRITABLE)?;
        conn.flush()?;
        self.conns.push(conn);
        Ok(())
    }

    fn all(&mut self, request: impl Fn(&mut Conn), then: State) -> Fallible<()> {
        for conn in &mut self.conns {
            conn.answers.clear();
            conn.state = then;
            request(conn);
            conn.flush()?;
        }
        Ok(())
    }

    fn until(&mut self, done: impl Fn(State) -> bool, what: &str) -> Fallible<()> {
        let started = Instant::now();
        while !self.conns.iter().all(|conn| done(conn.state)) {
            self.turn(Duration::from_millis(100))?;
            self.check_alive(what, started)?;
        }
        Ok(())
    }

    fn check_alive(&self, what: &str, started: Instant) -> Fallible<()> {
        if let Some(conn) = self.conns.iter().find(|conn| conn.state == State::Closed) {
            let last = conn.answers.last().map(|text| String::from_utf8_lossy(text).into_owned());
            return Err(format!("a reader was closed before all were {what}; last answer: {last:?}").into());
        }
        if started.elapsed() > PATIENCE {
            return Err(format!("not all readers were {what} within {PATIENCE:?}").into());
        }
        Ok(())
    }

    /// Every last answer must say success, for every symbol.
    fn check_answers(&self, symbols: usize) -> Fallible<()> {
        for conn in self.conns.iter().filter(|_| symbols > 0) {
            let mut accepted = 0;
            for text in &conn.answers {
                let answer: Answer = serde_json::from_slice(text)?;
                accepted += answer.subscriptions.iter().filter(|row| row.status == "success").count();
                if answer.status != "success" {
                    return Err(format!("a subscription failed: {}", String::from_utf8_lossy(text)).into());
                }
            }
            if accepted != symbols {
                return Err(format!("{accepted} of {symbols} symbols were acknowledged").into());
            }
        }
        Ok(())
    }

    /// From here on the readers after the first `reading` are deaf.
    fn stall(&mut self, reading: usize) -> Fallible<()> {
        for conn in self.conns.iter_mut().skip(reading) {
            self.poll.registry().deregister(&mut conn.stream)?;
        }
        Ok(())
    }
}

fn authenticate_request(args: &ReadersArgs) -> Vec<u8> {
    let format = if args.format == Format::Flat { "flat" } else { "nested" };
    let request = serde_json::json!({
        "action": "authenticate", "api_key": args.api_key, "format": format, "conflate_ms": args.conflate_ms,
    });
    request.to_string().into_bytes()
}

fn subscribe_requests(symbols: usize) -> Vec<Vec<u8>> {
    let rows: Vec<_> =
        (0..symbols).map(|index| serde_json::json!({"symbol": symbol_name(index), "exchange": "NSE"})).collect();
    rows.chunks(SYMBOLS_PER_REQUEST)
        .map(|rows| serde_json::json!({"action": "subscribe", "mode": "LTP", "symbols": rows}).to_string().into_bytes())
        .collect()
}
