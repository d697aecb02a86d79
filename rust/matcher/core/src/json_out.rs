//! Writes JSON text straight into a byte buffer: numbers, strings and flat objects.
//!
//! Prices that arrive as integers stay integers: [`push_scaled`] places the point in the decimal text, so
//! 854325000 at seven decimals is `85.4325` and never a rounded binary fraction.

/// Largest number of decimals that [`push_scaled`] takes.
pub const MAX_DECIMALS: u32 = 18;

/// Appends an unsigned integer.
pub fn push_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a signed integer.
pub fn push_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a float in its shortest text that reads back the same; what JSON cannot say becomes `null`.
pub fn push_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(value);
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends `value` ÷ 10^`decimals` exactly: plain decimal notation, no exponent, no trailing zeros.
///
/// `decimals` above [`MAX_DECIMALS`] is taken as [`MAX_DECIMALS`].
pub fn push_scaled(out: &mut Vec<u8>, value: i64, decimals: u32) {
    if value < 0 {
        out.push(b'-');
    }
    let unit = 10u64.pow(decimals.min(MAX_DECIMALS));
    let magnitude = value.unsigned_abs();
    push_u64(out, magnitude / unit);
    let mut fraction = magnitude % unit;
    if fraction == 0 {
        return;
    }
    let mut width = decimals.min(MAX_DECIMALS) as usize;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        width -= 1;
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(fraction);
    out.push(b'.');
    out.resize(out.len() + width - digits.len(), b'0');
    out.extend_from_slice(digits.as_bytes());
}

/// Appends a JSON string with everything escaped that JSON wants escaped.
pub fn push_str(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0..=0x1f => push_control(out, byte),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn push_control(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u00");
    out.push(HEX[usize::from(byte >> 4)]);
    out.push(HEX[usize::from(byte & 15)]);
}

/// A JSON object under construction; keys are constants of this program and are not escaped.
///
/// Call [`Object::end`] for the closing brace.
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    /// Opens an object at the end of `out`.
    pub fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Object { out, first: true }
    }

    /// Appends `"key":` and hands out the buffer for its value.
    pub fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if self.first {
            self.first = false;
        } else {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Appends an unsigned integer member.
    pub fn u64(&mut self, key: &str, value: u64) {
        push_u64(self.key(key), value);
    }

    /// Appends a signed integer member.
    pub fn i64(&mut self, key: &str, value: i64) {
        push_i64(self.key(key), value);
    }

    /// Appends a float member, see [`push_f64`].
    pub fn f64(&mut self, key: &str, value: f64) {
        push_f64(self.key(key), value);
    }

    /// Appends `value` ÷ 10^`decimals` as a member, see [`push_scaled`].
    pub fn scaled(&mut self, key: &str, value: i64, decimals: u32) {
        push_scaled(self.key(key), value, decimals);
    }

    /// Appends a string member.
    pub fn str(&mut self, key: &str, value: &str) {
        push_str(self.key(key), value);
    }

    /// Closes the object.
    pub fn end(self) {
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    fn scaled(value: i64, decimals: u32) -> String {
        written(|out| push_scaled(out, value, decimals))
    }

    #[test]
    fn scaled_values_are_exact_and_short() {
        assert_eq!(scaled(854_325_000, 7), "85.4325");
        assert_eq!(scaled(2_458_800, 2), "24588");
        assert_eq!(scaled(5, 2), "0.05");
        assert_eq!(scaled(0, 7), "0");
        assert_eq!(scaled(-14_355, 2), "-143.55");
        assert_eq!(scaled(-5, 4), "-0.0005");
        assert_eq!(scaled(120, 0), "120");
        assert_eq!(scaled(i64::MIN, 2), "-92233720368547758.08");
        assert_eq!(scaled(i64::MAX, 40), "9.223372036854775807");
    }

    #[test]
    fn floats_are_shortest_and_never_invalid_json() {
        assert_eq!(written(|out| push_f64(out, 1418.65)), "1418.65");
        assert_eq!(written(|out| push_f64(out, 24588.0)), "24588");
        assert_eq!(written(|out| push_f64(out, f64::NAN)), "null");
        assert_eq!(written(|out| push_f64(out, f64::NEG_INFINITY)), "null");
    }

    #[test]
    fn an_object_has_commas_between_members_only() {
        let text = written(|out| {
            let mut object = Object::begin(out);
            object.u64("a", 1);
            object.i64("b", -2);
            object.scaled("c", 105, 1);
            object.f64("d", 0.5);
            object.str("e", "x\"y\\\n");
            object.end();
        });
        assert_eq!(text, r#"{"a":1,"b":-2,"c":10.5,"d":0.5,"e":"x\"y\\\u000a"}"#);
        assert_eq!(written(|out| Object::begin(out).end()), "{}");
    }

    proptest! {
        #[test]
        fn scaled_text_is_the_integer_again(value in any::<i64>(), decimals in 0u32..=18) {
            let text = scaled(value, decimals);
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            prop_assert!(!fraction.ends_with('0') && !text.contains('e'));
            let digits = format!("{whole}{fraction:0<width$}", width = decimals as usize);
            prop_assert_eq!(digits.parse::<i128>().expect("digits"), i128::from(value));
        }

        #[test]
        fn strings_read_back_the_same(text in any::<String>()) {
            let json = written(|out| push_str(out, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), text);
        }

        #[test]
        fn floats_read_back_the_same(value in proptest::num::f64::NORMAL) {
            let json = written(|out| push_f64(out, value));
            prop_assert_eq!(json.parse::<f64>().expect("number"), value);
        }
    }
}
