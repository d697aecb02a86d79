//! Last known values of one instrument, by the mode the tick came in.

use crate::fixed::Price;
use crate::pack::Kept;
use crate::topic::Mode;

/// When a tick reached this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// Monotonic ns: windows and latencies are measured with it.
    pub mono_ns: u64,
    /// Unix ns: goes out on the tick stream.
    pub unix_ns: u64,
}

/// One tick as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The publisher's JSON object.
    pub payload: Kept,
    /// When it came.
    pub arrival: Arrival,
    /// Its last traded price; a Depth tick may have none.
    pub ltp: Option<Price>,
    /// Must be rewritten for the flat format.
    pub reserved_keys: bool,
    /// Order of arrival among all ticks of the instrument.
    order: u64,
}

impl Value {
    /// A Depth tick without a price says nothing to Quote and LTP subscribers.
    fn serves(&self, native: Mode, wanted: Mode) -> bool {
        native == wanted || (native > wanted && self.ltp.is_some())
    }
}

/// The newest tick of each mode, as far as it can still be of use to anyone.
#[derive(Clone, Debug, Default)]
pub struct LastValues {
    slots: [Option<Box<Value>>; 3],
    count: u64,
}

impl LastValues {
    /// Keeps a tick. Older ticks of lower modes that it outdates are dropped.
    pub fn store(&mut self, native: Mode, payload: &[u8], arrival: Arrival, ltp: Option<Price>, reserved_keys: bool) {
        self.count += 1;
        let order = self.count;
        if ltp.is_some() {
            for slot in &mut self.slots[..native.index()] {
                *slot = None;
            }
        } else {
            self.keep_priced();
        }
        match &mut self.slots[native.index()] {
            Some(value) => {
                value.payload.set(payload);
                (value.arrival, value.ltp, value.reserved_keys, value.order) = (arrival, ltp, reserved_keys, order);
            }
            empty => *empty = Some(Box::new(Value { payload: Kept::new(payload), arrival, ltp, reserved_keys, order })),
        }
    }

    /// A Depth tick with a price still serves Quote and LTP when one without a price takes its place.
    fn keep_priced(&mut self) {
        let depth = self.slots[Mode::Depth.index()].take_if(|value| value.ltp.is_some());
        let quote = &mut self.slots[Mode::Quote.index()];
        if let Some(depth) = depth
            && quote.as_ref().is_none_or(|value| value.order < depth.order)
        {
            *quote = Some(depth);
        }
    }

    /// The newest tick that serves `wanted`, if there was one.
    pub fn newest(&self, wanted: Mode) -> Option<&Value> {
        Mode::ALL[wanted.index()..]
            .iter()
            .filter_map(|native| self.slots[native.index()].as_deref().filter(|v| v.serves(*native, wanted)))
            .max_by_key(|value| value.order)
    }

    /// True once any tick has come.
    pub fn any(&self) -> bool {
        self.count > 0
    }

    /// Forgets all values.
    pub fn clear(&mut self) {
        self.slots = Default::default();
    }

    /// Bytes on the heap, for the memory metric.
    pub fn heap_bytes(&self) -> usize {
        self.slots.iter().flatten().map(|v| size_of::<Value>() + v.payload.heap_bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(ticks: &[(Mode, &str, bool)]) -> LastValues {
        let mut last = LastValues::default();
        for (mode, text, priced) in ticks {
            last.store(*mode, text.as_bytes(), Arrival::default(), priced.then_some(Price(1)), false);
        }
        last
    }

    fn text(last: &LastValues, mode: Mode) -> Option<&'static str> {
        let text = |v: &Value| String::from_utf8(v.payload.text().into_owned()).expect("UTF-8");
        last.newest(mode).map(|v| &*text(v).leak())
    }

    #[test]
    fn newest_tick_that_serves_wins() {
        let last = stored(&[(Mode::Depth, "d", true), (Mode::Ltp, "l", true)]);
        assert_eq!(text(&last, Mode::Ltp), Some("l"));
        assert_eq!(text(&last, Mode::Quote), Some("d"));
        assert_eq!(text(&last, Mode::Depth), Some("d"));
        let last = stored(&[(Mode::Ltp, "l", true), (Mode::Quote, "q", true)]);
        assert_eq!(text(&last, Mode::Ltp), Some("q"));
        assert_eq!(text(&last, Mode::Depth), None);
    }

    #[test]
    fn depth_without_price_serves_depth_only() {
        let last = stored(&[(Mode::Ltp, "l", true), (Mode::Depth, "d", false)]);
        assert_eq!(text(&last, Mode::Ltp), Some("l"));
        assert_eq!(text(&last, Mode::Quote), None);
        assert_eq!(text(&last, Mode::Depth), Some("d"));
        let last = stored(&[(Mode::Depth, "priced", true), (Mode::Depth, "bare", false)]);
        assert_eq!(text(&last, Mode::Ltp), Some("priced"));
        assert_eq!(text(&last, Mode::Quote), Some("priced"));
        assert_eq!(text(&last, Mode::Depth), Some("bare"));
        let last = stored(&[(Mode::Depth, "priced", true), (Mode::Quote, "q", true), (Mode::Depth, "bare", false)]);
        assert_eq!(text(&last, Mode::Quote), Some("q"));
    }
}
