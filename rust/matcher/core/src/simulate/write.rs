//! A simulated instrument as the JSON object of a tick (websocket-protocol, "Market data").

use super::{Instrument, mix};
use crate::json_out::Object;
use crate::topic::Mode;

const LEVELS: usize = 5;

/// Appends the instrument's tick in `mode`, stamped `now_ms` (Unix ms).
///
/// An index has no trades and no book: quantities, bid and ask are left out, its depth has no levels (as Kite's).
pub fn write_tick(this: &Instrument, mode: Mode, now_ms: u64, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.scaled("ltp", this.ltp, this.spec.decimals);
    if this.ltt_ms > 0 {
        object.u64("ltt", this.ltt_ms);
    }
    if this.ltq > 0 {
        object.u64("ltq", this.ltq);
    }
    object.u64("timestamp", now_ms);
    if mode >= Mode::Quote {
        day(this, &mut object);
    }
    if mode >= Mode::Quote && this.spec.traded {
        let book = Book::of(this);
        quantities(this, &book, &mut object);
        if mode == Mode::Depth {
            depth(this, &book, &mut object);
        }
    } else if mode == Mode::Depth {
        object.key("depth").extend_from_slice(b"{\"buy\":[],\"sell\":[]}");
    }
    object.end();
}

fn day(this: &Instrument, object: &mut Object<'_>) {
    let decimals = this.spec.decimals;
    object.scaled("open", this.open, decimals);
    object.scaled("high", this.high, decimals);
    object.scaled("low", this.low, decimals);
    object.scaled("close", this.close, decimals);
    let change = this.ltp - this.close;
    object.scaled("change", change, decimals);
    object.scaled("change_percent", rounded(i128::from(change) * 10_000, i128::from(this.close)), 2);
}

fn quantities(this: &Instrument, book: &Book, object: &mut Object<'_>) {
    let decimals = this.spec.decimals;
    object.u64("volume", this.volume);
    let average = rounded(this.value as i128, i128::from(this.volume.max(1)));
    object.scaled("average_price", average, decimals);
    object.scaled("avg_trade_price", average, decimals);
    if this.ltq > 0 {
        object.u64("last_trade_quantity", this.ltq);
    }
    object.u64("total_buy_quantity", this.buy_lots * this.spec.lot);
    object.u64("total_sell_quantity", this.sell_lots * this.spec.lot);
    if this.oi > 0 {
        object.u64("oi", this.oi);
    }
    object.scaled("bid", book.buy[0].price, decimals);
    object.scaled("ask", book.sell[0].price, decimals);
}

fn depth(this: &Instrument, book: &Book, object: &mut Object<'_>) {
    let out = object.key("depth");
    out.extend_from_slice(b"{\"buy\":");
    side(&book.buy, this.spec.decimals, out);
    out.extend_from_slice(b",\"sell\":");
    side(&book.sell, this.spec.decimals, out);
    out.push(b'}');
}

fn side(levels: &[Level; LEVELS], decimals: u32, out: &mut Vec<u8>) {
    for (at, level) in levels.iter().enumerate() {
        out.push(if at == 0 { b'[' } else { b',' });
        let mut object = Object::begin(out);
        object.scaled("price", level.price, decimals);
        object.u64("quantity", level.quantity);
        object.u64("orders", level.orders);
        object.end();
    }
    out.push(b']');
}

/// Quotient rounded half away from zero.
pub(super) fn rounded(value: i128, divisor: i128) -> i64 {
    ((value.abs() + divisor / 2) / divisor * value.signum()) as i64
}

#[derive(Clone, Copy, Default)]
struct Level {
    price: i64,
    quantity: u64,
    orders: u64,
}

struct Book {
    buy: [Level; LEVELS],
    sell: [Level; LEVELS],
}

impl Book {
    fn of(this: &Instrument) -> Book {
        Book { buy: levels(this, -1, this.book), sell: levels(this, 1, mix(this.book)) }
    }
}

/// Five levels, each one or two ticks (one in four) beyond the one before.
fn levels(this: &Instrument, direction: i64, seed: u64) -> [Level; LEVELS] {
    let mut side = [Level::default(); LEVELS];
    let mut price = this.ltp;
    let mut bits = seed;
    for level in &mut side {
        bits = mix(bits);
        price += direction * this.spec.tick * if bits & 3 == 0 { 2 } else { 1 };
        let orders = 1 + ((bits >> 2) & 15);
        let quantity = (orders + (bits >> 6) % (orders * 20)) * this.spec.lot;
        *level = Level { price, quantity, orders };
    }
    side
}
