//! What rests on one instrument, ordered by the price it waits for.

use std::collections::BTreeSet;

use super::gtt::Leg;
use super::order::Watch;
use crate::fixed::Price;

/// What waits. Sorts by time priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Place in time priority.
    pub sequence: u64,
    /// Order or GTT leg.
    pub who: Who,
}

/// An order or a leg of a GTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// An order's number.
    Order(u64),
    /// A GTT's number and which of its legs.
    Gtt(u64, Leg),
}

/// Everything that waits for a move in one direction; the level that is met first is at the front.
#[derive(Debug)]
struct Ladder {
    /// Level of the front, kept here so that most ticks need not look into the set.
    nearest: i64,
    resting: BTreeSet<(i64, Key)>,
}

impl Default for Ladder {
    fn default() -> Self {
        Ladder { nearest: i64::MAX, resting: BTreeSet::new() }
    }
}

impl Ladder {
    fn insert(&mut self, level: i64, key: Key) {
        self.nearest = self.nearest.min(level);
        self.resting.insert((level, key));
    }

    fn remove(&mut self, level: i64, key: Key) {
        if self.resting.remove(&(level, key)) && level == self.nearest {
            self.refresh();
        }
    }

    /// Takes out all that waits for `reached` or a nearer level.
    #[inline]
    fn take(&mut self, reached: i64, into: &mut Vec<Key>) {
        while self.nearest <= reached {
            let Some((_, key)) = self.resting.pop_first() else { return };
            into.push(key);
            self.refresh();
        }
    }

    fn refresh(&mut self) {
        self.nearest = self.resting.first().map_or(i64::MAX, |(level, _)| *level);
    }
}

/// Both directions of one instrument.
///
/// Adding and removing cost O(log n) in what rests on the instrument; a tick that meets nothing costs two
/// comparisons.
#[derive(Debug, Default)]
pub struct Ladders {
    /// Levels are negated: the highest is met first.
    fall: Ladder,
    rise: Ladder,
}

impl Ladders {
    /// Lets `key` wait.
    pub fn insert(&mut self, watch: Watch, key: Key) {
        match watch {
            Watch::Fall(level) => self.fall.insert(-level.0, key),
            Watch::Rise(level) => self.rise.insert(level.0, key),
        }
    }

    /// Ends a wait, if it has not ended yet.
    pub fn remove(&mut self, watch: Watch, key: Key) {
        match watch {
            Watch::Fall(level) => self.fall.remove(-level.0, key),
            Watch::Rise(level) => self.rise.remove(level.0, key),
        }
    }

    /// Takes out everything that `ltp` meets, in no particular order.
    #[inline]
    pub fn take(&mut self, ltp: Price, into: &mut Vec<Key>) {
        self.fall.take(-ltp.0, into);
        self.rise.take(ltp.0, into);
    }
}
