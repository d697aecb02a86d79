//! WebSocket frames of market data. A server frame is the same bytes for every reader, so one serves all.

use crate::scan;
use crate::topic::{EXCHANGES, Mode};

/// The shape of market data that a client chose when it authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Format {
    /// `{"type":"market_data",…,"data":{…}}`
    Nested = 0,
    /// The data fields beside `symbol` and `exchange`.
    Flat = 1,
}

/// What goes into one frame.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Index into [`EXCHANGES`].
    pub exchange: u8,
    /// Symbol; needs no escaping ([`crate::topic::well_formed_symbol`]).
    pub symbol: &'a str,
    /// The mode the client subscribed in.
    pub mode: Mode,
    /// Name of the feed; needs no escaping.
    pub broker: &'a str,
    /// The publisher's JSON object.
    pub payload: &'a [u8],
    /// The payload holds keys that the flat format must drop.
    pub reserved_keys: bool,
    /// Marks a last known value sent after a subscribe.
    pub snapshot: bool,
}

/// Appends one complete text frame, header included, to `out`.
pub fn push(out: &mut Vec<u8>, format: Format, parts: &Parts<'_>) {
    match format {
        Format::Nested => push_nested(out, parts),
        Format::Flat => push_flat(out, parts),
    }
}

fn push_nested(out: &mut Vec<u8>, parts: &Parts<'_>) {
    const MODES: [&str; 3] =
        ["\",\"mode\":1,\"broker\":\"", "\",\"mode\":2,\"broker\":\"", "\",\"mode\":3,\"broker\":\""];
    let pieces: [&[u8]; 9] = [
        b"{\"type\":\"market_data\",\"symbol\":\"",
        parts.symbol.as_bytes(),
        b"\",\"exchange\":\"",
        EXCHANGES[usize::from(parts.exchange)].as_bytes(),
        MODES[parts.mode.index()].as_bytes(),
        parts.broker.as_bytes(),
        if parts.snapshot { b"\",\"snapshot\":true,\"data\":" } else { b"\",\"data\":" },
        parts.payload,
        b"}",
    ];
    push_text(out, &pieces);
}

fn push_flat(out: &mut Vec<u8>, parts: &Parts<'_>) {
    let stripped;
    let members = if parts.reserved_keys {
        stripped = scan::without_reserved(parts.payload);
        stripped.as_slice()
    } else {
        inner(parts.payload)
    };
    let pieces: [&[u8]; 8] = [
        b"{\"symbol\":\"",
        parts.symbol.as_bytes(),
        b"\",\"exchange\":\"",
        EXCHANGES[usize::from(parts.exchange)].as_bytes(),
        if parts.snapshot { b"\",\"snapshot\":true" } else { b"\"" },
        if members.is_empty() { b"" } else { b"," },
        members,
        b"}",
    ];
    push_text(out, &pieces);
}

/// The text between the braces of an object that passed [`scan::scan`].
fn inner(payload: &[u8]) -> &[u8] {
    let text = payload.trim_ascii();
    text[1..text.len() - 1].trim_ascii()
}

/// Appends a text frame made of `pieces`.
pub fn push_text(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    let size: usize = pieces.iter().map(|piece| piece.len()).sum();
    out.reserve(size + 10);
    push_header(out, size);
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

fn push_header(out: &mut Vec<u8>, size: usize) {
    const FINAL_TEXT: u8 = 0x81;
    match size {
        0..=125 => out.extend_from_slice(&[FINAL_TEXT, size as u8]),
        126..=65535 => {
            let [a, b] = (size as u16).to_be_bytes();
            out.extend_from_slice(&[FINAL_TEXT, 126, a, b]);
        }
        _ => {
            out.extend_from_slice(&[FINAL_TEXT, 127]);
            out.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(format: Format, payload: &str, reserved_keys: bool, snapshot: bool) -> String {
        let mut out = Vec::new();
        let payload = payload.as_bytes();
        let parts =
            Parts { exchange: 0, symbol: "SBIN", mode: Mode::Ltp, broker: "zerodha", payload, reserved_keys, snapshot };
        push(&mut out, format, &parts);
        let header = if out[1] < 126 { 2 } else { 4 };
        assert_eq!(out[0], 0x81);
        let size = if header == 2 { usize::from(out[1]) } else { usize::from(u16::from_be_bytes([out[2], out[3]])) };
        assert_eq!(size, out.len() - header);
        String::from_utf8(out.split_off(header)).expect("UTF-8")
    }

    #[test]
    fn nested() {
        assert_eq!(
            built(Format::Nested, "{ \"ltp\": 1 }", false, false),
            r#"{"type":"market_data","symbol":"SBIN","exchange":"NSE","mode":1,"broker":"zerodha","data":{ "ltp": 1 }}"#
        );
        assert_eq!(
            built(Format::Nested, "{}", false, true),
            r#"{"type":"market_data","symbol":"SBIN","exchange":"NSE","mode":1,"broker":"zerodha","snapshot":true,"data":{}}"#
        );
    }

    #[test]
    fn flat() {
        assert_eq!(
            built(Format::Flat, r#" {"ltp":1} "#, false, false),
            r#"{"symbol":"SBIN","exchange":"NSE","ltp":1}"#
        );
        assert_eq!(
            built(Format::Flat, r#"{"mode":9,"ltp":1}"#, true, true),
            r#"{"symbol":"SBIN","exchange":"NSE","snapshot":true,"ltp":1}"#
        );
        assert_eq!(built(Format::Flat, "{ }", false, false), r#"{"symbol":"SBIN","exchange":"NSE"}"#);
    }

    #[test]
    fn long_frames_have_long_headers() {
        let mut out = Vec::new();
        push_text(&mut out, &[&vec![b'x'; 70_000]]);
        assert_eq!(&out[..10], &[0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
    }
}
