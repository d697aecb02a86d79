//! One packet of a Kite frame as a plain value (KITE sections 3.2 to 3.5).

use super::{INDEX_CHANGE_SIGNED, INDEX_SEGMENT, decimals, segment};

/// The mode that a packet's length stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KiteMode {
    /// 8 bytes.
    Ltp,
    /// 28 bytes (index) or 44 bytes.
    Quote,
    /// 32 bytes (index) or 184 bytes.
    Full,
}

impl KiteMode {
    /// The broker's word for the mode, as requests spell it.
    pub fn word(self) -> &'static str {
        match self {
            KiteMode::Ltp => "ltp",
            KiteMode::Quote => "quote",
            KiteMode::Full => "full",
        }
    }
}

/// Prices of the day, as integers of the segment's unit. `close` is the previous close while the market is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ohlc {
    /// First price of the day.
    pub open: u32,
    /// Highest price of the day.
    pub high: u32,
    /// Lowest price of the day.
    pub low: u32,
    /// Previous close.
    pub close: u32,
}

/// What a tradable instrument's quote adds to the prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Quantity of the last trade.
    pub ltq: u32,
    /// Average price of the day, integer of the segment's unit.
    pub average_price: u32,
    /// Volume of the day.
    pub volume: u32,
    /// Quantity of all buy orders.
    pub total_buy_quantity: u32,
    /// Quantity of all sell orders.
    pub total_sell_quantity: u32,
}

/// One price level; unused ones are all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Quantity on offer.
    pub quantity: u32,
    /// Price, integer of the segment's unit.
    pub price: u32,
    /// Number of orders.
    pub orders: u16,
}

/// What a tradable instrument's full packet adds to its quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Time of the last trade, Unix seconds; 0 = none.
    pub ltt: u32,
    /// Open interest.
    pub oi: u32,
    /// Highest open interest of the day.
    pub oi_day_high: u32,
    /// Lowest open interest of the day.
    pub oi_day_low: u32,
    /// Exchange time, Unix seconds; 0 = none.
    pub timestamp: u32,
    /// Buy levels, best first.
    pub buy: [Level; 5],
    /// Sell levels, best first.
    pub sell: [Level; 5],
}

/// What a packet holds beyond token and last price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// 8 bytes: nothing more.
    Ltp,
    /// 28 or 32 bytes.
    Index {
        /// Prices of the day.
        ohlc: Ohlc,
        /// Change as the broker sends it, × 100; not used for the common fields.
        change: i64,
        /// Exchange time, Unix seconds, in the 32-byte form; 0 = none.
        timestamp: Option<u32>,
    },
    /// 44 bytes.
    Quote(Trade, Ohlc),
    /// 184 bytes.
    Full(Trade, Ohlc, Depth),
}

/// One tick as the broker sent it: prices are integers, the divisor is 10 to the power `decimals`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KiteTick {
    /// Instrument token.
    pub token: u32,
    /// Decimals of every price in this tick.
    pub decimals: u32,
    /// Mode that the packet's length stands for.
    pub mode: KiteMode,
    /// Last price, integer of the segment's unit.
    pub ltp: u32,
    /// The rest, by kind of packet.
    pub body: Body,
}

impl KiteTick {
    /// False for indices.
    pub fn tradable(&self) -> bool {
        segment(self.token) != INDEX_SEGMENT
    }

    /// An integer price of this tick as the nearest float.
    pub fn price(&self, raw: u32) -> f64 {
        f64::from(raw) / 10f64.powi(self.decimals.cast_signed())
    }

    /// Prices of the day, where the packet has them.
    pub fn ohlc(&self) -> Option<Ohlc> {
        match self.body {
            Body::Ltp => None,
            Body::Index { ohlc, .. } | Body::Quote(_, ohlc) | Body::Full(_, ohlc, _) => Some(ohlc),
        }
    }

    /// Trade figures, where the packet has them.
    pub fn trade(&self) -> Option<Trade> {
        match self.body {
            Body::Quote(trade, _) | Body::Full(trade, _, _) => Some(trade),
            Body::Ltp | Body::Index { .. } => None,
        }
    }

    /// Times, open interest and levels, where the packet has them.
    pub fn depth(&self) -> Option<&Depth> {
        match &self.body {
            Body::Full(_, _, depth) => Some(depth),
            _ => None,
        }
    }

    /// Exchange time in ms, where the packet has one.
    pub fn timestamp_ms(&self) -> Option<i64> {
        let seconds = match self.body {
            Body::Full(_, _, depth) => depth.timestamp,
            Body::Index { timestamp, .. } => timestamp.unwrap_or(0),
            Body::Ltp | Body::Quote(..) => 0,
        };
        (seconds != 0).then(|| i64::from(seconds) * 1000)
    }
}

/// Reads one packet; None where its length is none of 8, 28, 32, 44 and 184.
pub fn parse_packet(bytes: &[u8]) -> Option<KiteTick> {
    let (mode, body) = match bytes.len() {
        8 => (KiteMode::Ltp, Body::Ltp),
        28 => (KiteMode::Quote, index(bytes, None)),
        32 => (KiteMode::Full, index(bytes, Some(u32_at(bytes, 28)))),
        44 => (KiteMode::Quote, Body::Quote(trade(bytes), ohlc(bytes))),
        184 => (KiteMode::Full, Body::Full(trade(bytes), ohlc(bytes), depth(bytes))),
        _ => return None,
    };
    let token = u32_at(bytes, 0);
    Some(KiteTick { token, decimals: decimals(token), mode, ltp: u32_at(bytes, 4), body })
}

/// Callers have checked the packet's length; past its end is 0 all the same, never a panic.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |four| u32::from_be_bytes(*four))
}

fn index(bytes: &[u8], timestamp: Option<u32>) -> Body {
    // high, low, open, close here: not the order of the tradable packet
    let ohlc =
        Ohlc { high: u32_at(bytes, 8), low: u32_at(bytes, 12), open: u32_at(bytes, 16), close: u32_at(bytes, 20) };
    let raw = u32_at(bytes, 24);
    let change = if INDEX_CHANGE_SIGNED { i64::from(raw.cast_signed()) } else { i64::from(raw) };
    Body::Index { ohlc, change, timestamp }
}

fn trade(bytes: &[u8]) -> Trade {
    Trade {
        ltq: u32_at(bytes, 8),
        average_price: u32_at(bytes, 12),
        volume: u32_at(bytes, 16),
        total_buy_quantity: u32_at(bytes, 20),
        total_sell_quantity: u32_at(bytes, 24),
    }
}

fn ohlc(bytes: &[u8]) -> Ohlc {
    Ohlc { open: u32_at(bytes, 28), high: u32_at(bytes, 32), low: u32_at(bytes, 36), close: u32_at(bytes, 40) }
}

fn depth(bytes: &[u8]) -> Depth {
    Depth {
        ltt: u32_at(bytes, 44),
        oi: u32_at(bytes, 48),
        oi_day_high: u32_at(bytes, 52),
        oi_day_low: u32_at(bytes, 56),
        timestamp: u32_at(bytes, 60),
        buy: std::array::from_fn(|row| level(bytes, 64 + 12 * row)),
        sell: std::array::from_fn(|row| level(bytes, 124 + 12 * row)),
    }
}

fn level(bytes: &[u8], at: usize) -> Level {
    // two bytes of orders, then two of padding: the high half of a u32
    let orders = (u32_at(bytes, at + 8) >> 16) as u16;
    Level { quantity: u32_at(bytes, at), price: u32_at(bytes, at + 4), orders }
}
