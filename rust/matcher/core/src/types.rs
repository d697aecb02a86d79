//! What the engine is asked and what it answers.

use crate::topic::Mode;

/// Bounds of the engine.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Instruments that are kept.
    pub instruments: usize,
    /// Largest payload, bytes.
    pub payload: usize,
    /// Bytes of last values above which those that nobody holds are dropped.
    pub values: usize,
    /// Instruments one reader may hold.
    pub symbols_per_reader: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { instruments: 250_000, payload: 65_536, values: 256 << 20, symbols_per_reader: 3_000 }
    }
}

/// What became of a bus message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A tick; the tick stream may want it.
    Tick(Tick),
    /// Not market data: the caller deals with it.
    Orders,
    /// `CACHE_INVALIDATE_…`.
    CacheInvalidate,
    /// Private traffic, ignored.
    Private,
    /// Not for us; worth a line in the log at a bounded rate.
    Unknown,
    /// Counted and dropped.
    Dropped,
}

/// A tick that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Instrument number.
    pub instrument: u32,
    /// The mode it came in.
    pub native: Mode,
    /// Topic modes that the tick stream wants it under, as bits 0 to 2.
    pub publish: u8,
}

/// Why a subscription was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such exchange.
    Exchange,
    /// Not a well-formed symbol.
    Symbol,
    /// The reader holds as many instruments as it may.
    ReaderFull,
    /// The engine holds as many instruments as it may.
    EngineFull,
    /// The reader is closed.
    Closed,
}

/// A subscription that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// Instrument number.
    pub instrument: u32,
    /// No reader held the instrument in this mode before.
    pub first: bool,
}
