//! Deadlines of conflation windows, in buckets of one millisecond.

use std::collections::BTreeMap;

use crate::topic::Mode;

const MS: u64 = 1_000_000;

/// A subscription whose newest value waits for its window to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Instrument number.
    pub instrument: u32,
    /// Mode of the subscription.
    pub mode: Mode,
    /// Reader number.
    pub reader: u32,
}

/// All pending deadlines. An entry may outlive its subscription: who takes it checks.
#[derive(Debug, Default)]
pub struct Deadlines {
    buckets: BTreeMap<u64, Vec<Pending>>,
    spare: Vec<Vec<Pending>>,
}

impl Deadlines {
    /// Notes a deadline; it is rounded up to the next whole millisecond, so no window is ever cut short.
    pub fn add(&mut self, at_ns: u64, pending: Pending) {
        let spare = &mut self.spare;
        let bucket = self.buckets.entry(at_ns.div_ceil(MS)).or_insert_with(|| spare.pop().unwrap_or_default());
        bucket.push(pending);
    }

    /// The earliest deadline, monotonic ns.
    pub fn next(&self) -> Option<u64> {
        self.buckets.keys().next().map(|ms| ms * MS)
    }

    /// Takes the earliest bucket that is due at `now_ns`.
    pub fn take_due(&mut self, now_ns: u64) -> Option<Vec<Pending>> {
        let first = self.buckets.first_entry()?;
        (*first.key() * MS <= now_ns).then(|| first.remove())
    }

    /// Whether a subscription is noted for some time.
    #[cfg(test)]
    pub fn holds(&self, pending: Pending) -> bool {
        self.buckets.values().any(|bucket| bucket.contains(&pending))
    }

    /// Gives a bucket's memory back for later use.
    pub fn recycle(&mut self, mut bucket: Vec<Pending>) {
        if self.spare.len() < 64 && bucket.capacity() <= 65_536 {
            bucket.clear();
            self.spare.push(bucket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_in_order_and_never_early() {
        let mut deadlines = Deadlines::default();
        let pending = |instrument| Pending { instrument, mode: Mode::Ltp, reader: 0 };
        deadlines.add(2_000_001, pending(2));
        deadlines.add(1_000_000, pending(1));
        assert_eq!(deadlines.next(), Some(1_000_000));
        assert_eq!(deadlines.take_due(999_999), None);
        assert_eq!(deadlines.take_due(2_500_000), Some(vec![pending(1)]));
        assert_eq!(deadlines.take_due(2_500_000), None);
        assert_eq!(deadlines.next(), Some(3_000_000));
        assert_eq!(deadlines.take_due(3_000_000), Some(vec![pending(2)]));
        assert_eq!(deadlines.next(), None);
    }
}
