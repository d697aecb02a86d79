//! Decoder of Kite Connect binary frames (KITE section 3): bytes in, ticks or bus messages out.
//!
//! No input makes it panic. What cannot be read is skipped and counted: a packet of unknown length by its
//! declared length, the rest of a frame whose declared length overruns it.

use rustc_hash::FxHashMap;

mod packet;
mod payload;
#[cfg(test)]
mod tests;

pub use packet::{Body, Depth, KiteMode, KiteTick, Level, Ohlc, Trade, parse_packet};

/// Segment of all indices; nothing in it can be traded.
pub const INDEX_SEGMENT: u8 = 9;

/// Decimals of an NCO price. The Python SDK divides by 10⁴, the Go SDK does not know the segment and would
/// divide by 100; the documents are silent (KITE section 3.1, doubtful).
pub const NCO_DECIMALS: u32 = 4;

/// Whether the index change at offset 24 is read as signed. The SDKs skip the field (KITE section 3.5, doubtful).
pub const INDEX_CHANGE_SIGNED: bool = true;

/// Decimals of a price in any segment that [`SEGMENT_DECIMALS`] does not name.
pub const DEFAULT_DECIMALS: u32 = 2;

/// Segments whose price divisor is not 100, as `(segment, decimals)`: CDS, BCD, NCO (KITE section 3.1).
pub const SEGMENT_DECIMALS: [(u8, u32); 3] = [(3, 7), (6, 4), (12, NCO_DECIMALS)];

/// The segment of an instrument token: its lowest byte.
pub fn segment(token: u32) -> u8 {
    token.to_le_bytes()[0]
}

/// Decimals of the prices of an instrument: the divisor is ten to this power.
pub fn decimals(token: u32) -> u32 {
    SEGMENT_DECIMALS
        .iter()
        .find(|(code, _)| *code == segment(token))
        .map_or(DEFAULT_DECIMALS, |(_, decimals)| *decimals)
}

/// What the decoder has seen since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames of any size.
    pub frames: u64,
    /// Frames of one byte: the server's heartbeat.
    pub heartbeats: u64,
    /// Packets of a known length.
    pub packets: u64,
    /// Packets of another length, skipped.
    pub unknown_length: u64,
    /// Frames that end before their declared packets do.
    pub truncated: u64,
    /// Frames with bytes after the last declared packet.
    pub trailing: u64,
    /// Packets of instruments that are not in the token table.
    pub unknown_token: u64,
    /// Bus messages written.
    pub published: u64,
}

/// Decodes frames and keeps the token table and the counters. One per connection or per feed.
#[derive(Default)]
pub struct KiteDecoder {
    /// Topics up to the mode, `EXCHANGE_SYMBOL_`; a whole master has some 100,000 of them.
    instruments: FxHashMap<u32, Box<[u8]>>,
    counters: Counters,
    topic: Vec<u8>,
    payload: Vec<u8>,
}

impl KiteDecoder {
    /// A decoder that knows no instrument yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the token table by `(token, exchange, symbol)` rows; of equal tokens the last counts.
    pub fn set_instruments<'a>(&mut self, rows: impl IntoIterator<Item = (u32, &'a str, &'a str)>) {
        self.instruments = rows
            .into_iter()
            .map(|(token, exchange, symbol)| (token, format!("{exchange}_{symbol}_").into_bytes().into()))
            .collect();
    }

    /// Counters since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Hands every readable tick of `frame` to `each`, in frame order, known instrument or not.
    pub fn ticks(&mut self, frame: &[u8], mut each: impl FnMut(KiteTick)) {
        walk(frame, &mut self.counters, |tick, _| each(tick));
    }

    /// Writes the bus messages of `frame`: `each` gets topic and JSON payload of one tick after the other.
    ///
    /// `now_ms` (Unix ms) is the `timestamp` of packets that carry no exchange time.
    pub fn decode(&mut self, frame: &[u8], now_ms: i64, mut each: impl FnMut(&[u8], &[u8])) {
        let Self { instruments, counters, topic, payload } = self;
        walk(frame, counters, |tick, counters| {
            let Some(prefix) = instruments.get(&tick.token) else {
                counters.unknown_token += 1;
                return;
            };
            topic.clear();
            topic.extend_from_slice(prefix);
            topic.extend_from_slice(bus_mode(tick.mode));
            payload.clear();
            payload::write(payload, &tick, now_ms);
            counters.published += 1;
            each(topic, payload);
        });
    }
}

/// The mode follows from the packet's kind. A full index packet has no depth and goes out on DEPTH all the
/// same, so that it serves the holders of every mode.
fn bus_mode(mode: KiteMode) -> &'static [u8] {
    match mode {
        KiteMode::Ltp => b"LTP",
        KiteMode::Quote => b"QUOTE",
        KiteMode::Full => b"DEPTH",
    }
}

/// Splits a frame into packets by their declared lengths and parses each.
fn walk(frame: &[u8], counters: &mut Counters, mut each: impl FnMut(KiteTick, &mut Counters)) {
    counters.frames += 1;
    if frame.len() < 2 {
        counters.heartbeats += u64::from(frame.len() == 1);
        return;
    }
    let (declared, mut rest) = frame.split_at(2);
    for _ in 0..u16::from_be_bytes([declared[0], declared[1]]) {
        let Some((packet, after)) = split_packet(rest) else {
            counters.truncated += 1;
            return;
        };
        rest = after;
        match parse_packet(packet) {
            Some(tick) => {
                counters.packets += 1;
                each(tick, counters);
            }
            None => counters.unknown_length += 1,
        }
    }
    counters.trailing += u64::from(!rest.is_empty());
}

fn split_packet(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}
