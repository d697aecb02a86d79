//! As much of RFC 6455 as a reading client needs, without copies.

/// Text frame.
pub const TEXT: u8 = 1;
/// Close frame.
pub const CLOSE: u8 = 8;
/// Ping frame.
pub const PING: u8 = 9;
/// Pong frame.
pub const PONG: u8 = 10;

const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0x88];

/// The upgrade request for `host`.
pub fn upgrade_request(host: &str) -> Vec<u8> {
    format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// Appends one masked client frame.
pub fn push_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// One frame of a server: not masked, so its payload is a slice of what was read.
pub struct Frame<'a> {
    /// What kind it is
    pub opcode: u8,
    /// Its payload
    pub payload: &'a [u8],
    /// Its length with header
    pub len: usize,
}

/// The first frame in `bytes`; None while it is not whole.
#[inline]
pub fn first_frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (header, size): (usize, usize) = match second & 0x7f {
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?) as usize),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        short => (2, short as usize),
    };
    let payload = bytes.get(header..header.checked_add(size)?)?;
    Some(Frame { opcode: first & 0x0f, payload, len: header + size })
}

/// The code of a close frame; 1005 where it carries none (RFC 6455 section 7.1.5).
pub fn close_code(payload: &[u8]) -> u16 {
    payload.first_chunk::<2>().map_or(1005, |code| u16::from_be_bytes(*code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_frame(payload: &[u8]) -> Vec<u8> {
        let mut masked = Vec::new();
        push_frame(&mut masked, TEXT, payload);
        let header = masked.len() - payload.len() - 4;
        let mut bytes = masked[..header].to_vec();
        bytes[1] &= 0x7f;
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn frames_of_every_length_class_come_back_and_halves_wait() {
        for size in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; size];
            let bytes = server_frame(&payload);
            let frame = first_frame(&bytes).expect("whole frame");
            assert_eq!((frame.opcode, frame.payload, frame.len), (TEXT, &payload[..], bytes.len()));
            assert!(first_frame(&bytes[..bytes.len() - 1]).is_none());
        }
    }

    #[test]
    fn close_codes() {
        assert_eq!(close_code(&[0x11, 0x38, b'!']), 4408);
        assert_eq!(close_code(&[]), 1005);
    }
}
