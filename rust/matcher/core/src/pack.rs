//! Kept payloads in less memory: well-known member names become one byte each.
//!
//! JSON text holds no control characters but tab, line feed and carriage return, so the others are free to
//! stand for `"price":` and its like. The substitution knows nothing of JSON's structure and loses nothing:
//! [`unpack`] gives the same bytes back, whatever the payload was.

use std::borrow::Cow;

use memchr::memchr;

/// Payloads shorter than this are kept as they are: there is little to win, and they are the frequent ones.
pub const WORTH_PACKING: usize = 192;

/// A payload as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    bytes: Vec<u8>,
    packed: bool,
}

impl Kept {
    /// A copy of JSON text that passed [`crate::scan::scan`].
    pub fn new(text: &[u8]) -> Self {
        let mut kept = Kept::default();
        kept.set(text);
        kept
    }

    /// Takes the place of what was kept, in its memory where that fits.
    pub fn set(&mut self, text: &[u8]) {
        self.bytes.clear();
        self.packed = text.len() >= WORTH_PACKING;
        if self.packed {
            pack(text, &mut self.bytes);
        } else {
            self.bytes.reserve_exact(text.len());
            self.bytes.extend_from_slice(text);
        }
        // Growing leaves room; sizes differ little from tick to tick, so little room is enough.
        if self.bytes.capacity() > self.bytes.len() + 64 {
            self.bytes.shrink_to(self.bytes.len() + 16);
        }
    }

    /// The text, byte for byte.
    pub fn text(&self) -> Cow<'_, [u8]> {
        if !self.packed {
            return Cow::Borrowed(&self.bytes);
        }
        let mut text = Vec::with_capacity(self.bytes.len() * 3);
        unpack(&self.bytes, &mut text);
        Cow::Owned(text)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Where a name stands in [`CODES`]; the factors leave no two known names in one place (checked when compiled).
const fn slot(name: &[u8]) -> usize {
    (name.len() * 8 + name[0] as usize * 11 + name[name.len() - 1] as usize) % 64
}

/// Names and their codes, both ways. Tab (9), line feed (10) and carriage return (13) stay free.
macro_rules! codes {
    ($($code:literal $name:literal)*) => {
        const CODES: [(u8, &[u8]); 64] = {
            let mut codes: [(u8, &[u8]); 64] = [(0, b""); 64];
            $(
                assert!(codes[slot($name.as_bytes())].0 == 0, "two names in one place");
                codes[slot($name.as_bytes())] = ($code, $name.as_bytes());
            )*
            codes
        };

        /// The member name as it stands in JSON, by code.
        const NAMES: [&str; 32] = {
            let mut names = [""; 32];
            $(names[$code] = concat!("\"", $name, "\":");)*
            names
        };
    };
}

#[inline]
fn code_of(name: &[u8]) -> Option<u8> {
    if name.is_empty() {
        return None;
    }
    let (code, known) = CODES[slot(name)];
    (code != 0 && known == name).then_some(code)
}

codes! {
    1 "price" 2 "quantity" 3 "orders" 4 "ltp" 5 "ltt" 6 "ltq" 7 "timestamp" 8 "open" 11 "high" 12 "low" 14 "close"
    15 "volume" 16 "oi" 17 "bid" 18 "ask" 19 "change" 20 "change_percent" 21 "average_price" 22 "avg_trade_price"
    23 "last_trade_quantity" 24 "total_buy_quantity" 25 "total_sell_quantity" 26 "depth" 27 "buy" 28 "sell"
    29 "bid_quantity" 30 "ask_quantity" 31 "exchange_timestamp"
}

/// Appends the packed form of JSON text that passed [`crate::scan::scan`].
pub fn pack(text: &[u8], out: &mut Vec<u8>) {
    let (mut copied, mut at) = (0, 0);
    while let Some(open) = memchr(b'"', &text[at..]).map(|found| at + found) {
        let Some(close) = memchr(b'"', &text[open + 1..]).map(|found| open + 1 + found) else { break };
        if text.get(close + 1) == Some(&b':')
            && let Some(code) = code_of(&text[open + 1..close])
        {
            out.extend_from_slice(&text[copied..open]);
            out.push(code);
            copied = close + 2;
        }
        at = close + 1;
    }
    out.extend_from_slice(&text[copied..]);
}

/// Appends what [`pack`] was given.
pub fn unpack(packed: &[u8], out: &mut Vec<u8>) {
    let mut copied = 0;
    while let Some(at) = packed[copied..].iter().position(|byte| *byte < 32).map(|found| copied + found) {
        let name = NAMES[usize::from(packed[at])];
        if name.is_empty() {
            out.extend_from_slice(&packed[copied..=at]);
        } else {
            out.extend_from_slice(&packed[copied..at]);
            out.extend_from_slice(name.as_bytes());
        }
        copied = at + 1;
    }
    out.extend_from_slice(&packed[copied..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn there_and_back(text: &[u8]) -> usize {
        let (mut packed, mut back) = (Vec::new(), Vec::new());
        pack(text, &mut packed);
        unpack(&packed, &mut back);
        assert_eq!(back, text);
        packed.len()
    }

    #[test]
    fn a_level_costs_little_more_than_its_numbers() {
        assert_eq!(there_and_back(br#"{"price":625.45,"quantity":1250,"orders":12}"#), 19);
    }

    #[test]
    fn every_code_goes_both_ways() {
        for name in NAMES.iter().filter(|name| !name.is_empty()) {
            assert_eq!(there_and_back(format!("{{{name}1}}").as_bytes()), 4, "{name}");
        }
        for blank in [b'\t', b'\n', b'\r'] {
            assert!(NAMES[usize::from(blank)].is_empty());
        }
    }

    #[test]
    fn short_and_long_texts_are_kept() {
        let mut kept = Kept::new(b"{\"ltp\":1}");
        assert_eq!(&*kept.text(), b"{\"ltp\":1}");
        let long = format!("{{\"depth\":[{}0]}}", "{\"price\":1},".repeat(50));
        kept.set(long.as_bytes());
        assert_eq!(&*kept.text(), long.as_bytes());
        assert!(kept.heap_bytes() < long.len() * 2 / 3);
        kept.set(b"{}");
        assert_eq!((&*kept.text(), kept.heap_bytes() <= 66), (&b"{}"[..], true));
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in r#"([{}\[\],: \t\n\r"\\]|"ltp":|"price": |\\"ask":|[a-z0-9é]){0,80}"#) {
            there_and_back(text.as_bytes());
        }
    }
}
