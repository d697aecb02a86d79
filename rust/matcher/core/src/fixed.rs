//! Exact decimal numbers as integers at a fixed scale.

/// Digits after the point that a [`Price`] keeps.
pub const SCALE_DIGITS: u32 = 8;
/// One unit (1 INR) in [`Price`] steps.
pub const SCALE: i64 = 100_000_000;

/// A price or amount in steps of 10⁻⁸ of its currency unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(pub i64);

/// Parses the text of a JSON number exactly.
///
/// Digits beyond the eighth decimal place are rounded half to even (publishers that compute with floats
/// send `625.4500000000001`). Returns `None` where the value does not fit; the text must already be a
/// well-formed JSON number.
pub fn parse(text: &[u8]) -> Option<Price> {
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        _ => (false, text),
    };
    let mut mantissa: i128 = 0;
    let mut exponent: i32 = 0;
    let mut seen_point = false;
    let mut sticky = false;
    for (at, &byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                if mantissa > 1_000_000_000_000_000_000_000_000_000 {
                    // Far beyond any price: keep the magnitude, drop the digit.
                    sticky |= byte != b'0';
                    exponent += i32::from(!seen_point);
                    continue;
                }
                mantissa = mantissa * 10 + i128::from(byte - b'0');
                exponent -= i32::from(seen_point);
            }
            b'.' => seen_point = true,
            b'e' | b'E' => {
                let shift: i32 = std::str::from_utf8(&digits[at + 1..]).ok()?.parse().ok()?;
                exponent = exponent.checked_add(shift)?;
                break;
            }
            _ => return None,
        }
    }
    let value = scale(mantissa, exponent.checked_add(SCALE_DIGITS as i32)?, sticky)?;
    Some(Price(if negative { -value } else { value }))
}

fn scale(mantissa: i128, exponent: i32, sticky: bool) -> Option<i64> {
    if mantissa == 0 {
        return Some(0);
    }
    if exponent >= 0 {
        let factor = 10_i128.checked_pow(exponent as u32)?;
        return i64::try_from(mantissa.checked_mul(factor)?).ok();
    }
    if exponent < -38 {
        return Some(0);
    }
    let divisor = 10_i128.pow(exponent.unsigned_abs());
    let (quotient, rest) = (mantissa / divisor, mantissa % divisor);
    let twice = rest * 2;
    let up = twice > divisor || (twice == divisor && (sticky || quotient % 2 == 1));
    i64::try_from(quotient + i128::from(up)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_values() {
        for (text, want) in [
            ("625.5", 62_550_000_000),
            ("0", 0),
            ("-0.05", -5_000_000),
            ("85.4325", 8_543_250_000),
            ("1e2", 10_000_000_000),
            ("1.5E-3", 150_000),
            ("625.4500000000001", 62_545_000_000),
            ("0.000000005", 0),
            ("0.000000015", 2),
            ("0.0000000051", 1),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(Price(want)), "{text}");
        }
    }

    #[test]
    fn too_large_is_none() {
        assert_eq!(parse(b"1e30"), None);
        assert_eq!(parse(b"99999999999999999999999999999999999999999999"), None);
        assert_eq!(parse(b"1e99999999999"), None);
        assert_eq!(parse(b"0e2147483647"), None);
    }
}
