//! The decoder against hand-made frames, random bytes and its own encoder.

use serde_json::{Value, json};

use super::*;

mod props;

const INFY: u32 = 408_065;
const NIFTY: u32 = 256_265;
const USDINR: u32 = 294_403;

fn frame(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut out = u16::try_from(packets.len()).expect("few").to_be_bytes().to_vec();
    for packet in packets {
        out.extend(u16::try_from(packet.len()).expect("short").to_be_bytes());
        out.extend(packet);
    }
    out
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// The encoder: what the broker would send for a tick.
fn encode(tick: &KiteTick) -> Vec<u8> {
    let mut out = words(&[tick.token, tick.ltp]);
    match tick.body {
        Body::Ltp => {}
        Body::Index { ohlc, change, timestamp } => {
            out.extend(words(&[ohlc.high, ohlc.low, ohlc.open, ohlc.close]));
            out.extend(i32::try_from(change).expect("i32").to_be_bytes());
            out.extend(timestamp.iter().flat_map(|seconds| seconds.to_be_bytes()));
        }
        Body::Quote(trade, ohlc) => encode_quote(&mut out, &trade, &ohlc),
        Body::Full(trade, ohlc, depth) => {
            encode_quote(&mut out, &trade, &ohlc);
            out.extend(words(&[depth.ltt, depth.oi, depth.oi_day_high, depth.oi_day_low, depth.timestamp]));
            for level in depth.buy.iter().chain(&depth.sell) {
                out.extend(words(&[level.quantity, level.price]));
                out.extend(level.orders.to_be_bytes());
                out.extend([0xAA, 0x55]); // padding is not zero on every server
            }
        }
    }
    out
}

fn encode_quote(out: &mut Vec<u8>, t: &Trade, o: &Ohlc) {
    out.extend(words(&[t.ltq, t.average_price, t.volume, t.total_buy_quantity, t.total_sell_quantity]));
    out.extend(words(&[o.open, o.high, o.low, o.close]));
}

fn ticks(frame: &[u8]) -> (Vec<KiteTick>, Counters) {
    let mut decoder = KiteDecoder::new();
    let mut out = Vec::new();
    decoder.ticks(frame, |tick| out.push(tick));
    (out, decoder.counters())
}

fn messages(frame: &[u8]) -> (Vec<(String, Value)>, Counters) {
    let mut decoder = KiteDecoder::new();
    decoder.set_instruments([(INFY, "NSE", "INFY"), (NIFTY, "NSE_INDEX", "NIFTY"), (USDINR, "CDS", "USDINR26JANFUT")]);
    let mut out = Vec::new();
    decoder.decode(frame, 1_700_000_000_123, |topic, payload| {
        let topic = String::from_utf8(topic.to_vec()).expect("UTF-8");
        out.push((topic, serde_json::from_slice(payload).expect("JSON")));
    });
    (out, decoder.counters())
}

#[test]
fn divisors_follow_the_segment() {
    let expected = [(1, 2), (2, 2), (3, 7), (4, 2), (5, 2), (6, 4), (7, 2), (8, 2), (9, 2), (12, NCO_DECIMALS), (0, 2)];
    for (segment, places) in expected {
        assert_eq!(decimals(0x0001_0000 | segment), places, "segment {segment}");
    }
}

#[test]
fn ltp_goes_out_with_the_receive_time() {
    let (out, _) = messages(&frame(&[words(&[INFY, 141_865])]));
    assert_eq!(out, [("NSE_INFY_LTP".into(), json!({"ltp": 1418.65, "timestamp": 1_700_000_000_123i64}))]);
}

#[test]
fn currency_prices_keep_their_decimals() {
    let ohlc = Ohlc { open: 853_000_000, high: 855_150_000, low: 852_975_000, close: 853_275_000 };
    let trade = Trade { ltq: 10, average_price: 854_187_500, volume: 7, total_buy_quantity: 1, total_sell_quantity: 2 };
    let tick = KiteTick {
        token: USDINR,
        decimals: 7,
        mode: KiteMode::Quote,
        ltp: 854_325_000,
        body: Body::Quote(trade, ohlc),
    };
    let (out, _) = messages(&frame(&[encode(&tick)]));
    let expected = json!({
        "ltp": 85.4325, "ltq": 10, "last_trade_quantity": 10, "volume": 7,
        "average_price": 85.41875, "avg_trade_price": 85.41875,
        "total_buy_quantity": 1, "total_sell_quantity": 2,
        "open": 85.3, "high": 85.515, "low": 85.2975, "close": 85.3275,
        "change": 0.105, "change_percent": 0.1231, "timestamp": 1_700_000_000_123i64
    });
    assert_eq!(out, [("CDS_USDINR26JANFUT_QUOTE".into(), expected)]);
}

#[test]
fn a_full_index_packet_serves_depth_holders_without_a_book() {
    let ohlc = Ohlc { open: 2_473_025, high: 2_479_010, low: 2_458_800, close: 2_475_590 };
    let body = Body::Index { ohlc, change: -14_355, timestamp: Some(1_763_000_000) };
    let tick = KiteTick { token: NIFTY, decimals: 2, mode: KiteMode::Full, ltp: 2_461_235, body };
    let (out, _) = messages(&frame(&[encode(&tick)]));
    let expected = json!({
        "ltp": 24612.35, "open": 24730.25, "high": 24790.1, "low": 24588, "close": 24755.9,
        "change": -143.55, "change_percent": -0.5799, "depth": {"buy": [], "sell": []},
        "timestamp": 1_763_000_000_000i64
    });
    assert_eq!(out, [("NSE_INDEX_NIFTY_DEPTH".into(), expected)]);
}

#[test]
fn unused_levels_and_absent_times_are_left_out() {
    let mut depth = Depth {
        ltt: 0,
        oi: 9,
        oi_day_high: 9,
        oi_day_low: 8,
        timestamp: 0,
        buy: [Level::default(); 5],
        sell: [Level::default(); 5],
    };
    depth.buy[0] = Level { quantity: 75, price: 141_860, orders: 1 };
    let trade = Trade { ltq: 0, average_price: 0, volume: 0, total_buy_quantity: 75, total_sell_quantity: 0 };
    let ohlc = Ohlc { open: 0, high: 0, low: 0, close: 0 };
    let body = Body::Full(trade, ohlc, depth);
    let tick = KiteTick { token: INFY, decimals: 2, mode: KiteMode::Full, ltp: 141_865, body };
    let (out, _) = messages(&frame(&[encode(&tick)]));
    let payload = &out[0].1;
    assert_eq!(out[0].0, "NSE_INFY_DEPTH");
    assert_eq!(payload["depth"], json!({"buy": [{"price": 1418.6, "quantity": 75, "orders": 1}], "sell": []}));
    assert_eq!(payload["bid"], json!(1418.6));
    assert_eq!(payload["oi"], json!(9));
    assert_eq!(payload["timestamp"], json!(1_700_000_000_123i64));
    for absent in ["ltt", "ask", "change", "change_percent"] {
        assert!(payload.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn what_cannot_be_read_is_skipped_and_counted() {
    let good = words(&[INFY, 1]);
    let (out, counters) = messages(&frame(&[good.clone(), vec![0; 12], words(&[77, 1]), good.clone()]));
    assert_eq!(out.len(), 2);
    let expected =
        Counters { frames: 1, packets: 3, unknown_length: 1, unknown_token: 1, published: 2, ..Counters::default() };
    assert_eq!(counters, expected);

    let mut cut = frame(&[good.clone(), good.clone()]);
    cut.pop();
    let (out, counters) = ticks(&cut);
    assert_eq!((out.len(), counters.truncated), (1, 1));

    let mut long = frame(&[good]);
    long.push(0);
    let (out, counters) = ticks(&long);
    assert_eq!((out.len(), counters.trailing, counters.truncated), (1, 1, 0));
}

#[test]
fn short_frames_have_no_packets() {
    assert_eq!(ticks(&[]).1, Counters { frames: 1, ..Counters::default() });
    assert_eq!(ticks(&[0]).1, Counters { frames: 1, heartbeats: 1, ..Counters::default() });
    assert_eq!(ticks(&[0, 0]).1, Counters { frames: 1, ..Counters::default() });
    assert_eq!(ticks(&[0, 1, 0]).1, Counters { frames: 1, truncated: 1, ..Counters::default() });
}
