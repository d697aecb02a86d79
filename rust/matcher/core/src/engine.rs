//! The engine: ticks in, frames out.
//!
//! One tick is validated once, kept as last value, built into a frame once per mode and format, and noted
//! for every reader that may have it now; the others get the newest value when their window ends
//! (websocket-protocol, "Conflation"). Readers over their high-water mark get it when they have drained.

use rustc_hash::FxHashMap;

use crate::conflate::{Deadlines, Pending};
use crate::frame::Parts;
use crate::instrument::{Entry, Instrument, Instruments, State};
use crate::last::Arrival;
use crate::queue::Chunk;
use crate::reader::{Reader, Readers};
use crate::scan::{self, Scan, ScanError};
use crate::stats::{Latency, Stats};
use crate::topic::{self, Kind, Mode};
use crate::turn::{Batch, FrameCache, Turn};
use crate::types::{Limits, Outcome, Tick};

/// Brokers by number; the first is the bus itself.
#[derive(Debug)]
struct Brokers(Vec<Box<str>>);

impl Brokers {
    /// Names that publishers on the bus may bring along.
    const ON_BUS: usize = 256;
    const LIMIT: usize = 2 * Self::ON_BUS;

    /// `most` bounds how many there may be; beyond it a new name counts as the bus.
    fn intern(&mut self, name: &str, most: usize) -> u16 {
        let known = self.0.iter().position(|broker| **broker == *name);
        known.unwrap_or_else(|| {
            if self.0.len() >= most {
                return 0;
            }
            self.0.push(name.into());
            self.0.len() - 1
        }) as u16
    }
}

#[derive(Clone, Copy, Debug)]
struct Route {
    instrument: u32,
    generation: u32,
    mode: Mode,
    broker: Option<u16>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Engine {
    limits: Limits,
    routes: FxHashMap<Box<[u8]>, Route>,
    instruments: Instruments,
    readers: Readers,
    brokers: Brokers,
    deadlines: Deadlines,
    listeners: u32,
    turn: Turn,
    stats: Stats,
    latency: Latency,
}

/// What a new tick means for one subscription.
enum Step {
    /// A value that waits is replaced by this one.
    Replace(State),
    /// The reader must drain first.
    Park,
    /// The window must end first.
    Wait,
    /// It goes out now.
    Send,
}

#[inline]
fn next_step(entry: &mut Entry, paused: bool, now_ns: u64) -> Step {
    if entry.state != State::Idle {
        return Step::Replace(entry.state);
    }
    if paused {
        entry.state = State::Parked;
        Step::Park
    } else if now_ns < entry.next_ns {
        entry.state = State::Waiting;
        Step::Wait
    } else {
        entry.sent(now_ns);
        Step::Send
    }
}

fn parts<'a>(
    instrument: &'a Instrument,
    brokers: &'a Brokers,
    mode: Mode,
    payload: &'a [u8],
    reserved_keys: bool,
) -> Parts<'a> {
    Parts {
        exchange: instrument.exchange,
        symbol: &instrument.symbol,
        mode,
        broker: &brokers.0[usize::from(instrument.broker)],
        payload,
        reserved_keys,
        snapshot: false,
    }
}

impl Engine {
    /// An engine whose ticks come from `broker` unless they say otherwise.
    pub fn new(broker: &str, limits: Limits) -> Self {
        Engine {
            limits,
            routes: FxHashMap::default(),
            instruments: Instruments::new(limits.instruments),
            readers: Readers::default(),
            brokers: Brokers(vec![broker.into()]),
            deadlines: Deadlines::default(),
            listeners: 0,
            turn: Turn::default(),
            stats: Stats::default(),
            latency: Latency::default(),
        }
    }

    /// Changes how many instruments one reader may hold; those it has stay.
    pub fn set_symbols_per_reader(&mut self, most: usize) {
        self.limits.symbols_per_reader = most;
    }

    /// The number of a broker's name, for [`Self::ingest`].
    pub fn broker(&mut self, name: &str) -> u16 {
        self.brokers.intern(name, Brokers::LIMIT)
    }

    /// Says which broker serves an instrument, for answers given before its first tick.
    pub fn set_broker(&mut self, exchange: &str, symbol: &str, broker: u16) {
        let found = topic::exchange_id(exchange).and_then(|exchange| self.instruments.find(exchange, symbol));
        if let Some(number) = found {
            self.instruments.get_mut(number).broker = broker;
        }
    }

