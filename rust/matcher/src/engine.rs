//! `Engine` for Python: the core with its readers' listeners and the tick stream's socket at hand.

use gateway_matcher_core::engine::Engine as Core;
use gateway_matcher_core::frame::Format;
use gateway_matcher_core::last::Arrival;
use gateway_matcher_core::stats::LATENCY_BOUNDS_NS;
use gateway_matcher_core::topic::{self, Kind, Mode};
use gateway_matcher_core::types::{Limits, Outcome, Tick};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::clock;
use crate::subscriptions::{self, Named, Subscriptions};
use crate::zmq::ZmqSocket;

/// Non-market messages of one drain: `(kind, topic, payload)`.
type Others = Vec<(&'static str, Py<PyBytes>, Py<PyBytes>)>;

/// Subscription index, conflation, last values and frames of one market process.
#[pyclass(module = "gateway_matcher")]
pub struct Engine {
    core: Core,
    listeners: Vec<Option<Py<PyAny>>>,
    stream: Option<Py<ZmqSocket>>,
    multipart_errors: u64,
    unknown_topics: u64,
    private: u64,
    published: bool,
}

impl Engine {
    fn take_message(
        &mut self,
        py: Python<'_>,
        topic: &[u8],
        payload: &[u8],
        arrival: Arrival,
        broker: u16,
    ) -> PyResult<&'static str> {
        Ok(match self.core.ingest(topic, payload, arrival, broker) {
            Outcome::Tick(tick) => {
                if tick.publish != 0 {
                    self.published = true;
                    self.publish(py, tick, payload, arrival)?;
                }
                "tick"
            }
            Outcome::Orders => "orders",
            Outcome::CacheInvalidate => "invalidate",
            Outcome::Private => {
                self.private += 1;
                "private"
            }
            Outcome::Unknown => {
                self.unknown_topics += 1;
                "unknown"
            }
            Outcome::Dropped => "dropped",
        })
    }

    /// Sends the tick on the tick stream: the native topic first, then the copies.
    fn publish(&self, py: Python<'_>, tick: Tick, payload: &[u8], arrival: Arrival) -> PyResult<()> {
        let Some(stream) = &self.stream else { return Ok(()) };
        let instrument = self.core.instrument(tick.instrument);
        for mode in Mode::ALL.into_iter().rev().filter(|mode| tick.publish & (1 << mode.index()) != 0) {
            let stamp = stamp(instrument.sequence[mode.index()], arrival.unix_ns);
            stream.bind(py).get().send(&[instrument.topic(mode).as_bytes(), payload, &stamp])?;
        }
        Ok(())
    }
}

fn stamp(sequence: u64, unix_ns: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&sequence.to_be_bytes());
    bytes[8..].copy_from_slice(&unix_ns.to_be_bytes());
    bytes
}

