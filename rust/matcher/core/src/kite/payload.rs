//! A Kite tick as the JSON payload of the bus (KITE section 7, websocket-protocol "Market data").

use crate::json_out::{Object, push_scaled, push_u64};

use super::packet::{Body, Depth, KiteTick, Level, Ohlc, Trade};

/// Decimals of `change_percent`.
const PERCENT_DECIMALS: u32 = 4;

/// Appends the payload of `tick`. `now_ms` stands in where the broker sent no exchange time.
pub(super) fn write(out: &mut Vec<u8>, tick: &KiteTick, now_ms: i64) {
    let mut object = Object::begin(out);
    object.scaled("ltp", i64::from(tick.ltp), tick.decimals);
    if let Some(depth) = tick.depth().filter(|depth| depth.ltt != 0) {
        object.u64("ltt", u64::from(depth.ltt) * 1000);
    }
    if let Some(trade) = tick.trade() {
        quantities(&mut object, &trade, tick.decimals);
    }
    if let Some(ohlc) = tick.ohlc() {
        prices(&mut object, tick, &ohlc);
    }
    match &tick.body {
        Body::Full(_, _, depth) => full(&mut object, depth, tick.decimals),
        // a Depth holder of an index gets its ticks too; there is just nothing in the book
        Body::Index { timestamp: Some(_), .. } => {
            object.key("depth").extend_from_slice(br#"{"buy":[],"sell":[]}"#);
        }
        Body::Ltp | Body::Index { .. } | Body::Quote(..) => {}
    }
    object.i64("timestamp", tick.timestamp_ms().unwrap_or(now_ms));
    object.end();
}

/// Some readers know the last quantity and the average price by their longer names, so both go out.
fn quantities(object: &mut Object<'_>, trade: &Trade, decimals: u32) {
    object.u64("ltq", u64::from(trade.ltq));
    object.u64("last_trade_quantity", u64::from(trade.ltq));
    object.u64("volume", u64::from(trade.volume));
    object.scaled("average_price", i64::from(trade.average_price), decimals);
    object.scaled("avg_trade_price", i64::from(trade.average_price), decimals);
    object.u64("total_buy_quantity", u64::from(trade.total_buy_quantity));
    object.u64("total_sell_quantity", u64::from(trade.total_sell_quantity));
}

fn prices(object: &mut Object<'_>, tick: &KiteTick, ohlc: &Ohlc) {
    for (key, price) in [("open", ohlc.open), ("high", ohlc.high), ("low", ohlc.low), ("close", ohlc.close)] {
        object.scaled(key, i64::from(price), tick.decimals);
    }
    if ohlc.close != 0 {
        let change = i64::from(tick.ltp) - i64::from(ohlc.close);
        object.scaled("change", change, tick.decimals);
        object.scaled("change_percent", percent(change, ohlc.close), PERCENT_DECIMALS);
    }
}

/// `change` ÷ `close` in percent × 10^[`PERCENT_DECIMALS`], from the integers, half away from zero.
fn percent(change: i64, close: u32) -> i64 {
    let close = i64::from(close);
    let scaled = change * 100 * 10i64.pow(PERCENT_DECIMALS);
    (scaled + scaled.signum() * (close / 2)) / close
}

fn full(object: &mut Object<'_>, depth: &Depth, decimals: u32) {
    object.u64("oi", u64::from(depth.oi));
    for (key, levels) in [("bid", &depth.buy), ("ask", &depth.sell)] {
        if levels[0].price != 0 {
            object.scaled(key, i64::from(levels[0].price), decimals);
        }
    }
    let out = object.key("depth");
    out.extend_from_slice(br#"{"buy":"#);
    side(out, &depth.buy, decimals);
    out.extend_from_slice(br#","sell":"#);
    side(out, &depth.sell, decimals);
    out.push(b'}');
}

/// Unused levels (all zero) are no levels and are left out.
fn side(out: &mut Vec<u8>, levels: &[Level], decimals: u32) {
    out.push(b'[');
    let mut first = true;
    for level in levels.iter().filter(|level| **level != Level::default()) {
        if !first {
            out.push(b',');
        }
        first = false;
        out.extend_from_slice(br#"{"price":"#);
        push_scaled(out, i64::from(level.price), decimals);
        out.extend_from_slice(br#","quantity":"#);
        push_u64(out, u64::from(level.quantity));
        out.extend_from_slice(br#","orders":"#);
        push_u64(out, u64::from(level.orders));
        out.push(b'}');
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn percent_rounds_half_away_from_zero() {
        assert_eq!(percent(1, 3), 333_333);
        assert_eq!(percent(2, 3), 666_667);
        assert_eq!(percent(-2, 3), -666_667);
        assert_eq!(percent(1, 2_000_000), 1); // half of 0.0001 %
        assert_eq!(percent(-1, 2_000_000), -1);
        assert_eq!(percent(0, 7), 0);
        assert_eq!(percent(i64::from(u32::MAX) - 1, 1), 4_294_967_294_000_000);
    }
}
