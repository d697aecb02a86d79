//! One pass over a tick's payload: is it one JSON object, and what are the few numbers that matter?
//!
//! Nothing is copied but a key with escapes in it; the payload itself goes to clients byte for byte.

use std::borrow::Cow;

use crate::fixed::{self, Price};

/// Deepest nesting that is accepted.
const MAX_NESTING: u32 = 16;

/// What the scan found in a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Last traded price.
    pub ltp: Option<Price>,
    /// Best bid.
    pub bid: Option<Price>,
    /// Best ask.
    pub ask: Option<Price>,
    /// Highest price of the day; `None` too where it is beyond every price.
    pub high: Option<Price>,
    /// Lowest price of the day, likewise.
    pub low: Option<Price>,
    /// First priced level of `depth.buy`.
    pub level_bid: Option<Price>,
    /// First priced level of `depth.sell`.
    pub level_ask: Option<Price>,
    /// True where `depth` holds at least one level.
    pub has_levels: bool,
    /// True where a top-level key collides with one that the flat format sets itself.
    pub reserved_keys: bool,
    /// True where the object has no members.
    pub empty: bool,
}

impl Scan {
    /// Of a key that comes twice readers keep the last, whatever it is.
    #[inline]
    fn forget(&mut self, role: Role) {
        match role {
            Role::Ltp => self.ltp = None,
            Role::Bid => self.bid = None,
            Role::Ask => self.ask = None,
            Role::High => self.high = None,
            Role::Low => self.low = None,
            Role::Depth => (self.level_bid, self.level_ask) = (None, None),
            Role::Buy => self.level_bid = None,
            Role::Sell => self.level_ask = None,
            Role::Price | Role::BuyPrice | Role::SellPrice | Role::Plain => (),
        }
    }
}

/// Why a payload is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanError {
    /// Not one JSON object in UTF-8.
    Malformed,
    /// NaN, infinite, or negative where a price belongs.
    BadNumber,
}

/// Keys that the flat format sets itself or drops (websocket-protocol, "format").
pub const FLAT_RESERVED: [&[u8]; 7] = [b"type", b"mode", b"broker", b"data", b"symbol", b"exchange", b"snapshot"];

/// Checks a payload and collects its numbers.
pub fn scan(payload: &[u8]) -> Result<Scan, ScanError> {
    if !payload.is_ascii() && std::str::from_utf8(payload).is_err() {
        return Err(ScanError::Malformed);
    }
    let mut cursor = Cursor { bytes: payload, at: 0, found: Scan::default() };
    cursor.blanks();
    cursor.object(0, Place::Top)?;
    cursor.blanks();
    if cursor.at != payload.len() {
        return Err(ScanError::Malformed);
    }
    Ok(cursor.found)
}

/// The members of a payload that passed [`scan`] but for those named in [`FLAT_RESERVED`], joined by commas.
///
/// Only payloads with `reserved_keys` need this; keys may be written with escapes.
pub fn without_reserved(payload: &[u8]) -> Vec<u8> {
    let mut cursor = Cursor { bytes: payload, at: 0, found: Scan::default() };
    let mut kept = Vec::with_capacity(payload.len());
    cursor.blanks();
    let mut step = || -> Result<bool, ScanError> {
        cursor.at += 1; // the brace or comma
        cursor.blanks();
        if cursor.peek() == b'}' {
            return Ok(false);
        }
        let start = cursor.at;
        let reserved = FLAT_RESERVED.contains(&plain(cursor.string()?).as_ref());
        cursor.blanks();
        cursor.expect(b':')?;
        cursor.blanks();
        cursor.value(1, Role::Plain)?;
        if !reserved {
            if !kept.is_empty() {
                kept.push(b',');
            }
            kept.extend_from_slice(&payload[start..cursor.at]);
        }
        cursor.blanks();
        Ok(cursor.peek() == b',')
    };
    while matches!(step(), Ok(true)) {}
    kept
}