#[pymethods]
impl Engine {
    /// An engine whose bus ticks are said to come from `broker`.
    #[new]
    #[pyo3(signature = (broker = "bus", *, symbols_per_reader = 3_000, instruments = 250_000, payload = 65_536, values = 268_435_456))]
    fn new(
        broker: &str,
        symbols_per_reader: usize,
        instruments: usize,
        payload: usize,
        values: usize,
    ) -> PyResult<Self> {
        if !broker.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
            return Err(PyValueError::new_err(format!("broker is {broker:?}; letters, digits, _ and - are allowed")));
        }
        let limits = Limits { instruments, payload, values, symbols_per_reader };
        Ok(Engine {
            core: Core::new(broker, limits),
            listeners: Vec::new(),
            stream: None,
            multipart_errors: 0,
            unknown_topics: 0,
            private: 0,
            published: false,
        })
    }

    /// Takes one message; says what it was: tick, orders, invalidate, private, unknown or dropped.
    #[pyo3(signature = (topic, payload, mono_ns, unix_ns = None, feed = None))]
    fn ingest(
        &mut self,
        py: Python<'_>,
        topic: &[u8],
        payload: &[u8],
        mono_ns: u64,
        unix_ns: Option<u64>,
        feed: Option<&str>,
    ) -> PyResult<&'static str> {
        let broker = feed.map_or(0, |name| self.core.broker(name));
        let arrival = Arrival { mono_ns, unix_ns: unix_ns.unwrap_or(mono_ns) };
        self.take_message(py, topic, payload, arrival, broker)
    }

    /// Takes `(topic, payload)` ticks of a feed in this process, stamped now.
    fn publish_ticks(&mut self, py: Python<'_>, ticks: &Bound<'_, PyAny>, feed: &str) -> PyResult<()> {
        let broker = self.core.broker(feed);
        for pair in ticks.try_iter()? {
            let pair = pair?;
            let pair = pair.cast::<PyTuple>()?;
            let (topic, payload) = (pair.get_item(0)?, pair.get_item(1)?);
            let (topic, payload) = (topic.cast::<PyBytes>()?, payload.cast::<PyBytes>()?);
            self.take_message(py, topic.as_bytes(), payload.as_bytes(), clock::now(), broker)?;
        }
        Ok(())
    }

    /// Reads at most `budget` messages from the bus. Returns how many came and those that are no market data.
    fn drain(&mut self, py: Python<'_>, bus: &Bound<'_, ZmqSocket>, budget: usize) -> PyResult<(usize, Others)> {
        let socket = bus.get();
        let mut others = Vec::new();
        for count in 0..budget {
            let Some(topic) = socket.receive()? else { return Ok((count, others)) };
            if !topic.more() {
                self.multipart_errors += 1;
                continue;
            }
            let Some(payload) = socket.receive()? else { return Ok((count, others)) };
            if payload.more() {
                self.multipart_errors += 1;
                while socket.receive()?.is_some_and(|frame| frame.more()) {}
                continue;
            }
            let kind = self.take_message(py, topic.bytes(), payload.bytes(), clock::now(), 0)?;
            // One stranger per turn is enough for the log; all are counted.
            let strange = kind == "unknown" && !others.iter().any(|(known, _, _)| *known == "unknown");
            if strange || matches!(kind, "orders" | "invalidate") {
                // A stranger's payload is nobody's business; its topic is shown cut.
                let shown =
                    if kind == "unknown" { &topic.bytes()[..topic.bytes().len().min(64)] } else { topic.bytes() };
                let body = if kind == "unknown" { &[] } else { payload.bytes() };
                others.push((kind, PyBytes::new(py, shown).unbind(), PyBytes::new(py, body).unbind()));
            }
        }
        Ok((budget, others))
    }

    /// Everything due by `now_ns`, as a flat list: listener, frames, listener, frames, …
    fn flush<'py>(&mut self, py: Python<'py>, now_ns: u64) -> PyResult<Bound<'py, PyList>> {
        self.core.flush(now_ns);
        let out = PyList::empty(py);
        let mut shared: Option<Bound<'py, PyBytes>> = None;
        let mut failed = None;
        let listeners = &self.listeners;
        self.core.take(|batch| {
            let Some(Some(listener)) = listeners.get(batch.reader as usize) else {
                // The next batch may say "the same again".
                shared = None;
                return;
            };
            let bytes = match &shared {
                Some(bytes) if batch.same => bytes.clone(),
                _ => match PyBytes::new_with(py, batch.bytes, |buffer| {
                    batch.copy_to(buffer);
                    Ok(())
                }) {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        failed = Some(error);
                        return;
                    }
                },
            };
            let put = out.append(listener).and_then(|()| out.append(&bytes));
            failed = failed.take().or(put.err());
            shared = Some(bytes);
        });
        failed.map_or(Ok(out), Err)
    }

    /// Notes that the frames of the last flush were written.
    fn written(&mut self) {
        self.core.written(clock::now().mono_ns);
    }

    /// When the next window ends, monotonic ns; -1 where none is open.
    fn next_deadline(&self) -> i64 {
        self.core.next_deadline().map_or(-1, |at| at as i64)
    }

    /// A new reader; `listener` comes back from flush with its frames.
    #[pyo3(signature = (listener, flat = false))]
    fn open(&mut self, listener: Py<PyAny>, flat: bool) -> u32 {
        let reader = self.core.open(if flat { Format::Flat } else { Format::Nested });
        let at = reader as usize;
        if self.listeners.len() <= at {
            self.listeners.resize_with(at + 1, || None);
        }
        self.listeners[at] = Some(listener);
        reader
    }

    /// Ends a reader; returns `(exchange, symbol, mode)` of what no reader holds any more.
    fn close(&mut self, reader: u32) -> Vec<Named> {
        if let Some(listener) = self.listeners.get_mut(reader as usize) {
            *listener = None;
        }
        let released = self.core.close(reader);
        released.into_iter().map(|(instrument, mode)| subscriptions::named(&self.core, instrument, mode)).collect()
    }

    /// Subscribes a reader to `(exchange, symbol, mode)` rows with a window in ms (0: none).
    fn subscribe(&mut self, reader: u32, rows: &Bound<'_, PyAny>, window_ms: u32) -> PyResult<Subscriptions> {
        Subscriptions::take(&mut self.core, reader, &subscriptions::rows(rows)?, window_ms)
    }

    /// Takes one row of a subscribe request back.
    fn undo(&mut self, taken: &mut Subscriptions, row: usize) {
        taken.undo(&mut self.core, row);
    }

    /// The rows of the subscribe answer, JSON text.
    fn answer<'py>(
        &self,
        py: Python<'py>,
        taken: &Subscriptions,
        depth: u32,
        failed: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        taken.answer(py, &self.core, depth, failed)
    }

    /// Queues the last known values of a subscribe request.
    fn snapshots(&mut self, taken: &Subscriptions, now_ns: u64) {
        taken.snapshots(&mut self.core, now_ns);
    }

    /// Ends subscriptions; mode 0 means every mode held. Returns the modes ended per row, and what nobody holds now.
    fn unsubscribe(&mut self, reader: u32, rows: &Bound<'_, PyAny>) -> PyResult<(Vec<Vec<u8>>, Vec<Named>)> {
        subscriptions::unsubscribe(&mut self.core, reader, &subscriptions::rows(rows)?)
    }

    /// Everything a reader holds.
    fn held(&self, reader: u32) -> Vec<Named> {
        let Some(found) = self.core.reader(reader) else { return Vec::new() };
        let places = found.places.iter();
        places
            .flat_map(|(instrument, places)| {
                let modes = Mode::ALL.into_iter().filter(|mode| places[mode.index()].is_some());
                modes.map(|mode| subscriptions::named(&self.core, *instrument, mode))
            })
            .collect()
    }

    /// A reader went over its high-water mark.
    fn pause(&mut self, reader: u32) {
        self.core.pause(reader);
    }

    /// A reader has drained.
    fn resume(&mut self, reader: u32, now_ns: u64) {
        self.core.resume(reader, now_ns);
    }

    /// Says which feed serves an instrument, for answers given before its first tick.
    fn set_broker(&mut self, exchange: &str, symbol: &str, broker: &str) {
        let number = self.core.broker(broker);
        self.core.set_broker(exchange, symbol, number);
    }

    /// True once a tick of the instrument has come.
    fn known(&self, exchange: &str, symbol: &str) -> bool {
        let found = topic::exchange_id(exchange).and_then(|exchange| self.core.instruments().find(exchange, symbol));
        found.is_some_and(|number| self.core.instrument(number).last.any())
    }

    /// The newest payload that serves a mode.
    fn last_value<'py>(
        &self,
        py: Python<'py>,
        exchange: &str,
        symbol: &str,
        mode: u8,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mode = subscriptions::mode(mode)?;
        let found = topic::exchange_id(exchange).and_then(|exchange| self.core.instruments().find(exchange, symbol));
        let value = found.and_then(|number| self.core.instrument(number).last.newest(mode));
        Ok(value.map(|value| PyBytes::new(py, &value.payload.text())))
    }

    /// Where ticks go unconflated; None stops that.
    fn set_stream(&mut self, stream: Option<Py<ZmqSocket>>) {
        self.stream = stream;
    }

    /// Whether anything went to the tick stream since the last call: its descriptor may have missed an edge.
    fn take_published(&mut self) -> bool {
        std::mem::take(&mut self.published)
    }

    /// A tick-stream subscription to `topic` came or went. None where it is no canonical market topic, else
    /// `(exchange, symbol, mode, changed)`: changed says that the first came or the last went.
    fn want(&mut self, topic: &[u8], more: bool) -> Option<(&'static str, String, u8, bool)> {
        let Kind::Market(found) = topic::classify(topic) else { return None };
        if found.broker.is_some() {
            return None;
        }
        // An engine full of held instruments: the feed gets the want all the same.
        let changed = self.core.want(found.exchange, found.symbol, found.mode, more).is_none_or(|(_, changed)| changed);
        Some((topic::EXCHANGES[usize::from(found.exchange)], found.symbol.to_owned(), found.mode as u8, changed))
    }

    /// Changes how many instruments one reader may hold; those it has stay.
    fn set_symbols_per_reader(&mut self, most: usize) {
        self.core.set_symbols_per_reader(most);
    }

    /// A tick-stream subscription to a shorter prefix came or went; those that no tick can match cost nothing.
    fn listen(&mut self, prefix: &[u8], more: bool) {
        if topic::may_begin(prefix) {
            self.core.listen(more);
        }
    }

    /// The reply to a new tick-stream subscription: payload and 16-byte stamp of the newest value.
    fn replay<'py>(&self, py: Python<'py>, topic: &[u8]) -> Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let Kind::Market(found) = topic::classify(topic) else { return None };
        if found.broker.is_some() {
            return None;
        }
        let number = self.core.instruments().find(found.exchange, found.symbol)?;
        let instrument = self.core.instrument(number);
        let value = instrument.last.newest(found.mode)?;
        let stamp = stamp(instrument.sequence[found.mode.index()], value.arrival.unix_ns);
        Some((PyBytes::new(py, &value.payload.text()), PyBytes::new(py, &stamp)))
    }

    /// All counters by name.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.core.stats();
        let out = PyDict::new(py);
        for (name, value) in [
            ("ticks_ltp", stats.ticks[0]),
            ("ticks_quote", stats.ticks[1]),
            ("ticks_depth", stats.ticks[2]),
            ("frames", stats.frames),
            ("bytes", stats.bytes),
            ("conflated", stats.conflated),
            ("parked", stats.parked),
            ("trailing", stats.trailing),
            ("snapshots", stats.snapshots),
            ("bad_topic", stats.bad_topic),
            ("bad_payload", stats.bad_payload),
            ("bad_number", stats.bad_number),
            ("no_price", stats.no_price),
            ("too_large", stats.too_large),
            ("too_many_instruments", stats.too_many_instruments),
            ("bad_frames", self.multipart_errors),
            ("unknown_topic", self.unknown_topics),
            ("private", self.private),
            ("instruments", self.core.instruments().len() as u64),
            ("readers", self.core.reader_count() as u64),
            ("heap_bytes", self.core.instruments().heap_bytes() as u64),
        ] {
            out.set_item(name, value)?;
        }
        Ok(out)
    }

    /// Tick → write latency of frames sent at once: bucket bounds (ns), counts (one more), sum (ns).
    fn latency(&self) -> (Vec<u64>, Vec<u64>, u64) {
        let latency = self.core.latency();
        (LATENCY_BOUNDS_NS.to_vec(), latency.counts.to_vec(), latency.sum_ns)
    }
}

/// Adds the classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Engine>()?;
    module.add_class::<Subscriptions>()
}
