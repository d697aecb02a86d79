//! What the matcher is asked and what it answers.

use super::gtt::Leg;
use super::order::State;
use crate::fixed::Price;

/// Where a tick comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It happened just now: everything it meets fires.
    Live,
    /// A last value that the tick stream sent again: answers questions and counts when an order enters, but fires
    /// nothing that rests (zmq-bus, "The tick stream").
    Replay,
}

/// What a tick did. The order or GTT has left the book, but for [`Decision::Triggered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// An order is filled, whole.
    Fill {
        /// The order's number.
        order: u64,
        /// Price of the fill.
        price: Price,
    },
    /// An SL order met its trigger but not its limit: it is open and rests as a LIMIT order from now on.
    Triggered {
        /// The order's number.
        order: u64,
    },
    /// A leg of a GTT fired; its sibling will not.
    GttFired {
        /// The GTT's number.
        gtt: u64,
        /// Which leg.
        leg: Leg,
    },
}

/// What became of an order that entered or was modified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Filled at once, whole; it is not in the book.
    Filled {
        /// Price of the fill.
        price: Price,
    },
    /// It rests.
    Rests {
        /// Open, too, for an SL order whose trigger was met already.
        state: State,
    },
    /// A MARKET order without a fresh price to fill at. Nothing has changed.
    NoPrice,
}

/// Why something was not done. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such exchange.
    Exchange,
    /// Not a well-formed symbol.
    Symbol,
    /// A price or trigger that is not above zero, or a GTT without a leg.
    Price,
    /// The number is in the book already.
    Duplicate,
    /// The number is not in the book.
    Unknown,
    /// MARKET orders do not rest.
    Market,
    /// As many instruments as there may be.
    Full,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Live ticks taken.
    pub ticks: u64,
    /// Replayed last values taken.
    pub replays: u64,
    /// Topics that name no instrument.
    pub bad_topic: u64,
    /// Payloads that are no JSON object with fitting numbers.
    pub bad_payload: u64,
    /// Payloads above the limit.
    pub too_large: u64,
    /// Ticks of instruments beyond the limit.
    pub too_many_instruments: u64,
    /// Ticks without a last traded price above zero.
    pub no_price: u64,
    /// Ticks with a last traded price outside the day's range.
    pub stale: u64,
}
