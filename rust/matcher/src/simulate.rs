//! Binding of [`gateway_matcher_core::simulate`]: convert, call, convert.

use gateway_matcher_core::simulate::{self as core, Motion, Spec, write_tick};
use gateway_matcher_core::topic::Mode;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

/// `(exchange_symbol, decimals, tick, lot, traded, kind, a, b, c)`; see the stub for `kind` and its numbers.
type Row = (String, u32, i64, u64, bool, String, i64, i64, i64);

/// A simulated market that hands out ticks of what is subscribed.
#[pyclass(module = "gateway_matcher")]
pub struct Simulator {
    core: core::Simulator,
    topics: Vec<[Py<PyBytes>; 3]>,
    modes: Vec<Option<Mode>>,
    buffer: Vec<u8>,
}

#[pymethods]
impl Simulator {
    #[new]
    fn new(py: Python<'_>, seed: u64, rows: Vec<Row>) -> PyResult<Self> {
        let specs = rows.iter().map(spec).collect::<PyResult<Vec<_>>>()?;
        let core = core::Simulator::new(seed, &specs).map_err(PyValueError::new_err)?;
        let topic = |name: &str, mode: Mode| PyBytes::new(py, format!("{name}_{}", mode.segment()).as_bytes()).unbind();
        let topics = rows.iter().map(|row| Mode::ALL.map(|mode| topic(&row.0, mode))).collect();
        Ok(Simulator { core, topics, modes: vec![None; rows.len()], buffer: Vec::with_capacity(1024) })
    }

    /// Sets the mode (1 to 3, 0 for none) in which instrument `index` is handed out.
    fn subscribe(&mut self, index: usize, mode: u8) -> PyResult<()> {
        let slot = self.modes.get_mut(index).ok_or_else(|| PyIndexError::new_err(index))?;
        *slot = match mode {
            0 => None,
            number => Some(Mode::from_number(number).ok_or_else(|| PyValueError::new_err("mode must be 0 to 3"))?),
        };
        Ok(())
    }

    /// Lets `count` trades happen at `now_ms`; returns the subscribed ones as `(topic, payload)`.
    fn advance<'py>(&mut self, py: Python<'py>, count: usize, now_ms: u64) -> PyResult<Bound<'py, PyList>> {
        let ticks = PyList::empty(py);
        for _ in 0..count {
            let Some(index) = self.core.advance(now_ms) else {
                break;
            };
            if let Some(tick) = self.tick(py, index, now_ms)? {
                ticks.append(tick)?;
            }
        }
        Ok(ticks)
    }

    /// The present state of instrument `index` as `(topic, payload)`, or None where it is not subscribed.
    fn current<'py>(&mut self, py: Python<'py>, index: usize, now_ms: u64) -> PyResult<Option<Bound<'py, PyTuple>>> {
        if index >= self.modes.len() {
            return Err(PyIndexError::new_err(index));
        }
        self.tick(py, index, now_ms)
    }

    fn __len__(&self) -> usize {
        self.core.len()
    }
}

impl Simulator {
    fn tick<'py>(&mut self, py: Python<'py>, index: usize, now_ms: u64) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let (Some(mode), Some(instrument)) = (self.modes[index], self.core.instrument(index)) else {
            return Ok(None);
        };
        self.buffer.clear();
        write_tick(instrument, mode, now_ms, &mut self.buffer);
        let topic = self.topics[index][mode.index()].bind(py).clone();
        Ok(Some(PyTuple::new(py, [topic, PyBytes::new(py, &self.buffer)])?))
    }
}

fn spec(row: &Row) -> PyResult<Spec> {
    let (name, decimals, tick, lot, traded, kind, a, b, c) = row;
    let underlying = || usize::try_from(*a).map_err(|_| PyValueError::new_err(format!("{name}: underlying {a}")));
    let motion = match kind.as_str() {
        "walk" => Motion::Walk { close: *a },
        "future" => Motion::Future { underlying: underlying()?, carry_ppm: *b },
        "call" | "put" => Motion::Option { underlying: underlying()?, strike: *b, call: kind == "call", time_ppm: *c },
        _ => {
            return Err(PyValueError::new_err(format!("{name}: kind {kind:?} is not walk, future, call or put")));
        }
    };
    Ok(Spec { decimals: *decimals, tick: *tick, lot: *lot, traded: *traded, motion })
}

/// Adds the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Simulator>()
}
