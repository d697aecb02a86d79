//! Instruments: their names, last values and who subscribes to them.

use rustc_hash::FxHashMap;

use crate::last::{Arrival, LastValues};
use crate::scan::Scan;
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
    /// Goes up when the number passes to another instrument.
    pub generation: u32,
    /// A tick came for it again since the search for idle ones last passed by.
    pub ticking: bool,
}

impl Instrument {
    fn new(exchange: u8, symbol: &str, generation: u32) -> Self {
        Instrument {
            exchange,
            symbol: symbol.into(),
            broker: 0,
            last: LastValues::default(),
            entries: Default::default(),
            sequence: [0; 3],
            wanted: [0; 3],
            generation,
            ticking: false,
        }
    }

    /// Nobody holds it: no reader, no tick-stream subscriber.
    pub fn idle(&self) -> bool {
        self.wanted == [0; 3] && self.entries.iter().all(Vec::is_empty)
    }

    /// The canonical topic in `mode`.
    pub fn topic(&self, mode: Mode) -> String {
        format!("{}_{}_{}", EXCHANGES[usize::from(self.exchange)], self.symbol, mode.segment())
    }
}

/// Steps of one search for an idle instrument: what a message may cost at the limit.
const SEARCH: usize = 512;

/// Instruments by number and by name. At the limit on their number, one that nobody holds makes room, those first
/// that ticked only once: a publisher of ever new symbols cannot shut out those that are wanted.
#[derive(Debug)]
pub struct Instruments {
    all: Vec<Instrument>,
    by_name: [FxHashMap<Box<str>, u32>; EXCHANGES.len()],
    limit: usize,
    hand: usize,
    value_bytes: usize,
}

impl Instruments {
    /// An empty table for at most `limit` instruments.
    pub fn new(limit: usize) -> Self {
        Instruments { all: Vec::new(), by_name: Default::default(), limit, hand: 0, value_bytes: 0 }
    }

    /// The number of an instrument that was named before.
    #[inline]
    pub fn find(&self, exchange: u8, symbol: &str) -> Option<u32> {
        self.by_name[usize::from(exchange)].get(symbol).copied()
    }

    /// The number of an instrument, new or known; `None` at the limit, where none of those looked at is idle.
    pub fn intern(&mut self, exchange: u8, symbol: &str) -> Option<u32> {
        if let Some(known) = self.find(exchange, symbol) {
            return Some(known);
        }
        let number = if self.all.len() < self.limit {
            self.all.push(Instrument::new(exchange, symbol, 0));
            self.all.len() as u32 - 1
        } else {
            let number = self.next_idle(|_| true)?;
            self.forget(number);
            let slot = self.get_mut(number);
            *slot = Instrument::new(exchange, symbol, slot.generation.wrapping_add(1));
            number
        };
        self.by_name[usize::from(exchange)].insert(symbol.into(), number);
        Some(number)
    }

    /// The next idle instrument that did not tick since it was last looked at, if the search comes upon one.
    fn next_idle(&mut self, fits: impl Fn(&Instrument) -> bool) -> Option<u32> {
        for _ in 0..SEARCH.min(self.all.len()) {
            let at = self.hand;
            self.hand = (at + 1) % self.all.len();
            let found = &mut self.all[at];
            if !std::mem::take(&mut found.ticking) && found.idle() && fits(found) {
                return Some(at as u32);
            }
        }
        None
    }

    fn forget(&mut self, number: u32) {
        let gone = &self.all[number as usize];
        self.value_bytes -= gone.last.heap_bytes();
        self.by_name[usize::from(gone.exchange)].remove(&gone.symbol);
    }

    /// Keeps a tick as last value.
    pub fn store(&mut self, number: u32, native: Mode, payload: &[u8], arrival: Arrival, found: &Scan) {
        let last = &mut self.all[number as usize].last;
        let before = last.heap_bytes();
        last.store(native, payload, arrival, found.ltp, found.reserved_keys);
        self.value_bytes = self.value_bytes + last.heap_bytes() - before;
    }

    /// Drops the last values of one idle instrument where all together take more than `most` bytes.
    pub fn shed(&mut self, most: usize) {
        if self.value_bytes > most
            && let Some(number) = self.next_idle(|found| found.last.heap_bytes() > 0)
        {
            let last = &mut self.all[number as usize].last;
            self.value_bytes -= last.heap_bytes();
            last.clear();
        }
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

    /// Bytes of instruments and their last values, for the memory metric.
    pub fn heap_bytes(&self) -> usize {
        self.all.capacity() * size_of::<Instrument>() + self.value_bytes
    }

    /// Numbers, names and byte counts agree. Panics where they do not.
    #[cfg(test)]
    pub fn check(&self) {
        assert_eq!(self.value_bytes, self.all.iter().map(|i| i.last.heap_bytes()).sum::<usize>());
        assert_eq!(self.all.len(), self.by_name.iter().map(FxHashMap::len).sum::<usize>());
        for (number, i) in self.all.iter().enumerate() {
            assert_eq!(self.find(i.exchange, &i.symbol), Some(number as u32));
        }
    }
}
