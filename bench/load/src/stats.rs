//! What the readers count: latencies, order and completeness per reader and symbol.

use crate::Fallible;
use crate::stamp::Stamp;
use hdrhistogram::Histogram;
use memchr::memmem;
use serde::Serialize;
use std::collections::BTreeMap;

/// Last number seen of each symbol by one reader.
pub struct Seen(Vec<u32>);

impl Seen {
    /// Nothing seen of `symbols` symbols.
    pub fn new(symbols: usize) -> Self {
        Self(vec![0; symbols])
    }
}

/// Counts of all readers together.
pub struct Stats {
    latency: Histogram<u64>,
    warm_up_ns: u64,
    measured_from: u64,
    first_ns: u64,
    last_ns: u64,
    frames: u64,
    bytes: u64,
    missing: u64,
    repeated: u64,
    older: u64,
    foreign: u64,
    snapshots: u64,
    /// Close codes that readers got
    pub closes: BTreeMap<u16, u64>,
}

/// What `readers` prints at its end. Latencies in us from the publisher's stamp to the read.
#[derive(Serialize)]
pub struct Report {
    event: &'static str,
    frames: u64,
    bytes: u64,
    seconds: f64,
    frames_per_s: f64,
    measured: u64,
    p50_us: f64,
    p90_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
    mean_us: f64,
    /// numbers left out between two of one reader and symbol (conflation does this on purpose)
    missing: u64,
    repeated: u64,
    /// a lower number after a higher one: never right
    older: u64,
    foreign: u64,
    /// last known values sent on subscribing; not counted as frames
    snapshots: u64,
    /// sum over readers and symbols of the last number seen: the newest of each arrived if it is what was sent last
    last_seq_sum: u64,
    closes: BTreeMap<u16, u64>,
}

impl Stats {
    /// Nothing counted; latencies of the first `warm_up_ns` will be left out.
    pub fn new(warm_up_ns: u64) -> Fallible<Self> {
        Ok(Self {
            latency: Histogram::new_with_bounds(1, 120_000_000_000, 3)?,
            warm_up_ns,
            measured_from: 0,
            first_ns: 0,
            last_ns: 0,
            frames: 0,
            bytes: 0,
            missing: 0,
            repeated: 0,
            older: 0,
            foreign: 0,
            snapshots: 0,
            closes: BTreeMap::new(),
        })
    }

    /// Ticks counted so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// When the last tick came, Unix ns; 0 before the first.
    pub fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// Counts one tick, `text`, that a reader got at `now_ns`.
    #[inline]
    pub fn tick(&mut self, seen: &mut Seen, stamp: Stamp, text: &[u8], now_ns: u64) {
        let Some(last) = seen.0.get_mut(stamp.symbol) else {
            self.foreign += 1;
            return;
        };
        let step = i64::from(stamp.seq) - i64::from(*last);
        if (step != 1 || *last == 0) && is_snapshot(text) {
            self.snapshots += 1;
            return;
        }
        match step {
            1 => {}
            0 => self.repeated += 1,
            2.. => self.missing += step as u64 - 1,
            _ => self.older += 1,
        }
        *last = stamp.seq.max(*last);
        self.time(stamp.published_ns, text.len(), now_ns);
    }

    #[inline]
    fn time(&mut self, published_ns: u64, size: usize, now_ns: u64) {
        if self.frames == 0 {
            self.first_ns = now_ns;
            self.measured_from = published_ns + self.warm_up_ns;
        }
        self.last_ns = now_ns;
        self.frames += 1;
        self.bytes += size as u64;
        if published_ns >= self.measured_from {
            self.latency.saturating_record(now_ns.saturating_sub(published_ns));
        }
    }

    /// Counts a close frame.
    pub fn closed(&mut self, code: u16) {
        *self.closes.entry(code).or_default() += 1;
    }

    /// The counts as they are printed.
    pub fn report<'a>(&self, seen: impl Iterator<Item = &'a Seen>) -> Report {
        let quantile = |q: f64| self.latency.value_at_quantile(q) as f64 / 1e3;
        let seconds = self.last_ns.saturating_sub(self.first_ns) as f64 / 1e9;
        Report {
            event: "result",
            frames: self.frames,
            bytes: self.bytes,
            seconds,
            frames_per_s: if seconds > 0.0 { self.frames as f64 / seconds } else { 0.0 },
            measured: self.latency.len(),
            p50_us: quantile(0.5),
            p90_us: quantile(0.9),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            max_us: self.latency.max() as f64 / 1e3,
            mean_us: self.latency.mean() / 1e3,
            missing: self.missing,
            repeated: self.repeated,
            older: self.older,
            foreign: self.foreign,
            snapshots: self.snapshots,
            last_seq_sum: seen.map(|one| one.0.iter().map(|&seq| u64::from(seq)).sum::<u64>()).sum(),
            closes: self.closes.clone(),
        }
    }
}

fn is_snapshot(text: &[u8]) -> bool {
    memmem::find(text, b"\"snapshot\":true").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_repeated_older_and_foreign_are_told_apart() {
        let mut stats = Stats::new(0).expect("bounds are right");
        let mut seen = Seen::new(2);
        for (symbol, seq) in [(0, 1), (1, 1), (0, 2), (0, 5), (0, 5), (0, 3), (2, 1)] {
            stats.tick(&mut seen, Stamp { published_ns: 1_000, seq, symbol }, b"{}", 3_000);
        }
        let report = stats.report([&seen].into_iter());
        let counts = (report.frames, report.missing, report.repeated, report.older, report.foreign);
        assert_eq!(counts, (6, 2, 1, 1, 1));
        assert_eq!(report.last_seq_sum, 6);
        assert!((report.p50_us - 2.0).abs() < 0.01);
    }

    #[test]
    fn warm_up_counts_but_is_not_timed() {
        let mut stats = Stats::new(100).expect("bounds are right");
        let mut seen = Seen::new(1);
        for (seq, published_ns) in [(1, 1_000), (2, 1_099), (3, 1_100)] {
            stats.tick(&mut seen, Stamp { published_ns, seq, symbol: 0 }, b"{}", 2_000);
        }
        let report = stats.report([&seen].into_iter());
        assert_eq!((report.frames, report.measured), (3, 1));
    }

    #[test]
    fn snapshots_set_no_mark() {
        let mut stats = Stats::new(0).expect("bounds are right");
        let mut seen = Seen::new(1);
        let text = br#"{"snapshot":true,"data":{}}"#;
        stats.tick(&mut seen, Stamp { published_ns: 1_000, seq: 900, symbol: 0 }, text, 3_000);
        stats.tick(&mut seen, Stamp { published_ns: 1_000, seq: 1, symbol: 0 }, b"{}", 3_000);
        let report = stats.report([&seen].into_iter());
        assert_eq!((report.frames, report.snapshots, report.older, report.missing), (1, 1, 0, 0));
    }
}
