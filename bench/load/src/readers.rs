//! The subcommand `readers`.

use crate::Fallible;
use crate::args::{ReadersArgs, Until};
use crate::conn::State;
use crate::setup::Fleet;
use crate::system::unix_ns;
use std::io::Write;
use std::time::{Duration, Instant};

/// Brings the readers up, says so, reads until told to stop, reports.
pub fn run(args: &ReadersArgs) -> Fallible<()> {
    let mut fleet = Fleet::new(args.warm_up)?;
    let times = fleet.bring_up(args)?;
    print(&serde_json::to_string(&times)?)?;
    let deadline = Instant::now() + Duration::from_secs_f64(args.max_seconds);
    while args.until != Until::Ready && Instant::now() < deadline && !(args.until == Until::Idle && idle(&fleet, args))
    {
        fleet.turn(Duration::from_millis(100))?;
    }
    listen_to_stalled(&mut fleet, args.readers)?;
    let report = fleet.shared.stats.report(fleet.conns.iter().take(args.readers).map(|conn| &conn.seen));
    print(&serde_json::to_string(&report)?)
}

fn idle(fleet: &Fleet, args: &ReadersArgs) -> bool {
    let stats = &fleet.shared.stats;
    stats.frames() > 0 && unix_ns().saturating_sub(stats.last_ns()) > args.idle_ms * 1_000_000
}

/// Reads what the server left for those that never read, only to learn whether and how it closed them.
fn listen_to_stalled(fleet: &mut Fleet, reading: usize) -> Fallible<()> {
    let mut apart = Fleet::new(0.0)?;
    for conn in fleet.conns.iter_mut().skip(reading) {
        conn.receive(&mut apart.shared, true)?;
        if conn.state != State::Closed {
            std::thread::sleep(Duration::from_millis(50));
            conn.receive(&mut apart.shared, true)?;
        }
    }
    for (code, count) in &apart.shared.stats.closes {
        *fleet.shared.stats.closes.entry(*code).or_default() += count;
    }
    Ok(())
}

fn print(line: &str) -> Fallible<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
