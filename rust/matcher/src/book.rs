//! `Matcher` for Python: orders in, decisions out, prices as whole numbers of 10⁻⁸.

use gateway_matcher_core::book::gtt::{Gtt, Leg};
use gateway_matcher_core::book::order::{Order, State, Terms};
use gateway_matcher_core::book::quote::Side;
use gateway_matcher_core::book::types::{Decision, Entry, Refusal, Source};
use gateway_matcher_core::book::{Limits, Matcher as Core};
use gateway_matcher_core::fixed::{Price, SCALE};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::subscriptions;

/// `(id, sequence, side, pricetype, price, trigger)`.
type OrderRow = (u64, u64, PyBackedStr, PyBackedStr, Option<i64>, Option<i64>);
/// The same on its way out, with "is the trigger spent" behind.
type OrderOut = (u64, u64, &'static str, &'static str, Option<i64>, Option<i64>, bool);
/// `(what, price of a fill)`.
type EntryOut = (&'static str, Option<i64>);

/// Resting orders, GTTs and last values of the trade process.
#[pyclass(module = "gateway_matcher")]
pub struct Matcher {
    core: Core,
}

#[pymethods]
impl Matcher {
    /// Prices are whole numbers of this fraction of the currency unit.
    #[classattr]
    const PRICE_SCALE: i64 = SCALE;

    /// An empty matcher; `payload` is the largest tick in bytes.
    #[new]
    #[pyo3(signature = (*, instruments = 250_000, payload = 65_536))]
    fn new(instruments: usize, payload: usize) -> Self {
        Matcher { core: Core::new(Limits { instruments, payload }) }
    }

    /// Takes a tick; returns what it did, in time priority. A replay fires nothing that rests.
    #[pyo3(signature = (topic, payload, arrival_ns, replay = false))]
    fn ingest<'py>(
        &mut self,
        py: Python<'py>,
        topic: &[u8],
        payload: &[u8],
        arrival_ns: u64,
        replay: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let source = if replay { Source::Replay } else { Source::Live };
        let decisions = self.core.ingest(topic, payload, arrival_ns, source);
        if decisions.is_empty() {
            // Python has but one empty tuple.
            return Ok(PyTuple::empty(py));
        }
        let rows: Vec<_> = decisions.into_iter().map(|decision| decision_out(py, decision)).collect::<PyResult<_>>()?;
        PyTuple::new(py, rows)
    }

    /// Judges a new order by the last fresh price and lets it rest where it does not fill.
    fn enter(
        &mut self,
        exchange: &str,
        symbol: &str,
        order: OrderRow,
        now_ns: u64,
        max_age_ns: u64,
    ) -> PyResult<EntryOut> {
        let order = order_in(&order, false)?;
        let entry = self.core.enter(exchange, symbol, order, now_ns, max_age_ns);
        entry.map(entry_out).map_err(|refusal| refused(refusal, order.id))
    }

    /// Gives a resting order other terms and judges it as at entry.
    fn modify(
        &mut self,
        order_id: u64,
        pricetype: &str,
        price: Option<i64>,
        trigger: Option<i64>,
        now_ns: u64,
        max_age_ns: u64,
    ) -> PyResult<EntryOut> {
        let entry = self.core.modify(order_id, terms(pricetype, price, trigger)?, now_ns, max_age_ns);
        entry.map(entry_out).map_err(|refusal| refused(refusal, order_id))
    }

    /// Takes an order out; returns it as it was.
    fn remove(&mut self, order_id: u64) -> Option<OrderOut> {
        self.core.remove(order_id).map(|order| order_out(&order))
    }

    /// Lets an order rest as it is given, unjudged.
    #[pyo3(signature = (exchange, symbol, order, triggered = false))]
    fn restore(&mut self, exchange: &str, symbol: &str, order: OrderRow, triggered: bool) -> PyResult<()> {
        let order = order_in(&order, triggered)?;
        self.core.restore(exchange, symbol, order).map_err(|refusal| refused(refusal, order.id))
    }

    /// Lets a GTT wait, or wait again.
    fn add_gtt(
        &mut self,
        exchange: &str,
        symbol: &str,
        gtt_id: u64,
        sequence: u64,
        sl: Option<i64>,
        tg: Option<i64>,
    ) -> PyResult<()> {
        let gtt = Gtt { id: gtt_id, sequence, sl: sl.map(Price), tg: tg.map(Price) };
        self.core.add_gtt(exchange, symbol, gtt).map_err(|refusal| refused(refusal, gtt_id))
    }

    /// Gives a waiting GTT other triggers.
    fn modify_gtt(&mut self, gtt_id: u64, sl: Option<i64>, tg: Option<i64>) -> PyResult<()> {
        self.core.modify_gtt(gtt_id, sl.map(Price), tg.map(Price)).map_err(|refusal| refused(refusal, gtt_id))
    }

    /// Takes a GTT out; says whether it waited.
    fn remove_gtt(&mut self, gtt_id: u64) -> bool {
        self.core.remove_gtt(gtt_id).is_some()
    }

    /// Empties the book; last values stay.
    fn clear(&mut self) {
        self.core.clear();
    }

    /// A resting order.
    fn order(&self, order_id: u64) -> Option<OrderOut> {
        self.core.order(order_id).map(order_out)
    }

    /// `(id, sequence, sl, tg)` of a waiting GTT.
    fn gtt(&self, gtt_id: u64) -> Option<(u64, u64, Option<i64>, Option<i64>)> {
        let found = self.core.gtt(gtt_id)?;
        Some((found.id, found.sequence, found.sl.map(|price| price.0), found.tg.map(|price| price.0)))
    }

    /// How many orders rest and how many GTTs wait.
    fn resting(&self) -> (usize, usize) {
        self.core.resting()
    }

    /// `(ltp, bid, ask, arrival_ns)` that an order would enter on if it is fresh.
    fn quote(&self, exchange: &str, symbol: &str) -> Option<(i64, Option<i64>, Option<i64>, u64)> {
        let found = self.core.quote(exchange, symbol)?;
        Some((found.ltp.0, found.bid.map(|price| price.0), found.ask.map(|price| price.0), found.arrival_ns))
    }

    /// The newest payload that serves a mode, with its arrival.
    fn last_value<'py>(
        &self,
        py: Python<'py>,
        exchange: &str,
        symbol: &str,
        mode: u8,
    ) -> PyResult<Option<(Bound<'py, PyBytes>, u64)>> {
        let value = self.core.last_value(exchange, symbol, subscriptions::mode(mode)?);
        Ok(value.map(|value| (PyBytes::new(py, &value.payload.text()), value.arrival.unix_ns)))
    }

    /// All counters by name.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.core.stats();
        let (orders, gtts) = self.core.resting();
        let out = PyDict::new(py);
        for (name, value) in [
            ("ticks", stats.ticks),
            ("replays", stats.replays),
            ("bad_topic", stats.bad_topic),
            ("bad_payload", stats.bad_payload),
            ("too_large", stats.too_large),
            ("too_many_instruments", stats.too_many_instruments),
            ("no_price", stats.no_price),
            ("stale", stats.stale),
            ("orders", orders as u64),
            ("gtts", gtts as u64),
        ] {
            out.set_item(name, value)?;
        }
        Ok(out)
    }
}

