//! Kept payloads in less memory: well-known member names become one byte each.
//!
//! JSON text holds no control characters but tab, line feed and carriage return, so the others are free to
//! stand for `"price":` and its like. The substitution knows nothing of JSON's structure and loses nothing:
//! [`unpack`] gives the same bytes back, whatever the payload was.

use memchr::memchr;

/// Payloads shorter than this are kept as they are: there is little to win.
pub const WORTH_PACKING: usize = 192;

/// Names and their codes, both ways. Tab (9), line feed (10) and carriage return (13) stay free.
macro_rules! codes {
    ($($code:literal $name:literal)*) => {
        #[inline]
        fn code_of(name: &[u8]) -> Option<u8> {
            let bytes = name;
            $(if bytes.len() == $name.len() && bytes == $name.as_bytes() { return Some($code); })*
            None
        }

        /// The member name as it stands in JSON, by code.
        const NAMES: [&str; 32] = {
            let mut names = [""; 32];
            $(names[$code] = concat!("\"", $name, "\":");)*
            names
        };
    };
}

// The three names of a depth level are nearly all of a payload: they come first.
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

    proptest! {
        #[test]
        fn nothing_is_lost(text in r#"([{}\[\],: \t\n\r"\\]|"ltp":|"price": |\\"ask":|[a-z0-9é]){0,80}"#) {
            there_and_back(text.as_bytes());
        }
    }
}
