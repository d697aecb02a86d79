//! Instruments: their names, last values and who subscribes to them.

use rustc_hash::FxHashMap;

use crate::last::LastValues;
use crate::topic::{EXCHANGES, Mode};

/// Where a subscription's newest value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Delivered; the next tick may go at once when the window is over.
    Idle,
    /// A newer value waits for the end of the window.
    Waiting,
    /// A newer value waits for the reader to drain.
    Parked,
}

/// One reader's subscription to one instrument in one mode.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Reader number.
    pub reader: u32,
    /// Conflation window, ms; 0 is off.
    pub window_ms: u32,
    /// Earliest time of the next message, monotonic ns.
    pub next_ns: u64,
    /// What waits.
    pub state: State,
}

impl Entry {
    /// Notes a message that goes out at `now_ns`.
    #[inline]
    pub fn sent(&mut self, now_ns: u64) {
        self.next_ns = now_ns + u64::from(self.window_ms) * 1_000_000;
        self.state = State::Idle;
    }
}

/// One instrument.
#[derive(Debug)]
pub struct Instrument {
    /// Index into [`EXCHANGES`].
    pub exchange: u8,
    /// Symbol in the common format.
    pub symbol: Box<str>,
    /// Number of the broker whose tick came last.
    pub broker: u16,
    /// Last known values.
    pub last: LastValues,
    /// Subscriptions by mode.
    pub entries: [Vec<Entry>; 3],
    /// Tick-stream sequence numbers by topic mode.
    pub sequence: [u64; 3],
    /// Tick-stream subscribers by topic mode.
    pub wanted: [u32; 3],
}

impl Instrument {
    /// The canonical topic in `mode`.
    pub fn topic(&self, mode: Mode) -> String {
        format!("{}_{}_{}", EXCHANGES[usize::from(self.exchange)], self.symbol, mode.segment())
    }
}

/// All instruments that were ever named, by number and by name. The number of them is bounded.
#[derive(Debug)]
pub struct Instruments {
    all: Vec<Instrument>,
    by_name: [FxHashMap<Box<str>, u32>; EXCHANGES.len()],
    limit: usize,
}

impl Instruments {
    /// An empty table for at most `limit` instruments.
    pub fn new(limit: usize) -> Self {
        Instruments { all: Vec::new(), by_name: Default::default(), limit }
    }

    /// The number of an instrument that was named before.
    #[inline]
    pub fn find(&self, exchange: u8, symbol: &str) -> Option<u32> {
        self.by_name[usize::from(exchange)].get(symbol).copied()
    }

    /// The number of an instrument, new or known; `None` at the limit.
    pub fn intern(&mut self, exchange: u8, symbol: &str) -> Option<u32> {
        if let Some(known) = self.find(exchange, symbol) {
            return Some(known);
        }
        if self.all.len() >= self.limit {
            return None;
        }
        let number = self.all.len() as u32;
        self.by_name[usize::from(exchange)].insert(symbol.into(), number);
        self.all.push(Instrument {
            exchange,
            symbol: symbol.into(),
            broker: 0,
            last: LastValues::default(),
            entries: Default::default(),
            sequence: [0; 3],
            wanted: [0; 3],
        });
        Some(number)
    }

    /// The instrument with a number that [`Self::intern`] gave.
    #[inline]
    pub fn get(&self, number: u32) -> &Instrument {
        &self.all[number as usize]
    }

    /// Likewise, to change it.
    #[inline]
    pub fn get_mut(&mut self, number: u32) -> &mut Instrument {
        &mut self.all[number as usize]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// True before the first was named.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Heap bytes of last values and names, for the memory metric.
    pub fn heap_bytes(&self) -> usize {
        let one = |i: &Instrument| size_of::<Instrument>() + 2 * i.symbol.len() + i.last.heap_bytes();
        self.all.iter().map(one).sum()
    }
}
