//! The subcommand `flood`: a server that writes prepared frames without pause, to know what the readers can take.

use crate::Fallible;
use crate::args::FloodArgs;
use crate::stamp::symbol_name;
use crate::system::unix_ns;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const SYMBOLS: usize = 100;
/// Frames in one write, a multiple of the symbols.
const FRAMES: usize = 400;

/// Waits for the readers, floods them, leaves.
pub fn run(args: &FloodArgs) -> Fallible<()> {
    let listener = TcpListener::bind(&args.address)?;
    let mut readers = Vec::new();
    while readers.len() < args.connections {
        readers.push(upgrade(listener.accept()?.0)?);
    }
    std::thread::sleep(Duration::from_millis(300));
    let mut round = 0;
    let mut frames = 0_u64;
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < args.seconds {
        let chunk = chunk(round, unix_ns());
        for reader in &mut readers {
            reader.write_all(&chunk)?;
            frames += FRAMES as u64;
        }
        round += 1;
    }
    let rate = frames as f64 / start.elapsed().as_secs_f64();
    println!("{}", serde_json::json!({"event": "flooded", "frames": frames, "frames_per_s": rate}));
    Ok(())
}

fn upgrade(mut stream: TcpStream) -> Fallible<TcpStream> {
    let mut request = Vec::new();
    let mut bytes = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            return Err("a reader left during its upgrade".into());
        }
        request.extend_from_slice(&bytes[..count]);
    }
    stream.set_nodelay(true)?;
    stream.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    )?;
    Ok(stream)
}

/// `FRAMES` frames of the length that the gateway sends, numbered so that nothing is missing.
fn chunk(round: usize, now_ns: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAMES * 256);
    for frame in 0..FRAMES {
        let index = frame % SYMBOLS;
        let seq = round * (FRAMES / SYMBOLS) + frame / SYMBOLS + 1;
        let text = format!(
            "{{\"type\":\"market_data\",\"symbol\":\"{}\",\"exchange\":\"NSE\",\"mode\":1,\"broker\":\"bus\",\
             \"data\":{{\"pub_ns\":{now_ns},\"seq\":{seq},\"idx\":{index},\"ltt\":1705294800000,\
             \"timestamp\":1705294800000,\"ltq\":10,\"ltp\":625.45}}}}",
            symbol_name(index)
        );
        out.extend_from_slice(&[0x81, 126]);
        out.extend_from_slice(&(text.len() as u16).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out
}