    /// Takes one bus message. `broker` is the feed it came from (0: the bus).
    pub fn ingest(&mut self, topic: &[u8], payload: &[u8], arrival: Arrival, broker: u16) -> Outcome {
        let (route, found) = match self.known_route(topic) {
            Some(route) => (route, self.validated(payload, route.mode)),
            None => match self.new_route(topic, payload) {
                Ok((route, found)) => (route, Some(found)),
                Err(outcome) => return outcome,
            },
        };
        let Some(found) = found else { return Outcome::Dropped };
        self.instruments.store(route.instrument, route.mode, payload, arrival, &found);
        self.instruments.shed(self.limits.values);
        self.instruments.get_mut(route.instrument).broker = route.broker.unwrap_or(broker);
        self.stats.ticks[route.mode.index()] += 1;
        self.distribute(route.instrument, route.mode, arrival, payload, &found);
        let publish = self.publishes(route.instrument, route.mode, found.ltp.is_some());
        Outcome::Tick(Tick { instrument: route.instrument, native: route.mode, publish })
    }

    #[inline]
    fn known_route(&mut self, topic: &[u8]) -> Option<Route> {
        let route = *self.routes.get(topic)?;
        let instrument = self.instruments.get_mut(route.instrument);
        if instrument.generation != route.generation {
            return None;
        }
        instrument.ticking = true;
        Some(route)
    }

    /// The way of a topic not seen before. Only a good payload makes an instrument known.
    fn new_route(&mut self, topic: &[u8], payload: &[u8]) -> Result<(Route, Scan), Outcome> {
        let market = match topic::classify(topic) {
            Kind::Market(market) => market,
            Kind::Orders => return Err(Outcome::Orders),
            Kind::CacheInvalidate => return Err(Outcome::CacheInvalidate),
            Kind::Private => return Err(Outcome::Private),
            Kind::Unknown => return Err(Outcome::Unknown),
            Kind::Malformed => {
                self.stats.bad_topic += 1;
                return Err(Outcome::Dropped);
            }
        };
        let found = self.validated(payload, market.mode).ok_or(Outcome::Dropped)?;
        let Some(instrument) = self.instruments.intern(market.exchange, market.symbol) else {
            self.stats.too_many_instruments += 1;
            return Err(Outcome::Dropped);
        };
        let generation = self.instruments.get(instrument).generation;
        let broker = market.broker.map(|name| self.brokers.intern(name, Brokers::ON_BUS));
        let route = Route { instrument, generation, mode: market.mode, broker };
        if self.routes.len() >= self.limits.instruments * 4 {
            // Ever new topics: those that still come are known again at once.
            self.routes.clear();
        }
        self.routes.insert(topic.into(), route);
        Ok((route, found))
    }

    #[inline]
    fn validated(&mut self, payload: &[u8], mode: Mode) -> Option<Scan> {
        if payload.len() > self.limits.payload {
            self.stats.too_large += 1;
            return None;
        }
        match scan::scan(payload) {
            Ok(found) if found.ltp.is_some() || (mode == Mode::Depth && found.has_levels) => Some(found),
            Ok(_) => {
                self.stats.no_price += 1;
                None
            }
            Err(ScanError::Malformed) => {
                self.stats.bad_payload += 1;
                None
            }
            Err(ScanError::BadNumber) => {
                self.stats.bad_number += 1;
                None
            }
        }
    }

    /// Hands the tick just stored to everyone who may have it now and notes it for the others.
    fn distribute(&mut self, number: u32, native: Mode, arrival: Arrival, payload: &[u8], found: &Scan) {
        let Engine { instruments, readers, brokers, deadlines, turn, stats, .. } = self;
        let lowest = if found.ltp.is_some() { Mode::Ltp } else { native };
        let frames_before = stats.frames;
        for mode in Mode::ALL[lowest.index()..=native.index()].iter().copied() {
            let mut entries = std::mem::take(&mut instruments.get_mut(number).entries[mode.index()]);
            let instrument = instruments.get(number);
            let parts = parts(instrument, brokers, mode, payload, found.reserved_keys);
            let mut built: [Option<Chunk>; 2] = [None; 2];
            for entry in &mut entries {
                let reader = readers.get_mut(entry.reader);
                match next_step(entry, reader.paused, arrival.mono_ns) {
                    Step::Replace(State::Parked) => stats.parked += 1,
                    Step::Replace(_) => stats.conflated += 1,
                    Step::Park => reader.parked.push((number, mode)),
                    Step::Wait => {
                        deadlines.add(entry.next_ns, Pending { instrument: number, mode, reader: entry.reader });
                    }
                    Step::Send => {
                        let format = reader.format;
                        let chunk = *built[format as usize].get_or_insert_with(|| turn.build(format, &parts));
                        turn.queue(entry.reader, reader, chunk, stats);
                    }
                }
            }
            instruments.get_mut(number).entries[mode.index()] = entries;
        }
        let frames = (stats.frames - frames_before) as u32;
        if frames > 0 {
            turn.fresh.push((arrival.mono_ns, frames));
        }
    }

