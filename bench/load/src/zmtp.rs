//! A ZeroMQ PUB socket that connects to one SUB: ZMTP 3.1 with the NULL mechanism (RFC 37/ZMTP).
//!
//! It never blocks on sending: what the other side does not take waits in a buffer that the caller can watch.

use crate::Fallible;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// The socket.
pub struct Publisher {
    stream: TcpStream,
    out: Vec<u8>,
    sent: usize,
}

impl Publisher {
    /// Connects, greets and waits until the other side has subscribed to something.
    pub fn connect(address: &str, wait: Duration) -> Fallible<Self> {
        let deadline = Instant::now() + wait;
        let mut stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => {
                    return Err(format!("no bus at {address}: {error}").into());
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(wait))?;
        stream.write_all(&greeting())?;
        let mut theirs = [0; 64];
        stream.read_exact(&mut theirs)?;
        if theirs[0] != 0xff || theirs[9] != 0x7f || theirs[10] < 3 {
            return Err("the other side does not speak ZMTP 3".into());
        }
        stream.write_all(&ready())?;
        while !is_subscription(&read_frame(&mut stream)?) {}
        stream.set_nonblocking(true)?;
        Ok(Self { stream, out: Vec::with_capacity(1 << 20), sent: 0 })
    }

    /// Queues one message of two frames.
    #[inline]
    pub fn push(&mut self, topic: &[u8], payload: &[u8]) {
        push_frame(&mut self.out, MORE, topic);
        push_frame(&mut self.out, 0, payload);
    }

    /// Bytes that wait for the other side.
    pub fn waiting(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Writes as much as the socket takes now.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.compact();
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// Keeps the written part of the buffer from growing without end.
    fn compact(&mut self) {
        if self.sent > 1 << 20 && self.sent * 2 > self.out.len() {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }
}

fn greeting() -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[0] = 0xff;
    bytes[9] = 0x7f;
    bytes[10] = 3;
    bytes[11] = 1;
    bytes[12..16].copy_from_slice(b"NULL");
    bytes
}

fn ready() -> Vec<u8> {
    let mut body = b"\x05READY\x0bSocket-Type".to_vec();
    body.extend_from_slice(&3_u32.to_be_bytes());
    body.extend_from_slice(b"PUB");
    let mut bytes = Vec::new();
    push_frame(&mut bytes, COMMAND, &body);
    bytes
}

fn push_frame(out: &mut Vec<u8>, flags: u8, body: &[u8]) {
    if body.len() < 256 {
        out.extend_from_slice(&[flags, body.len() as u8]);
    } else {
        out.push(flags | LONG);
        out.extend_from_slice(&(body.len() as u64).to_be_bytes());
    }
    out.extend_from_slice(body);
}

fn read_frame(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut flags = [0];
    stream.read_exact(&mut flags)?;
    let mut size = [0; 8];
    let long = flags[0] & LONG != 0;
    stream.read_exact(if long { &mut size[..] } else { &mut size[7..] })?;
    let size = u64::from_be_bytes(size);
    if size > 1 << 20 {
        return Err(io::Error::other("the bus sent an oversized frame"));
    }
    let mut body = vec![0; size as usize];
    stream.read_exact(&mut body)?;
    Ok((flags[0], body))
}

/// A subscription is a command in ZMTP 3.1 and a message that begins with 1 in 3.0.
fn is_subscription((flags, body): &(u8, Vec<u8>)) -> bool {
    if flags & COMMAND != 0 { body.starts_with(b"\x09SUBSCRIBE") } else { body.first() == Some(&1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_frames() {
        let mut out = Vec::new();
        push_frame(&mut out, MORE, b"NSE_SBIN_LTP");
        assert_eq!(&out[..2], &[1, 12]);
        out.clear();
        push_frame(&mut out, 0, &[b'x'; 300]);
        assert_eq!(&out[..9], &[2, 0, 0, 0, 0, 0, 0, 1, 44]);
    }

    #[test]
    fn subscriptions_of_both_versions() {
        assert!(is_subscription(&(COMMAND, b"\x09SUBSCRIBE".to_vec())));
        assert!(is_subscription(&(0, b"\x01".to_vec())));
        assert!(!is_subscription(&(COMMAND, b"\x05READY".to_vec())));
    }
}
