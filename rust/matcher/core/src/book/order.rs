//! Orders: what they wait for, and what a price does to them (sandbox, "Order life").

use super::quote::{Quote, Side};
use crate::fixed::Price;

/// The price type of an order with the fields that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// Fills at once or is rejected; never rests.
    Market,
    /// Fills where the last traded price allows its limit.
    Limit {
        /// Worst price of a fill.
        price: Price,
    },
    /// Becomes a LIMIT order when its trigger is met.
    Sl {
        /// Worst price of a fill.
        price: Price,
        /// BUY fires on a rise to it, SELL on a fall.
        trigger: Price,
    },
    /// Becomes a MARKET order when its trigger is met.
    SlM {
        /// BUY fires on a rise to it, SELL on a fall.
        trigger: Price,
    },
}

impl Terms {
    /// True where every price is above zero.
    pub fn priced(self) -> bool {
        match self {
            Terms::Market => true,
            Terms::Limit { price } => price.0 > 0,
            Terms::Sl { price, trigger } => price.0 > 0 && trigger.0 > 0,
            Terms::SlM { trigger } => trigger.0 > 0,
        }
    }
}

/// Where a resting order stands. An order that is complete is no longer in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for its trigger.
    TriggerPending,
    /// Waits for its limit.
    Open,
}

/// What an order watches for, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Met by a last traded price at or below.
    Fall(Price),
    /// Met by a last traded price at or above.
    Rise(Price),
}

impl Watch {
    /// True where `ltp` meets it.
    pub fn met(self, ltp: Price) -> bool {
        match self {
            Watch::Fall(level) => ltp <= level,
            Watch::Rise(level) => ltp >= level,
        }
    }
}

/// What a price does to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fills, whole, at this price.
    Fills(Price),
    /// Its trigger is met but its limit is not: an SL order that waits as a LIMIT order from now on.
    Opens,
    /// Nothing.
    Waits,
}

/// An order as the matcher knows it; quantity and owner are the caller's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The caller's number, unique among orders.
    pub id: u64,
    /// Place in time priority: lower entered earlier. Shared with GTTs.
    pub sequence: u64,
    /// BUY or SELL.
    pub side: Side,
    /// Price type and prices.
    pub terms: Terms,
    /// An SL order whose trigger is spent; means nothing for other price types.
    pub triggered: bool,
}

impl Order {
    /// Trigger pending or open.
    pub fn state(&self) -> State {
        match self.terms {
            Terms::Sl { .. } if !self.triggered => State::TriggerPending,
            Terms::SlM { .. } => State::TriggerPending,
            _ => State::Open,
        }
    }

    /// What it waits for while it rests; `None` for MARKET.
    pub fn watch(&self) -> Option<Watch> {
        match self.terms {
            Terms::Market => None,
            Terms::Limit { price } => Some(self.limit(price)),
            Terms::Sl { price, .. } if self.triggered => Some(self.limit(price)),
            Terms::Sl { trigger, .. } | Terms::SlM { trigger } => Some(self.trigger(trigger)),
        }
    }

    /// Judges a resting order by a tick: a LIMIT fills at its limit, an SL at ltp, an SL-M at the far side.
    pub fn on_tick(&self, quote: &Quote) -> Verdict {
        if !self.watch().is_some_and(|watch| watch.met(quote.ltp)) {
            return Verdict::Waits;
        }
        match self.terms {
            Terms::Limit { price } => Verdict::Fills(price),
            Terms::Sl { price, .. } if self.triggered => Verdict::Fills(price),
            Terms::Sl { price, .. } if self.limit(price).met(quote.ltp) => Verdict::Fills(quote.ltp),
            Terms::Sl { .. } => Verdict::Opens,
            Terms::SlM { .. } | Terms::Market => Verdict::Fills(quote.far_side(self.side)),
        }
    }

    /// Judges an order that enters by the last price: as by a tick, but a marketable limit fills at the far side
    /// and never worse than its limit.
    pub fn at_entry(&self, quote: &Quote) -> Verdict {
        match (self.terms, self.on_tick(quote)) {
            (Terms::Market, _) => Verdict::Fills(quote.far_side(self.side)),
            (Terms::Limit { .. }, Verdict::Fills(limit)) => Verdict::Fills(self.no_worse(quote, limit)),
            (Terms::Sl { .. }, Verdict::Fills(limit)) if self.triggered => Verdict::Fills(self.no_worse(quote, limit)),
            (_, verdict) => verdict,
        }
    }

    fn no_worse(&self, quote: &Quote, limit: Price) -> Price {
        match self.side {
            Side::Buy => quote.far_side(self.side).min(limit),
            Side::Sell => quote.far_side(self.side).max(limit),
        }
    }

    fn limit(&self, price: Price) -> Watch {
        match self.side {
            Side::Buy => Watch::Fall(price),
            Side::Sell => Watch::Rise(price),
        }
    }

    fn trigger(&self, trigger: Price) -> Watch {
        match self.side {
            Side::Buy => Watch::Rise(trigger),
            Side::Sell => Watch::Fall(trigger),
        }
    }
}
