//! Python face of the Kite decoder: converts, calls, converts.

use gateway_matcher_core::kite::{self, Counters, KiteTick, Level};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

/// Decodes Kite binary frames into bus messages or plain ticks (KITE section 3). Never raises on any bytes.
#[pyclass(module = "gateway_matcher")]
struct KiteDecoder {
    inner: kite::KiteDecoder,
}

type Message<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

#[pymethods]
impl KiteDecoder {
    #[new]
    fn new() -> Self {
        Self { inner: kite::KiteDecoder::new() }
    }

    /// Replaces the token table by `(token, exchange, symbol)` rows.
    fn set_instruments(&mut self, instruments: Vec<(u32, String, String)>) {
        let rows = instruments.iter();
        self.inner.set_instruments(rows.map(|(token, exchange, symbol)| (*token, exchange.as_str(), symbol.as_str())));
    }

    /// The `(topic, payload)` pairs of a frame; `now_ms` where the broker sent no time.
    fn decode<'py>(&mut self, py: Python<'py>, frame: &[u8], now_ms: i64) -> Vec<Message<'py>> {
        let mut out = Vec::new();
        self.inner.decode(frame, now_ms, |topic, payload| {
            out.push((PyBytes::new(py, topic), PyBytes::new(py, payload)));
        });
        out
    }

    /// Every readable tick of a frame as a dict, known instrument or not.
    fn ticks<'py>(&mut self, py: Python<'py>, frame: &[u8]) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let mut ticks = Vec::new();
        self.inner.ticks(frame, |tick| ticks.push(tick));
        ticks.iter().map(|tick| tick_dict(py, tick)).collect()
    }

    /// Counters since the start, by name.
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Counters { frames, heartbeats, packets, unknown_length, truncated, trailing, unknown_token, published } =
            self.inner.counters();
        let dict = PyDict::new(py);
        for (name, value) in [
            ("frames", frames),
            ("heartbeats", heartbeats),
            ("packets", packets),
            ("unknown_length", unknown_length),
            ("truncated", truncated),
            ("trailing", trailing),
            ("unknown_token", unknown_token),
            ("published", published),
        ] {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }
}

fn tick_dict<'py>(py: Python<'py>, tick: &KiteTick) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("instrument_token", tick.token)?;
    dict.set_item("tradable", tick.tradable())?;
    dict.set_item("mode", tick.mode.word())?;
    dict.set_item("ltp", tick.price(tick.ltp))?;
    if let Some(trade) = tick.trade() {
        dict.set_item("ltq", trade.ltq)?;
        dict.set_item("average_price", tick.price(trade.average_price))?;
        dict.set_item("volume", trade.volume)?;
        dict.set_item("total_buy_quantity", trade.total_buy_quantity)?;
        dict.set_item("total_sell_quantity", trade.total_sell_quantity)?;
    }
    if let Some(ohlc) = tick.ohlc() {
        dict.set_item("open", tick.price(ohlc.open))?;
        dict.set_item("high", tick.price(ohlc.high))?;
        dict.set_item("low", tick.price(ohlc.low))?;
        dict.set_item("close", tick.price(ohlc.close))?;
    }
    if let Some(timestamp) = tick.timestamp_ms() {
        dict.set_item("timestamp", timestamp)?;
    }
    add_depth(py, &dict, tick)?;
    Ok(dict)
}

fn add_depth<'py>(py: Python<'py>, dict: &Bound<'py, PyDict>, tick: &KiteTick) -> PyResult<()> {
    let Some(depth) = tick.depth() else {
        return Ok(());
    };
    if depth.ltt != 0 {
        dict.set_item("ltt", i64::from(depth.ltt) * 1000)?;
    }
    dict.set_item("oi", depth.oi)?;
    dict.set_item("oi_day_high", depth.oi_day_high)?;
    dict.set_item("oi_day_low", depth.oi_day_low)?;
    let sides = PyDict::new(py);
    sides.set_item("buy", level_list(py, tick, &depth.buy)?)?;
    sides.set_item("sell", level_list(py, tick, &depth.sell)?)?;
    dict.set_item("depth", sides)
}

fn level_list<'py>(py: Python<'py>, tick: &KiteTick, levels: &[Level]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for level in levels {
        let dict = PyDict::new(py);
        dict.set_item("price", tick.price(level.price))?;
        dict.set_item("quantity", level.quantity)?;
        dict.set_item("orders", level.orders)?;
        list.append(dict)?;
    }
    Ok(list)
}

/// Adds the class to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<KiteDecoder>()
}
