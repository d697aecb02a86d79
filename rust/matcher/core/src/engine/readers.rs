//! Readers of the engine: they come and go, subscribe, fall behind and catch up.

use super::{Engine, parts};
use crate::conflate::Pending;
use crate::frame::{Format, Parts};
use crate::instrument::{Entry, State};
use crate::topic::{self, Mode};
use crate::turn::FrameCache;
use crate::types::{Refusal, Subscribed};

impl Engine {
    /// A new reader; its number.
    pub fn open(&mut self, format: Format) -> u32 {
        self.readers.open(format)
    }

    /// Ends a reader. Returns what no reader holds any more.
    pub fn close(&mut self, number: u32) -> Vec<(u32, Mode)> {
        let released = self.unsubscribe_all(number);
        if self.readers.find(number).is_some() {
            self.readers.close(number);
        }
        released
    }

    /// Lets go of everything a reader holds. Returns what no reader holds any more.
    pub fn unsubscribe_all(&mut self, number: u32) -> Vec<(u32, Mode)> {
        let Some(reader) = self.readers.find(number) else { return Vec::new() };
        let held: Vec<(u32, Mode)> = reader
            .places
            .iter()
            .flat_map(|(instrument, places)| {
                Mode::ALL.into_iter().filter(|mode| places[mode.index()].is_some()).map(|mode| (*instrument, mode))
            })
            .collect();
        held.into_iter()
            .filter(|(instrument, mode)| self.unsubscribe(number, *instrument, *mode) == Some(true))
            .collect()
    }

    /// Subscribes a reader, or changes the window of a subscription it has. `window_ms` 0 turns conflation off.
    pub fn subscribe(
        &mut self,
        number: u32,
        exchange: &str,
        symbol: &str,
        mode: Mode,
        window_ms: u32,
    ) -> Result<Subscribed, Refusal> {
        let exchange = topic::exchange_id(exchange).ok_or(Refusal::Exchange)?;
        let reader = self.readers.find(number).ok_or(Refusal::Closed)?;
        let instrument = match self.instruments.find(exchange, symbol) {
            Some(known) => known,
            None if !topic::well_formed_symbol(symbol) => return Err(Refusal::Symbol),
            None => self.instruments.intern(exchange, symbol).ok_or(Refusal::EngineFull)?,
        };
        if !reader.places.contains_key(&instrument) && reader.places.len() >= self.limits.symbols_per_reader {
            return Err(Refusal::ReaderFull);
        }
        let entries = &mut self.instruments.get_mut(instrument).entries[mode.index()];
        if let Some(place) = reader.place(instrument, mode) {
            entries[place as usize].window_ms = window_ms;
            return Ok(Subscribed { instrument, first: false });
        }
        let first = entries.is_empty();
        let place = entries.len() as u32;
        entries.push(Entry { reader: number, window_ms, next_ns: 0, state: State::Idle });
        self.readers.get_mut(number).places.entry(instrument).or_default()[mode.index()] = Some(place);
        Ok(Subscribed { instrument, first })
    }

    /// Ends one subscription: `None` where there was none, else whether it was the last of that instrument and mode.
    pub fn unsubscribe(&mut self, number: u32, instrument: u32, mode: Mode) -> Option<bool> {
        let at = mode.index();
        self.readers.find(number)?;
        let reader = self.readers.get_mut(number);
        let places = reader.places.get_mut(&instrument)?;
        let place = places[at].take()? as usize;
        if places.iter().all(Option::is_none) {
            reader.places.remove(&instrument);
        }
        let entries = &mut self.instruments.get_mut(instrument).entries[at];
        entries.swap_remove(place);
        if let Some(moved) = entries.get(place) {
            let places = self.readers.get_mut(moved.reader).places.get_mut(&instrument);
            if let Some(places) = places {
                places[at] = Some(place as u32);
            }
        }
        if entries.is_empty() {
            entries.shrink_to(4);
        }
        Some(entries.is_empty())
    }

    /// Queues the last known value of one subscription, marked as a snapshot. False where there is none.
    pub fn snapshot(&mut self, number: u32, instrument: u32, mode: Mode, now_ns: u64) -> bool {
        let Engine { instruments, readers, brokers, turn, stats, .. } = self;
        let reader = readers.get_mut(number);
        let Some(place) = reader.place(instrument, mode) else { return false };
        if instruments.get(instrument).last.newest(mode).is_none() {
            return false;
        }
        let entry = &mut instruments.get_mut(instrument).entries[mode.index()][place as usize];
        if reader.paused {
            if entry.state != State::Parked {
                entry.state = State::Parked;
                reader.parked.push((instrument, mode));
            }
            return true;
        }
        entry.sent(now_ns);
        let instrument = instruments.get(instrument);
        let Some(value) = instrument.last.newest(mode) else { return false };
        let text = value.payload.text();
        let parts = Parts { snapshot: true, ..parts(instrument, brokers, mode, &text, value.reserved_keys) };
        let chunk = turn.build(reader.format, &parts);
        turn.queue(number, reader, chunk, stats);
        stats.snapshots += 1;
        true
    }

    /// A reader went over its high-water mark.
    pub fn pause(&mut self, number: u32) {
        if self.readers.find(number).is_some() {
            self.readers.get_mut(number).paused = true;
        }
    }

    /// A reader has drained: its newest values go out, windows permitting.
    pub fn resume(&mut self, number: u32, now_ns: u64) {
        if self.readers.find(number).is_none() {
            return;
        }
        let reader = self.readers.get_mut(number);
        reader.paused = false;
        let parked = std::mem::take(&mut reader.parked);
        let mut cache = FrameCache::default();
        for (instrument, mode) in parked {
            self.release(Pending { instrument, mode, reader: number }, State::Parked, now_ns, &mut cache);
        }
    }
}