    /// Counts the tick in the sequences of the topics it belongs to and says which of them someone wants.
    fn publishes(&mut self, number: u32, native: Mode, priced: bool) -> u8 {
        let listeners = self.listeners;
        let instrument = self.instruments.get_mut(number);
        let at = native.index();
        instrument.sequence[at] += 1;
        let mut publish = u8::from(listeners > 0 || instrument.wanted[at] > 0) << at;
        if priced {
            for lower in 0..at {
                if instrument.wanted[lower] > 0 {
                    instrument.sequence[lower] += 1;
                    publish |= 1 << lower;
                }
            }
        }
        publish
    }

    /// When [`Self::flush`] has something to do, monotonic ns.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.next()
    }

    /// Queues the newest values of all windows that have ended by `now_ns`.
    pub fn flush(&mut self, now_ns: u64) {
        while let Some(bucket) = self.deadlines.take_due(now_ns) {
            let mut cache = FrameCache::default();
            for pending in &bucket {
                self.release(*pending, State::Waiting, now_ns, &mut cache);
            }
            self.deadlines.recycle(bucket);
        }
    }

    /// Sends the newest value of one subscription if it still waits in `state`.
    fn release(&mut self, pending: Pending, state: State, now_ns: u64, cache: &mut FrameCache) {
        let Engine { instruments, readers, brokers, deadlines, turn, stats, .. } = self;
        let Pending { instrument: number, mode, reader: reader_number } = pending;
        let reader = readers.get_mut(reader_number);
        let Some(place) = reader.place(number, mode) else { return };
        let entry = &mut instruments.get_mut(number).entries[mode.index()][place as usize];
        if entry.state != state {
            return;
        }
        if reader.paused {
            entry.state = State::Parked;
            reader.parked.push((number, mode));
            return;
        }
        if now_ns < entry.next_ns {
            entry.state = State::Waiting;
            deadlines.add(entry.next_ns, pending);
            return;
        }
        entry.sent(now_ns);
        let instrument = instruments.get(number);
        let Some(value) = instrument.last.newest(mode) else { return };
        let format = reader.format;
        let chunk = cache.get(number, mode, format, || {
            let text = value.payload.text();
            turn.build(format, &parts(instrument, brokers, mode, &text, value.reserved_keys))
        });
        turn.queue(reader_number, reader, chunk, stats);
        stats.trailing += 1;
    }

    /// Gives out what piled up, reader by reader, and starts a new turn.
    pub fn take(&mut self, mut sink: impl FnMut(Batch<'_>)) {
        let arena = std::mem::take(&mut self.turn.arena);
        let mut active = std::mem::take(&mut self.turn.active);
        let mut before: Vec<Chunk> = Vec::new();
        for number in active.drain(..) {
            let reader = self.readers.get_mut(number);
            reader.active = false;
            let bytes = reader.queue.bytes();
            if bytes > 0 {
                let chunks = reader.queue.chunks();
                let same = chunks == before.as_slice();
                sink(Batch { reader: number, bytes, same, arena: &arena, chunks });
                if !same {
                    before.clear();
                    before.extend_from_slice(chunks);
                }
            }
            reader.queue.clear();
        }
        self.turn.active = active;
        self.turn.arena = arena;
        self.turn.arena.clear();
        self.turn.arena.shrink_to(1 << 20);
    }

    /// Notes that everything taken was written at `now_ns`.
    pub fn written(&mut self, now_ns: u64) {
        for (arrival, frames) in self.turn.fresh.drain(..) {
            self.latency.record(now_ns.saturating_sub(arrival), u64::from(frames));
        }
    }

    /// A tick-stream subscriber came (`true`) or went for one topic. Returns the change from or to no subscriber.
    pub fn want(&mut self, exchange: u8, symbol: &str, mode: Mode, more: bool) -> Option<(u32, bool)> {
        let instrument = self.instruments.intern(exchange, symbol)?;
        let wanted = &mut self.instruments.get_mut(instrument).wanted[mode.index()];
        let before = *wanted;
        *wanted = if more { before + 1 } else { before.saturating_sub(1) };
        Some((instrument, (before == 0) != (*wanted == 0)))
    }

    /// A tick-stream subscriber to a shorter prefix came or went.
    pub fn listen(&mut self, more: bool) {
        self.listeners = if more { self.listeners + 1 } else { self.listeners.saturating_sub(1) };
    }

    /// One instrument.
    pub fn instrument(&self, number: u32) -> &Instrument {
        self.instruments.get(number)
    }

    /// All instruments.
    pub fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    /// One open reader.
    pub fn reader(&self, number: u32) -> Option<&Reader> {
        self.readers.find(number)
    }

    /// Number of open readers.
    pub fn reader_count(&self) -> usize {
        self.readers.count()
    }

    /// A broker's name.
    pub fn broker_name(&self, number: u16) -> &str {
        &self.brokers.0[usize::from(number)]
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Latency of frames sent at once.
    pub fn latency(&self) -> Latency {
        self.latency
    }
}

mod readers;

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "engine_props.rs"]
mod props;
