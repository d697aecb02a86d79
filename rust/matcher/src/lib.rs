//! Python binding of the pure core: converts, calls, converts. No decisions are made here.

use pyo3::prelude::*;

mod book;
mod clock;
mod engine;
mod kite;
mod simulate;
mod subscriptions;
mod zmq;

#[pymodule]
fn gateway_matcher(module: &Bound<'_, PyModule>) -> PyResult<()> {
    book::register(module)?;
    engine::register(module)?;
    zmq::register(module)?;
    kite::register(module)?;
    simulate::register(module)
}
