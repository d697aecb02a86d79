//! Bulk subscriptions: one call for all rows of a request.

use gateway_matcher_core::answer;
use gateway_matcher_core::engine::Engine as Core;
use gateway_matcher_core::topic::Mode;
use gateway_matcher_core::types::Refusal;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyDict, PyTuple};

/// `(exchange, symbol, mode)` as the session checked it.
pub type Row = (PyBackedStr, PyBackedStr, u8);
/// `(exchange, symbol, mode)` on its way back.
pub type Named = (&'static str, String, u8);

/// What became of the rows of one subscribe request.
#[pyclass(module = "gateway_matcher")]
pub struct Subscriptions {
    reader: u32,
    /// Instrument and mode of each row; `None` where it was refused.
    rows: Vec<Option<(u32, Mode)>>,
    /// Indexes of rows whose instrument nobody held in that mode before.
    #[pyo3(get)]
    first: Vec<usize>,
    /// `(index, reason)` of refused rows: `exchange`, `symbol`, `reader full`, `engine full`, `closed`.
    #[pyo3(get)]
    refused: Vec<(usize, &'static str)>,
}

/// The mode with a client's number.
pub fn mode(number: u8) -> PyResult<Mode> {
    Mode::from_number(number).ok_or_else(|| PyValueError::new_err(format!("mode is {number}; it may be 1, 2 or 3")))
}

/// Names an instrument for Python.
pub fn named(core: &Core, instrument: u32, mode: Mode) -> Named {
    let known = core.instrument(instrument);
    (gateway_matcher_core::topic::EXCHANGES[usize::from(known.exchange)], known.symbol.to_string(), mode as u8)
}

impl Subscriptions {
    /// Subscribes all rows.
    pub fn take(core: &mut Core, reader: u32, rows: &[Row], window_ms: u32) -> PyResult<Self> {
        let mut taken =
            Subscriptions { reader, rows: Vec::with_capacity(rows.len()), first: Vec::new(), refused: Vec::new() };
        for (at, (exchange, symbol, number)) in rows.iter().enumerate() {
            let mode = mode(*number)?;
            match core.subscribe(reader, exchange, symbol, mode, window_ms) {
                Ok(done) => {
                    if done.first {
                        taken.first.push(at);
                    }
                    taken.rows.push(Some((done.instrument, mode)));
                }
                Err(refusal) => {
                    taken.refused.push((at, reason(refusal)));
                    taken.rows.push(None);
                }
            }
        }
        Ok(taken)
    }

    /// Takes one row back.
    pub fn undo(&mut self, core: &mut Core, at: usize) {
        if let Some((instrument, mode)) = self.rows.get_mut(at).and_then(Option::take) {
            core.unsubscribe(self.reader, instrument, mode);
        }
    }

    /// Queues last known values of all rows that hold.
    pub fn snapshots(&self, core: &mut Core, now_ns: u64) {
        for (instrument, mode) in self.rows.iter().flatten() {
            core.snapshot(self.reader, *instrument, *mode, now_ns);
        }
    }

    /// The rows of the answer as JSON text: `failed` holds the text of rows that failed, by index.
    pub fn answer<'py>(
        &self,
        py: Python<'py>,
        core: &Core,
        depth: u32,
        failed: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::with_capacity(self.rows.len() * 112 + 2);
        out.push(b'[');
        for (at, row) in self.rows.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            if let Some((instrument, mode)) = row {
                let known = core.instrument(*instrument);
                answer::push_success(
                    &mut out,
                    known.exchange,
                    &known.symbol,
                    *mode,
                    depth,
                    core.broker_name(known.broker),
                );
            } else {
                let text = failed
                    .get_item(at)?
                    .ok_or_else(|| PyValueError::new_err(format!("no text for failed row {at}")))?;
                out.extend_from_slice(text.cast::<PyBytes>()?.as_bytes());
            }
        }
        out.push(b']');
        Ok(PyBytes::new(py, &out))
    }
}

#[pymethods]
impl Subscriptions {
    fn __len__(&self) -> usize {
        self.rows.len()
    }
}

fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Exchange => "exchange",
        Refusal::Symbol => "symbol",
        Refusal::ReaderFull => "reader full",
        Refusal::EngineFull => "engine full",
        Refusal::Closed => "closed",
    }
}

/// Ends subscriptions: per row the modes that ended, and all that nobody holds any more.
/// Mode 0 in a row means every mode the reader holds.
pub fn unsubscribe(core: &mut Core, reader: u32, rows: &[Row]) -> PyResult<(Vec<Vec<u8>>, Vec<Named>)> {
    let (mut ended, mut released) = (Vec::with_capacity(rows.len()), Vec::new());
    for (exchange, symbol, number) in rows {
        let modes = if *number == 0 { Mode::ALL.to_vec() } else { vec![mode(*number)?] };
        let exchange = gateway_matcher_core::topic::exchange_id(exchange);
        let instrument = exchange.and_then(|exchange| core.instruments().find(exchange, symbol));
        let mut gone = Vec::new();
        if let Some(instrument) = instrument {
            for mode in modes {
                if let Some(last) = core.unsubscribe(reader, instrument, mode) {
                    gone.push(mode as u8);
                    if last {
                        released.push(named(core, instrument, mode));
                    }
                }
            }
        }
        ended.push(gone);
    }
    Ok((ended, released))
}

/// Keeps `PyTuple` rows cheap: a list of tuples is read without building Python objects.
pub fn rows(list: &Bound<'_, PyAny>) -> PyResult<Vec<Row>> {
    list.try_iter()?
        .map(|row| {
            let row = row?;
            let row = row.cast::<PyTuple>()?;
            Ok((row.get_item(0)?.extract()?, row.get_item(1)?.extract()?, row.get_item(2)?.extract()?))
        })
        .collect()
}
