//! The order matcher: what rests on an instrument, and what a tick does to it (sandbox, "Order life").
//!
//! It decides and forgets: whoever asks makes the decision true, and brings back with [`Matcher::restore`] what
//! could not be made true. Time is an argument, ns on one clock of the caller's choice.

pub mod gtt;
pub mod instrument;
pub mod ladder;
pub mod order;
pub mod quote;
pub mod resting;
pub mod types;

#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;

use crate::last::Value;
use crate::scan;
use crate::topic::{self, EXCHANGES, Kind, Mode};
use gtt::{Gtt, Leg};
use instrument::Instrument;
use ladder::{Key, Who};
use order::{Order, Verdict};
use quote::{Quote, Unfit};
use types::{Decision, Refusal, Source, Stats};

/// Bounds of the matcher.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Instruments that are kept.
    pub instruments: usize,
    /// Largest payload, bytes.
    pub payload: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { instruments: 250_000, payload: 65_536 }
    }
}

/// All resting orders and GTTs with the last values of their instruments.
#[derive(Debug, Default)]
pub struct Matcher {
    by_name: [FxHashMap<Box<str>, u32>; EXCHANGES.len()],
    instruments: Vec<Instrument>,
    orders: FxHashMap<u64, (u32, Order)>,
    gtts: FxHashMap<u64, (u32, Gtt)>,
    limits: Limits,
    stats: Stats,
    /// What the tick at hand meets; empty between ticks.
    met: Vec<Key>,
}

impl Matcher {
    /// An empty matcher.
    pub fn new(limits: Limits) -> Self {
        Matcher { limits, ..Matcher::default() }
    }

    /// Takes a tick; says what it did, in time priority of entry. Almost always nothing, which costs no allocation.
    ///
    /// A tick without a last traded price above zero, or with one outside its own day range, fires nothing and
    /// leaves the price that orders enter on as it was. What is no tick is counted and dropped.
    pub fn ingest(&mut self, topic: &[u8], payload: &[u8], arrival_ns: u64, source: Source) -> Vec<Decision> {
        let Some((number, quote)) = self.keep(topic, payload, arrival_ns, source) else { return Vec::new() };
        if source == Source::Replay {
            return Vec::new();
        }
        let mut met = std::mem::take(&mut self.met);
        self.instruments[number as usize].ladders.take(quote.ltp, &mut met);
        if met.is_empty() {
            self.met = met;
            return Vec::new();
        }
        met.sort_unstable();
        let decisions = met.drain(..).filter_map(|key| self.decide(key, &quote)).collect();
        met.shrink_to(1024);
        self.met = met;
        decisions
    }

    /// Keeps a tick's values; its instrument and prices where they may fill an order.
    #[inline]
    fn keep(&mut self, topic: &[u8], payload: &[u8], arrival_ns: u64, source: Source) -> Option<(u32, Quote)> {
        let Kind::Market(market) = topic::classify(topic) else {
            self.stats.bad_topic += 1;
            return None;
        };
        if payload.len() > self.limits.payload {
            self.stats.too_large += 1;
            return None;
        }
        let Ok(found) = scan::scan(payload) else {
            self.stats.bad_payload += 1;
            return None;
        };
        if found.ltp.is_none() && !(market.mode == Mode::Depth && found.has_levels) {
            self.stats.no_price += 1;
            return None;
        }
        let Some(number) = self.intern(market.exchange, market.symbol) else {
            self.stats.too_many_instruments += 1;
            return None;
        };
        match source {
            Source::Live => self.stats.ticks += 1,
            Source::Replay => self.stats.replays += 1,
        }
        match self.instruments[number as usize].keep(market.mode, payload, &found, arrival_ns, source) {
            Ok(quote) => return Some((number, quote)),
            Err(Unfit::NoPrice) => self.stats.no_price += 1,
            Err(Unfit::Stale) => self.stats.stale += 1,
        }
        None
    }

    /// Decides on something that was taken out of the ladders because the tick meets its level.
    fn decide(&mut self, key: Key, quote: &Quote) -> Option<Decision> {
        match key.who {
            Who::Order(id) => self.decide_order(id, quote),
            Who::Gtt(id, leg) => self.decide_gtt(id, leg),
        }
    }

    fn decide_order(&mut self, id: u64, quote: &Quote) -> Option<Decision> {
        let (number, order) = self.orders.get_mut(&id)?;
        match order.on_tick(quote) {
            Verdict::Fills(price) => {
                self.orders.remove(&id);
                Some(Decision::Fill { order: id, price })
            }
            Verdict::Opens => {
                order.triggered = true;
                self.instruments[*number as usize].let_wait(order);
                Some(Decision::Triggered { order: id })
            }
            Verdict::Waits => None,
        }
    }

    fn decide_gtt(&mut self, id: u64, leg: Leg) -> Option<Decision> {
        // Gone where the sibling fired on this very tick.
        self.remove_gtt(id)?;
        Some(Decision::GttFired { gtt: id, leg })
    }

    fn find(&self, exchange: &str, symbol: &str) -> Option<&Instrument> {
        let number = self.by_name[usize::from(topic::exchange_id(exchange)?)].get(symbol)?;
        Some(&self.instruments[*number as usize])
    }

    fn intern(&mut self, exchange: u8, symbol: &str) -> Option<u32> {
        let names = &mut self.by_name[usize::from(exchange)];
        if let Some(known) = names.get(symbol) {
            return Some(*known);
        }
        if self.instruments.len() >= self.limits.instruments {
            return None;
        }
        let number = self.instruments.len() as u32;
        names.insert(symbol.into(), number);
        self.instruments.push(Instrument::default());
        Some(number)
    }

    /// The number of an instrument that a caller names.
    fn named(&mut self, exchange: &str, symbol: &str) -> Result<u32, Refusal> {
        let exchange = topic::exchange_id(exchange).ok_or(Refusal::Exchange)?;
        if !topic::well_formed_symbol(symbol) {
            return Err(Refusal::Symbol);
        }
        self.intern(exchange, symbol).ok_or(Refusal::Full)
    }

    /// The newest tick that serves `mode`, with its arrival (both clocks of it are the caller's).
    pub fn last_value(&self, exchange: &str, symbol: &str, mode: Mode) -> Option<&Value> {
        self.find(exchange, symbol)?.last.newest(mode)
    }

    /// The price that an order would enter on if it is fresh.
    pub fn quote(&self, exchange: &str, symbol: &str) -> Option<Quote> {
        self.find(exchange, symbol)?.quote
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        self.stats
    }
}
