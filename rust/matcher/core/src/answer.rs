//! Rows of subscribe answers as JSON text, so that thousands of them cost no Python object each.

use crate::topic::{EXCHANGES, Mode};

/// Appends `{"symbol":…,"status":"success",…}` (websocket-protocol, "Answers").
pub fn push_success(out: &mut Vec<u8>, exchange: u8, symbol: &str, mode: Mode, depth: u32, broker: &str) {
    for piece in [
        "{\"symbol\":\"",
        symbol,
        "\",\"exchange\":\"",
        EXCHANGES[usize::from(exchange)],
        "\",\"status\":\"success\",\"mode\":\"",
        mode.label(),
        "\",\"depth\":",
        itoa::Buffer::new().format(depth),
        ",\"broker\":\"",
        broker,
        "\"}",
    ] {
        out.extend_from_slice(piece.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row() {
        let mut out = Vec::new();
        push_success(&mut out, 0, "SBIN", Mode::Quote, 5, "zerodha");
        assert_eq!(
            String::from_utf8_lossy(&out),
            r#"{"symbol":"SBIN","exchange":"NSE","status":"success","mode":"Quote","depth":5,"broker":"zerodha"}"#
        );
    }
}
