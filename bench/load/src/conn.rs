//! One reader's connection: upgrade, authentication, subscription, then ticks.

use crate::stamp::StampFinder;
use crate::stats::{Seen, Stats};
use crate::system::unix_ns;
use crate::ws;
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Read, Write};

/// How far a reader has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The upgrade request is out
    Upgrading,
    /// The connection is open
    Open,
    /// The answer to `authenticate` is due
    Authenticating,
    /// Authenticated
    Ready,
    /// That many answers to `subscribe` are due
    Subscribing(usize),
    /// Subscribed
    Live,
    /// Closed by the server
    Closed,
}

/// A reader.
pub struct Conn {
    /// Its socket
    pub stream: TcpStream,
    /// How far it has come
    pub state: State,
    /// What it saw of each symbol
    pub seen: Seen,
    /// Answers of the server, in order
    pub answers: Vec<Vec<u8>>,
    unparsed: Vec<u8>,
    out: Vec<u8>,
}

/// What all readers share while they read.
pub struct Shared {
    /// Where bytes are read to
    pub scratch: Vec<u8>,
    /// Finds the publisher's marks
    pub finder: StampFinder,
    /// The counts
    pub stats: Stats,
}

impl Conn {
    /// A reader on a socket that is connected and does not block; asks for the upgrade.
    pub fn new(stream: TcpStream, host: &str, symbols: usize) -> Self {
        Self {
            stream,
            state: State::Upgrading,
            seen: Seen::new(symbols),
            answers: Vec::new(),
            unparsed: Vec::new(),
            out: ws::upgrade_request(host),
        }
    }

    /// Queues one request; `flush` sends it.
    pub fn request(&mut self, text: &[u8]) {
        ws::push_frame(&mut self.out, ws::TEXT, text);
    }

    /// Writes what is queued as far as the socket takes it.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() && self.state != State::Closed {
            match self.stream.write(&self.out) {
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if is_lost(&error) => self.state = State::Closed,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads all there is. A read shorter than the buffer has emptied the socket (epoll(7), question 9);
    /// where the other side has closed, `to_end`, reading goes on until it says so.
    pub fn receive(&mut self, shared: &mut Shared, to_end: bool) -> io::Result<()> {
        while self.state != State::Closed {
            let kept = self.unparsed.len();
            let count = match self.stream.read(&mut shared.scratch[kept..]) {
                Ok(0) => return self.lost(shared),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if is_lost(&error) => return self.lost(shared),
                Err(error) => return Err(error),
            };
            let now_ns = unix_ns();
            let mut scratch = std::mem::take(&mut shared.scratch);
            scratch[..kept].copy_from_slice(&self.unparsed);
            let used = self.parse(&scratch[..kept + count], now_ns, shared);
            self.unparsed.clear();
            self.unparsed.extend_from_slice(&scratch[used..kept + count]);
            shared.scratch = scratch;
            if self.unparsed.len() == shared.scratch.len() {
                return Err(io::Error::other("a frame is larger than the read buffer"));
            }
            if !to_end && kept + count < shared.scratch.len() {
                break;
            }
        }
        self.flush()
    }

    /// Takes whole frames from `bytes` and returns how many bytes that were.
    fn parse(&mut self, bytes: &[u8], now_ns: u64, shared: &mut Shared) -> usize {
        let mut at = 0;
        if self.state == State::Upgrading {
            let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
                return 0;
            };
            at = end + 4;
            self.answers.push(bytes[..at].to_vec());
            self.state = if bytes.starts_with(b"HTTP/1.1 101") { State::Open } else { State::Closed };
        }
        while let Some(frame) = ws::first_frame(&bytes[at..]) {
            at += frame.len;
            self.take(&frame, now_ns, shared);
        }
        at
    }

    #[inline]
    fn take(&mut self, frame: &ws::Frame<'_>, now_ns: u64, shared: &mut Shared) {
        match frame.opcode {
            ws::TEXT => match shared.finder.find(frame.payload) {
                Some(stamp) => shared.stats.tick(&mut self.seen, stamp, frame.payload, now_ns),
                None => self.answer(frame.payload),
            },
            ws::PING => ws::push_frame(&mut self.out, ws::PONG, frame.payload),
            ws::CLOSE => {
                shared.stats.closed(ws::close_code(frame.payload));
                self.state = State::Closed;
            }
            _ => {}
        }
    }

    fn answer(&mut self, text: &[u8]) {
        self.answers.push(text.to_vec());
        self.state = match self.state {
            State::Authenticating => State::Ready,
            State::Subscribing(1) => State::Live,
            State::Subscribing(due) => State::Subscribing(due - 1),
            other => other,
        };
    }

    /// The server is gone without a close frame: code 1006.
    fn lost(&mut self, shared: &mut Shared) -> io::Result<()> {
        self.state = State::Closed;
        shared.stats.closed(1006);
        Ok(())
    }
}

fn is_lost(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}
