//! The prices that orders are judged by.

use crate::fixed::Price;
use crate::scan::Scan;

/// Which way an order trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Takes from the ask.
    Buy,
    /// Gives to the bid.
    Sell,
}

/// The prices of one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Last traded price, above zero and within the day's range where the tick has one.
    pub ltp: Price,
    /// Best bid, where the same tick has it.
    pub bid: Option<Price>,
    /// Best ask, likewise.
    pub ask: Option<Price>,
    /// When it reached us, ns on the caller's clock.
    pub arrival_ns: u64,
}

/// Why a tick fills nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// No last traded price, or none above zero.
    NoPrice,
    /// The last traded price lies outside the day's range.
    Stale,
}

impl Quote {
    /// The prices of a scanned tick.
    ///
    /// Only what the tick itself has counts: a bid or ask of an earlier tick may be long gone. A depth tick without
    /// `bid` and `ask` has them in its first levels. Zero means unknown in all but the last traded price: feeds
    /// send it for an empty side of the book and for the range of a day without a trade.
    pub fn of(found: &Scan, arrival_ns: u64) -> Result<Quote, Unfit> {
        let known = |price: Option<Price>| price.filter(|price| price.0 > 0);
        let ltp = known(found.ltp).ok_or(Unfit::NoPrice)?;
        if known(found.low).is_some_and(|low| ltp < low) || known(found.high).is_some_and(|high| ltp > high) {
            return Err(Unfit::Stale);
        }
        let bid = known(found.bid).or(known(found.level_bid));
        let ask = known(found.ask).or(known(found.level_ask));
        Ok(Quote { ltp, bid, ask, arrival_ns })
    }

    /// True while it arrived at most `max_age_ns` before `now_ns`.
    pub fn fresh(&self, now_ns: u64, max_age_ns: u64) -> bool {
        now_ns.saturating_sub(self.arrival_ns) <= max_age_ns
    }

    /// Where an order at any price trades: the ask for BUY, the bid for SELL, ltp where that is unknown.
    pub fn far_side(&self, side: Side) -> Price {
        let far = match side {
            Side::Buy => self.ask,
            Side::Sell => self.bid,
        };
        far.unwrap_or(self.ltp)
    }
}
