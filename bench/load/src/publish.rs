//! The subcommand `publish`: an open loop on an absolute schedule. A server that falls behind slows nothing here.

use crate::Fallible;
use crate::args::{Payload, PublishArgs};
use crate::stamp::symbol_name;
use crate::system::{sharpen_sleep, sleep, unix_ns};
use crate::zmtp::Publisher;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long the last ticks may take to leave.
const LINGER: Duration = Duration::from_secs(5);

/// What `publish` prints.
#[derive(Serialize)]
struct Report {
    event: &'static str,
    sent: u64,
    dropped: u64,
    unsent_bytes: usize,
    seconds: f64,
    rate: f64,
    /// furthest behind schedule that a burst began, us
    late_max_us: f64,
    late_mean_us: f64,
    /// largest queue towards the bus, bytes
    queue_max: usize,
}

/// Publishes and reports.
pub fn run(args: &PublishArgs) -> Fallible<()> {
    sharpen_sleep()?;
    let mut bus = Publisher::connect(&args.address, Duration::from_secs_f64(args.wait))?;
    let mut ticks = Ticks::new(args);
    let report = publish(args, &mut bus, &mut ticks)?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn publish(args: &PublishArgs, bus: &mut Publisher, ticks: &mut Ticks) -> Fallible<Report> {
    let total = (args.rate * args.seconds) as u64;
    let step = Duration::from_secs_f64((1.0 / args.rate).max(args.burst_us as f64 / 1e6));
    let (mut dropped, mut queue_max, mut bursts) = (0, 0, 0_u32);
    let (mut late_max, mut late_sum) = (Duration::ZERO, Duration::ZERO);
    let start = Instant::now() + Duration::from_millis(5);
    while ticks.made < total {
        let planned = step * bursts;
        sleep((start + planned).saturating_duration_since(Instant::now()));
        let late = Instant::now().saturating_duration_since(start + planned);
        (late_max, late_sum, bursts) = (late_max.max(late), late_sum + late, bursts + 1);
        let due = ((args.rate * planned.as_secs_f64()).round() as u64 + 1).min(total);
        let now_ns = unix_ns();
        while ticks.made < due {
            let room = bus.waiting() < args.high_water_mib << 20;
            dropped += u64::from(!room);
            ticks.next(now_ns, room.then_some(&mut *bus));
        }
        bus.flush()?;
        queue_max = queue_max.max(bus.waiting());
    }
    let seconds = start.elapsed().as_secs_f64();
    linger(bus)?;
    Ok(Report {
        event: "published",
        sent: ticks.made - dropped,
        dropped,
        unsent_bytes: bus.waiting(),
        seconds,
        rate: ticks.made as f64 / seconds,
        late_max_us: late_max.as_secs_f64() * 1e6,
        late_mean_us: late_sum.as_secs_f64() * 1e6 / f64::from(bursts.max(1)),
        queue_max,
    })
}

fn linger(bus: &mut Publisher) -> Fallible<()> {
    let deadline = Instant::now() + LINGER;
    while bus.waiting() > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(1));
        bus.flush()?;
    }
    Ok(())
}

/// Makes ticks of all symbols in turn.
struct Ticks {
    topics: Vec<Vec<u8>>,
    levels: Vec<u8>,
    payload: Vec<u8>,
    made: u64,
}

impl Ticks {
    fn new(args: &PublishArgs) -> Self {
        let mode = if args.payload == Payload::Depth { "DEPTH" } else { "LTP" };
        Self {
            topics: (0..args.symbols).map(|index| format!("NSE_{}_{mode}", symbol_name(index)).into_bytes()).collect(),
            levels: if args.payload == Payload::Ltp { Vec::new() } else { depth_fields() },
            payload: Vec::with_capacity(1024),
            made: 0,
        }
    }

    /// Makes the next tick, stamped `now_ns`, and queues it where there is a bus to take it.
    fn next(&mut self, now_ns: u64, bus: Option<&mut Publisher>) {
        let index = (self.made % self.topics.len() as u64) as usize;
        let seq = self.made / self.topics.len() as u64 + 1;
        self.made += 1;
        let mut digits = itoa::Buffer::new();
        let out = &mut self.payload;
        let now_ms = now_ns / 1_000_000;
        out.clear();
        let paisa = 62_500 + (self.made * 7_919) % 1_000;
        for (key, value) in [
            (&b"{\"pub_ns\":"[..], now_ns),
            (b",\"seq\":", seq),
            (b",\"idx\":", index as u64),
            (b",\"ltt\":", now_ms),
            (b",\"timestamp\":", now_ms),
            (b",\"ltq\":", 1 + seq % 100),
            (b",\"ltp\":", paisa / 100),
        ] {
            out.extend_from_slice(key);
            out.extend_from_slice(digits.format(value).as_bytes());
        }
        out.extend_from_slice(&[b'.', b'0' + (paisa / 10 % 10) as u8, b'1' + (paisa % 9) as u8]);
        out.extend_from_slice(&self.levels);
        out.push(b'}');
        if let Some(bus) = bus {
            bus.push(&self.topics[index], out);
        }
    }
}

/// Quote fields and five levels on each side, of the usual size.
fn depth_fields() -> Vec<u8> {
    let side = |first: f64, step: f64| {
        let level =
            |n: u32| serde_json::json!({"price": first + step * f64::from(n), "quantity": 1250 + n, "orders": 7 + n});
        (0..5).map(level).collect::<Vec<_>>()
    };
    let fields = serde_json::json!({
        "open": 621.5, "high": 629.9, "low": 619.25, "close": 620.1, "volume": 8_412_345, "average_price": 624.87,
        "avg_trade_price": 624.87, "last_trade_quantity": 25, "total_buy_quantity": 1_204_321,
        "total_sell_quantity": 1_184_007, "oi": 0, "change": 5.4, "change_percent": 0.87, "bid": 625.45, "ask": 625.5,
        "depth": {"buy": side(625.25, -0.25), "sell": side(625.5, 0.25)},
    });
    let text = fields.to_string();
    format!(",{}", &text[1..text.len() - 1]).into_bytes()
}
