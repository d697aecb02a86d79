//! Counters of the engine. Plain numbers; the metrics endpoint gives them names.

/// Everything that is counted. All numbers only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Ticks that passed validation, by mode.
    pub ticks: [u64; 3],
    /// Frames queued for readers.
    pub frames: u64,
    /// Bytes queued for readers.
    pub bytes: u64,
    /// Ticks that a newer one replaced inside a reader's window.
    pub conflated: u64,
    /// Ticks that a newer one replaced while the reader was over its high-water mark.
    pub parked: u64,
    /// Frames sent at the end of a window.
    pub trailing: u64,
    /// Last known values sent after a subscribe.
    pub snapshots: u64,
    /// Messages with a topic that is no topic.
    pub bad_topic: u64,
    /// Payloads that are not one JSON object.
    pub bad_payload: u64,
    /// Payloads with NaN, infinite or negative prices.
    pub bad_number: u64,
    /// Ticks without a price and without levels.
    pub no_price: u64,
    /// Payloads over the size limit.
    pub too_large: u64,
    /// Ticks of instruments beyond the limit on their number.
    pub too_many_instruments: u64,
}

/// Upper bounds of the latency buckets, ns; the last bucket has none.
pub const LATENCY_BOUNDS_NS: [u64; 12] = [
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    200_000_000,
    1_000_000_000,
];

/// A histogram of tick → write latency over frames sent at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Frames per bucket of [`LATENCY_BOUNDS_NS`], the last for all above.
    pub counts: [u64; 13],
    /// Sum over all frames, ns.
    pub sum_ns: u64,
}

impl Latency {
    /// Adds `frames` frames that took `ns` each.
    pub fn record(&mut self, ns: u64, frames: u64) {
        let bucket = LATENCY_BOUNDS_NS.partition_point(|bound| *bound < ns);
        self.counts[bucket] += frames;
        self.sum_ns = self.sum_ns.saturating_add(ns.saturating_mul(frames));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_upper_bounds() {
        let mut latency = Latency::default();
        latency.record(20_000, 1);
        latency.record(20_001, 2);
        latency.record(u64::MAX, 1);
        assert_eq!((latency.counts[0], latency.counts[1], latency.counts[12]), (1, 2, 1));
    }
}
