//! Random ticks survive the round trip; random bytes never panic.

use proptest::prelude::*;

use super::*;

prop_compose! {
    fn any_ohlc()(open: u32, high: u32, low: u32, close: u32) -> Ohlc {
        Ohlc { open, high, low, close }
    }
}

prop_compose! {
    fn any_trade()(ltq: u32, average_price: u32, volume: u32, total_buy_quantity: u32, total_sell_quantity: u32) -> Trade {
        Trade { ltq, average_price, volume, total_buy_quantity, total_sell_quantity }
    }
}

prop_compose! {
    fn any_level()(quantity: u32, price: u32, orders: u16) -> Level {
        Level { quantity, price, orders }
    }
}

prop_compose! {
    fn any_depth()(
        ltt: u32, oi: u32, oi_day_high: u32, oi_day_low: u32, timestamp: u32,
        buy in prop::array::uniform5(any_level()), sell in prop::array::uniform5(any_level()),
    ) -> Depth {
        Depth { ltt, oi, oi_day_high, oi_day_low, timestamp, buy, sell }
    }
}

fn any_body() -> impl Strategy<Value = (KiteMode, Body)> {
    prop_oneof![
        Just((KiteMode::Ltp, Body::Ltp)),
        (any_ohlc(), any::<i32>(), any::<Option<u32>>()).prop_map(|(ohlc, change, timestamp)| {
            let mode = if timestamp.is_some() { KiteMode::Full } else { KiteMode::Quote };
            (mode, Body::Index { ohlc, change: change.into(), timestamp })
        }),
        (any_trade(), any_ohlc()).prop_map(|(trade, ohlc)| (KiteMode::Quote, Body::Quote(trade, ohlc))),
        (any_trade(), any_ohlc(), any_depth())
            .prop_map(|(trade, ohlc, depth)| (KiteMode::Full, Body::Full(trade, ohlc, depth))),
    ]
}

fn any_tick() -> impl Strategy<Value = KiteTick> {
    let token = prop_oneof![any::<u32>(), Just(INFY), Just(NIFTY), Just(USDINR)];
    (token, any::<u32>(), any_body()).prop_map(|(token, ltp, (mode, body))| KiteTick {
        token,
        decimals: decimals(token),
        mode,
        ltp,
        body,
    })
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(sent in prop::collection::vec(any_tick(), 0..20)) {
        let bytes = frame(&sent.iter().map(encode).collect::<Vec<_>>());
        let (got, counters) = ticks(&bytes);
        prop_assert_eq!(counters.packets, sent.len() as u64);
        prop_assert_eq!(counters.truncated + counters.trailing + counters.unknown_length, 0);
        prop_assert_eq!(got, sent);
    }

    #[test]
    fn every_payload_is_one_json_object(tick in any_tick()) {
        let bytes = frame(&[encode(&KiteTick { token: INFY, ..tick })]);
        let (out, _) = messages(&bytes);
        prop_assert_eq!(out.len(), 1);
        prop_assert!(out[0].1["ltp"].is_number() && out[0].1["timestamp"].is_number());
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        messages(&bytes);
    }

    #[test]
    fn damaged_frames_never_panic(
        sent in prop::collection::vec(any_tick(), 1..6),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut: prop::sample::Index,
    ) {
        let mut bytes = frame(&sent.iter().map(encode).collect::<Vec<_>>());
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let (got, counters) = ticks(&bytes);
        prop_assert_eq!(got.len() as u64, counters.packets);
        messages(&bytes);
    }
}
