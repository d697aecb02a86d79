//! One instrument of the matcher: last values and what rests on it.

use super::ladder::Ladders;
use super::quote::{Quote, Unfit};
use super::types::Source;
use crate::last::{Arrival, LastValues, Value};
use crate::scan::Scan;
use crate::topic::Mode;

/// Last values, the price that orders enter on, and the resting orders of one instrument.
#[derive(Debug, Default)]
pub struct Instrument {
    /// Newest ticks by mode, fit or not: what look-ups answer.
    pub last: LastValues,
    /// Prices of the newest tick that could fill an order.
    pub quote: Option<Quote>,
    /// What rests.
    pub ladders: Ladders,
}

impl Instrument {
    /// Keeps a tick; `Ok` holds its prices where they may fill an order.
    pub fn keep(
        &mut self,
        mode: Mode,
        payload: &[u8],
        found: &Scan,
        arrival_ns: u64,
        source: Source,
    ) -> Result<Quote, Unfit> {
        let quote = Quote::of(found, arrival_ns);
        match source {
            Source::Live => {
                self.store(mode, payload, found, arrival_ns);
                self.quote = quote.ok().or(self.quote);
            }
            Source::Replay => {
                self.store_older(mode, payload, found, arrival_ns);
                let newer = self.quote.is_none_or(|known| known.arrival_ns <= arrival_ns);
                self.quote = quote.ok().filter(|_| newer).or(self.quote);
            }
        }
        quote
    }

    fn store(&mut self, mode: Mode, payload: &[u8], found: &Scan, arrival_ns: u64) {
        let arrival = Arrival { mono_ns: arrival_ns, unix_ns: arrival_ns };
        self.last.store(mode, payload, arrival, found.ltp, found.reserved_keys);
    }

    /// Keeps a replay, which may be older than ticks that came meanwhile: those are stored anew behind it.
    fn store_older(&mut self, mode: Mode, payload: &[u8], found: &Scan, arrival_ns: u64) {
        let newer = |mode| self.last.newest(mode).filter(|value| value.arrival.unix_ns > arrival_ns).cloned();
        // Higher modes first: a tick outdates what is stored of lower modes.
        let kept = Mode::ALL.map(|mode| (mode, newer(mode)));
        self.store(mode, payload, found, arrival_ns);
        for (mode, value) in kept.into_iter().rev() {
            if let Some(Value { payload, arrival, ltp, reserved_keys, .. }) = value {
                self.last.store(mode, &payload.text(), arrival, ltp, reserved_keys);
            }
        }
    }
}