/// A key as clients will read it. Names that matter are ASCII: what else an escape spells becomes 0, which is in none.
fn plain(key: &[u8]) -> Cow<'_, [u8]> {
    if !key.contains(&b'\\') {
        return Cow::Borrowed(key);
    }
    let mut plain = Vec::with_capacity(key.len());
    let mut at = 0;
    while at < key.len() {
        if key[at] != b'\\' {
            plain.push(key[at]);
            at += 1;
            continue;
        }
        let unit = key.get(at + 1) == Some(&b'u');
        let hex = key.get(at + 2..at + 6).filter(|_| unit).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
        plain.push(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(0));
        at += if unit { 6 } else { 2 };
    }
    Cow::Owned(plain)
}

/// Where in the payload the cursor is: only three places hold numbers of interest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Depth,
    Buy,
    Sell,
    Other,
}

/// What a member's value is to us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Ltp,
    Bid,
    Ask,
    High,
    Low,
    Price,
    Depth,
    Buy,
    Sell,
    BuyPrice,
    SellPrice,
    Plain,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    found: Scan,
}

/// Bytes at which a run of plain text in a string ends: quote, backslash, control characters.
const ENDS_PLAIN: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        ends[byte] = true;
        byte += 1;
    }
    ends[b'"' as usize] = true;
    ends[b'\\' as usize] = true;
    ends
};

type Step = Result<(), ScanError>;