fn order_in(row: &OrderRow, triggered: bool) -> PyResult<Order> {
    let (id, sequence, side, pricetype, price, trigger) = row;
    let side = match &**side {
        "BUY" => Side::Buy,
        "SELL" => Side::Sell,
        other => return Err(PyValueError::new_err(format!("side is {other:?}; it may be BUY or SELL"))),
    };
    Ok(Order { id: *id, sequence: *sequence, side, terms: terms(pricetype, *price, *trigger)?, triggered })
}

/// A price type with the fields that belong to it; others are dropped.
fn terms(pricetype: &str, price: Option<i64>, trigger: Option<i64>) -> PyResult<Terms> {
    let needed = |name: &str, value: Option<i64>| {
        value.map(Price).ok_or_else(|| PyValueError::new_err(format!("{name} is None; {pricetype} needs one above 0")))
    };
    Ok(match pricetype {
        "MARKET" => Terms::Market,
        "LIMIT" => Terms::Limit { price: needed("price", price)? },
        "SL" => Terms::Sl { price: needed("price", price)?, trigger: needed("trigger", trigger)? },
        "SL-M" => Terms::SlM { trigger: needed("trigger", trigger)? },
        other => {
            let text = format!("pricetype is {other:?}; it may be MARKET, LIMIT, SL or SL-M");
            return Err(PyValueError::new_err(text));
        }
    })
}

fn order_out(order: &Order) -> OrderOut {
    let side = match order.side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    };
    let (pricetype, price, trigger) = match order.terms {
        Terms::Market => ("MARKET", None, None),
        Terms::Limit { price } => ("LIMIT", Some(price.0), None),
        Terms::Sl { price, trigger } => ("SL", Some(price.0), Some(trigger.0)),
        Terms::SlM { trigger } => ("SL-M", None, Some(trigger.0)),
    };
    (order.id, order.sequence, side, pricetype, price, trigger, order.triggered)
}

fn entry_out(entry: Entry) -> EntryOut {
    match entry {
        Entry::Filled { price } => ("filled", Some(price.0)),
        Entry::Rests { state: State::Open } => ("open", None),
        Entry::Rests { state: State::TriggerPending } => ("trigger pending", None),
        Entry::NoPrice => ("no price", None),
    }
}

fn decision_out(py: Python<'_>, decision: Decision) -> PyResult<Bound<'_, PyTuple>> {
    match decision {
        Decision::Fill { order, price } => ("fill", order, price.0).into_pyobject(py),
        Decision::Triggered { order } => ("triggered", order).into_pyobject(py),
        Decision::GttFired { gtt, leg: Leg::Sl } => ("gtt", gtt, "sl").into_pyobject(py),
        Decision::GttFired { gtt, leg: Leg::Tg } => ("gtt", gtt, "tg").into_pyobject(py),
    }
}

fn refused(refusal: Refusal, id: u64) -> PyErr {
    let text = match refusal {
        Refusal::Exchange => "the exchange is unknown; it may be one of the common names",
        Refusal::Symbol => "the symbol is not 1 to 64 printable ASCII characters without quotes and backslashes",
        Refusal::Price => "a price or trigger is missing or not above 0",
        Refusal::Duplicate => "that number is in the book already",
        Refusal::Unknown => return PyKeyError::new_err(id),
        Refusal::Market => "pricetype is MARKET; only LIMIT, SL and SL-M rest",
        Refusal::Full => "the matcher holds as many instruments as it may",
    };
    PyValueError::new_err(format!("{id}: {text}"))
}

/// Adds the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Matcher>()
}
