//! The marks that the publisher puts into a payload and the reader finds again.
//!
//! A payload begins `{"pub_ns":T,"seq":N,"idx":I,…`: Unix time of publication in ns, number of the tick of
//! this symbol, number of the symbol. Whatever a server does with blanks, the three stay in this order.

use memchr::memmem::Finder;

const KEY: &[u8] = b"\"pub_ns\"";

/// What one delivered tick says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When it was published, Unix ns
    pub published_ns: u64,
    /// Number among the ticks of its symbol
    pub seq: u32,
    /// Number of its symbol, from 0
    pub symbol: usize,
}

/// Finds stamps, trying first where the last one was.
pub struct StampFinder {
    finder: Finder<'static>,
    at: usize,
}

impl StampFinder {
    /// A finder that has seen nothing yet.
    pub fn new() -> Self {
        Self { finder: Finder::new(KEY), at: 0 }
    }

    /// The stamp in a frame's text; None where it holds none (answers, pings).
    #[inline]
    pub fn find(&mut self, text: &[u8]) -> Option<Stamp> {
        if text.get(self.at..self.at + KEY.len()) != Some(KEY) {
            self.at = self.finder.find(text)?;
        }
        let mut at = self.at + KEY.len();
        let published_ns = number(text, &mut at)?;
        let seq = number(text, &mut at)?;
        let symbol = number(text, &mut at)?;
        Some(Stamp { published_ns, seq: seq as u32, symbol: symbol as usize })
    }
}

/// The next run of digits as a number. Between the three numbers stand keys and blanks without digits.
#[inline]
fn number(text: &[u8], at: &mut usize) -> Option<u64> {
    while !text.get(*at)?.is_ascii_digit() {
        *at += 1;
    }
    let mut value = 0_u64;
    while let Some(digit) = text.get(*at).filter(|byte| byte.is_ascii_digit()) {
        value = value * 10 + u64::from(digit - b'0');
        *at += 1;
    }
    Some(value)
}

/// The name of symbol number `index`: B0001, B0002, …
pub fn symbol_name(index: usize) -> String {
    format!("B{:04}", index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_with_and_without_blanks_and_at_a_moved_place() {
        let mut finder = StampFinder::new();
        let wanted = Some(Stamp { published_ns: 1_705_294_800_000_000_123, seq: 7, symbol: 42 });
        let tight = br#"{"data":{"pub_ns":1705294800000000123,"seq":7,"idx":42,"ltp":1.5}}"#;
        let loose = br#"{"type": "market_data", "data": {"pub_ns": 1705294800000000123, "seq": 7, "idx": 42}}"#;
        assert_eq!(finder.find(tight), wanted);
        assert_eq!(finder.find(loose), wanted);
        assert_eq!(finder.find(tight), wanted);
    }

    #[test]
    fn answers_hold_no_stamp() {
        assert_eq!(StampFinder::new().find(br#"{"type":"subscribe","status":"success"}"#), None);
        assert_eq!(StampFinder::new().find(br#"{"pub_ns":12,"seq":"#), None);
    }
}