impl<'a> Cursor<'a> {
    #[inline]
    fn peek(&self) -> u8 {
        // 0 is never valid JSON outside strings, so the end needs no Option.
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Step {
        if self.peek() != byte || self.at >= self.bytes.len() {
            return Err(ScanError::Malformed);
        }
        self.at += 1;
        Ok(())
    }

    fn object(&mut self, nesting: u32, place: Place) -> Step {
        if nesting > MAX_NESTING {
            return Err(ScanError::Malformed);
        }
        self.expect(b'{')?;
        self.blanks();
        if self.peek() == b'}' {
            self.at += 1;
            self.found.empty |= place == Place::Top;
            return Ok(());
        }
        loop {
            self.blanks();
            let key = self.string()?;
            let role = self.role(place, key);
            self.found.forget(role);
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            self.value(nesting + 1, role)?;
            self.blanks();
            match self.peek() {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(ScanError::Malformed),
            }
        }
    }

    #[inline]
    fn role(&mut self, place: Place, key: &[u8]) -> Role {
        let key = &*plain(key);
        match place {
            Place::Top => match key {
                b"ltp" => Role::Ltp,
                b"bid" => Role::Bid,
                b"ask" => Role::Ask,
                b"high" => Role::High,
                b"low" => Role::Low,
                b"open" | b"close" | b"average_price" | b"avg_trade_price" => Role::Price,
                b"depth" => Role::Depth,
                _ => {
                    self.found.reserved_keys |= FLAT_RESERVED.contains(&key);
                    Role::Plain
                }
            },
            Place::Depth if key == b"buy" => Role::Buy,
            Place::Depth if key == b"sell" => Role::Sell,
            Place::Buy if key == b"price" => Role::BuyPrice,
            Place::Sell if key == b"price" => Role::SellPrice,
            _ => Role::Plain,
        }
    }

    fn value(&mut self, nesting: u32, role: Role) -> Step {
        match self.peek() {
            b'-' | b'0'..=b'9' => self.number(role),
            b'"' => self.string().map(|_| ()),
            b'{' => {
                let place = match role {
                    Role::Depth => Place::Depth,
                    Role::Buy => Place::Buy,
                    Role::Sell => Place::Sell,
                    _ => Place::Other,
                };
                self.found.has_levels |= matches!(place, Place::Buy | Place::Sell);
                self.object(nesting, place)
            }
            b'[' => self.array(nesting, role),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            // The words that Python's json and JavaScript-minded publishers write for non-numbers.
            b'N' => self.word(b"NaN").and(Err(ScanError::BadNumber)),
            b'I' => self.word(b"Infinity").and(Err(ScanError::BadNumber)),
            _ => Err(ScanError::Malformed),
        }
    }

    fn array(&mut self, nesting: u32, role: Role) -> Step {
        if nesting > MAX_NESTING {
            return Err(ScanError::Malformed);
        }
        let role = if matches!(role, Role::Buy | Role::Sell) { role } else { Role::Plain };
        self.at += 1;
        self.blanks();
        if self.peek() == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.blanks();
            self.value(nesting + 1, role)?;
            self.blanks();
            match self.peek() {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(ScanError::Malformed),
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Step {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(ScanError::Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    /// Returns the text between the quotes, escapes unresolved.
    #[inline]
    fn string(&mut self) -> Result<&'a [u8], ScanError> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            let rest = &self.bytes[self.at..];
            let plain = rest.iter().position(|byte| ENDS_PLAIN[usize::from(*byte)]).ok_or(ScanError::Malformed)?;
            self.at += plain;
            match rest[plain] {
                b'"' => {
                    let text = &self.bytes[start..self.at];
                    self.at += 1;
                    return Ok(text);
                }
                b'\\' => self.escape()?,
                _ => return Err(ScanError::Malformed),
            }
        }
    }

    fn escape(&mut self) -> Step {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = self.unit(self.at + 2)?;
                self.at += 6;
                if (0xd800..0xdc00).contains(&unit) {
                    // Half a character is no text that every client can read: its partner must follow.
                    let paired = self.bytes[self.at..].starts_with(b"\\u")
                        && (0xdc00..0xe000).contains(&self.unit(self.at + 2)?);
                    if !paired {
                        return Err(ScanError::Malformed);
                    }
                    self.at += 6;
                } else if (0xdc00..0xe000).contains(&unit) {
                    return Err(ScanError::Malformed);
                }
            }
            _ => return Err(ScanError::Malformed),
        }
        Ok(())
    }

    fn unit(&self, at: usize) -> Result<u32, ScanError> {
        let hex = self.bytes.get(at..at + 4).ok_or(ScanError::Malformed)?;
        hex.iter()
            .try_fold(0, |unit, b| char::from(*b).to_digit(16).map(|digit| unit * 16 + digit))
            .ok_or(ScanError::Malformed)
    }

    fn number(&mut self, role: Role) -> Step {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
            if self.peek() == b'I' {
                return self.word(b"Infinity").and(Err(ScanError::BadNumber));
            }
        }
        match self.peek() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return Err(ScanError::Malformed),
        }
        let mut plain = true;
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            plain = false;
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = &self.bytes[start..self.at];
        if (!plain || text.len() > 300) && !finite(text) {
            return Err(ScanError::BadNumber);
        }
        self.take(role, text)
    }

    #[inline]
    fn digits(&mut self) -> Step {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == start { Err(ScanError::Malformed) } else { Ok(()) }
    }

    #[inline]
    fn take(&mut self, role: Role, text: &[u8]) -> Step {
        let found = &mut self.found;
        match role {
            Role::Ltp => found.ltp = Some(exact(text)?),
            Role::Bid => found.bid = Some(exact(text)?),
            Role::Ask => found.ask = Some(exact(text)?),
            Role::High => found.high = loose(text)?,
            Role::Low => found.low = loose(text)?,
            Role::BuyPrice if found.level_bid.is_none() => found.level_bid = loose(text)?,
            Role::SellPrice if found.level_ask.is_none() => found.level_ask = loose(text)?,
            Role::Price | Role::BuyPrice | Role::SellPrice => not_negative(text)?,
            Role::Plain | Role::Depth | Role::Buy | Role::Sell => (),
        }
        Ok(())
    }
}

/// A price that must fit.
#[inline]
fn exact(text: &[u8]) -> Result<Price, ScanError> {
    fixed::parse(text).filter(|price| price.0 >= 0).ok_or(ScanError::BadNumber)
}

/// A price that is left out where it does not fit.
#[inline]
fn loose(text: &[u8]) -> Result<Option<Price>, ScanError> {
    not_negative(text).map(|()| fixed::parse(text))
}

#[inline]
fn not_negative(text: &[u8]) -> Step {
    if text[0] == b'-' && !zero(text) { Err(ScanError::BadNumber) } else { Ok(()) }
}

fn finite(text: &[u8]) -> bool {
    std::str::from_utf8(text).ok().and_then(|t| t.parse::<f64>().ok()).is_some_and(f64::is_finite)
}

fn zero(text: &[u8]) -> bool {
    text.iter().take_while(|b| !matches!(b, b'e' | b'E')).all(|b| !matches!(b, b'1'..=b'9'))
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
