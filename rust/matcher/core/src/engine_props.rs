//! Random lives of an engine: whatever happens, its indexes agree and everyone gets the newest value.

use proptest::prelude::*;

use super::*;
use crate::frame::Format;

const MS: u64 = 1_000_000;

#[derive(Clone, Debug)]
enum Step {
    Open(bool),
    Close(u32),
    Subscribe(u32, u8, u8, u32),
    Unsubscribe(u32, u8, u8),
    UnsubscribeAll(u32),
    Snapshot(u32, u8, u8),
    Tick(u8, u8, bool),
    Flush,
    Take,
    Pause(u32),
    Resume(u32),
    Wait(u64),
    Want(u8, u8, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let (reader, symbol, mode) = (0_u32..5, 0_u8..6, 1_u8..4);
    let row = (reader.clone(), symbol.clone(), mode.clone());
    prop_oneof![
        any::<bool>().prop_map(Step::Open),
        reader.clone().prop_map(Step::Close),
        (row.clone(), prop_oneof![Just(0_u32), Just(5), Just(50)])
            .prop_map(|((r, s, m), w)| Step::Subscribe(r, s, m, w)),
        (row.clone(), prop_oneof![Just(0_u32), Just(5), Just(50)])
            .prop_map(|((r, s, m), w)| Step::Subscribe(r, s, m, w)),
        row.clone().prop_map(|(r, s, m)| Step::Unsubscribe(r, s, m)),
        reader.clone().prop_map(Step::UnsubscribeAll),
        row.prop_map(|(r, s, m)| Step::Snapshot(r, s, m)),
        (symbol.clone(), mode.clone(), any::<bool>()).prop_map(|(s, m, p)| Step::Tick(s, m, p)),
        (symbol.clone(), mode.clone(), any::<bool>()).prop_map(|(s, m, p)| Step::Tick(s, m, p)),
        (symbol.clone(), mode.clone(), any::<bool>()).prop_map(|(s, m, p)| Step::Tick(s, m, p)),
        Just(Step::Flush),
        Just(Step::Take),
        reader.clone().prop_map(Step::Pause),
        reader.prop_map(Step::Resume),
        (0..60 * MS).prop_map(Step::Wait),
        (symbol, mode, any::<bool>()).prop_map(|(s, m, more)| Step::Want(s, m, more)),
    ]
}

fn name(symbol: u8) -> String {
    format!("S{symbol}")
}

fn mode(number: u8) -> Mode {
    Mode::from_number(number).expect("1 to 3")
}

/// Takes out everything; each batch is whole frames, and what is "the same again" is.
fn take(engine: &mut Engine) {
    let mut before = Vec::new();
    engine.take(|batch| {
        let mut bytes = vec![0; batch.bytes];
        batch.copy_to(&mut bytes);
        assert!(!batch.same || bytes == before);
        let mut at = 0;
        while at < bytes.len() {
            assert_eq!(bytes[at], 0x81);
            let (size, head) = match bytes[at + 1] {
                126 => (usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])), 4),
                short => (usize::from(short), 2),
            };
            at += head + size;
        }
        assert_eq!(at, bytes.len());
        before = bytes;
    });
}

fn act(engine: &mut Engine, step: Step, now: &mut u64) {
    let numbered = |engine: &Engine, symbol| engine.instruments().find(0, &name(symbol));
    match step {
        Step::Open(flat) => {
            if engine.reader_count() < 5 {
                engine.open(if flat { Format::Flat } else { Format::Nested });
            }
        }
        Step::Close(r) => drop(engine.close(r)),
        Step::Subscribe(r, s, m, window) => drop(engine.subscribe(r, "NSE", &name(s), mode(m), window)),
        Step::Unsubscribe(r, s, m) => {
            if let Some(number) = numbered(engine, s) {
                engine.unsubscribe(r, number, mode(m));
            }
        }
        Step::UnsubscribeAll(r) => drop(engine.unsubscribe_all(r)),
        Step::Snapshot(r, s, m) => {
            if let (Some(number), true) = (numbered(engine, s), engine.reader(r).is_some()) {
                engine.snapshot(r, number, mode(m), *now);
            }
        }
        Step::Tick(s, m, priced) => {
            let topic = format!("NSE_{}_{}", name(s), mode(m).segment());
            let payload: &[u8] = if priced { b"{\"ltp\":1}" } else { b"{\"depth\":{\"buy\":[{\"price\":1}]}}" };
            engine.ingest(topic.as_bytes(), payload, Arrival { mono_ns: *now, unix_ns: *now }, 0);
        }
        Step::Flush => engine.flush(*now),
        Step::Take => take(engine),
        Step::Pause(r) => engine.pause(r),
        Step::Resume(r) => engine.resume(r, *now),
        Step::Wait(ns) => *now += ns,
        Step::Want(s, m, more) => drop(engine.want(0, &name(s), mode(m), more)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// With room for four of the six symbols, so that numbers pass from one to another.
    #[test]
    fn indexes_agree_whatever_happens(steps in proptest::collection::vec(step(), 0..120), values in 0_usize..2_000) {
        let mut engine = Engine::new("bus", Limits { instruments: 4, values, ..Limits::default() });
        let mut now = 1_000 * MS;
        for step in steps {
            act(&mut engine, step, &mut now);
            engine.check();
        }
        for reader in 0..5 {
            engine.resume(reader, now);
        }
        engine.flush(now + 100 * MS);
        prop_assert_eq!(engine.next_deadline(), None);
        take(&mut engine);
        for reader in 0..5 {
            engine.close(reader);
        }
        engine.check();
    }
}

impl Engine {
    /// Places and entries, numbers and names agree. Panics where they do not.
    pub fn check(&self) {
        self.instruments.check();
        let mut held = 0;
        for number in 0..self.instruments.len() as u32 {
            let entries = &self.instruments.get(number).entries;
            for (mode, place, entry) in Mode::ALL.into_iter().flat_map(|mode| {
                entries[mode.index()].iter().enumerate().map(move |(place, entry)| (mode, place, entry))
            }) {
                let reader = self.readers.find(entry.reader).expect("a closed reader holds nothing");
                assert_eq!(reader.place(number, mode), Some(place as u32));
                let pending = Pending { instrument: number, mode, reader: entry.reader };
                match entry.state {
                    State::Idle => (),
                    State::Waiting => assert!(self.deadlines.holds(pending), "{pending:?} is forgotten"),
                    State::Parked => assert!(reader.paused && reader.parked.contains(&(number, mode))),
                }
                held += 1;
            }
        }
        let places = (0..self.readers.slots() as u32).filter_map(|number| self.readers.find(number));
        let places = places.flat_map(|reader| reader.places.values());
        assert_eq!(held, places.flatten().flatten().count());
        assert!(self.routes.values().all(|route| (route.instrument as usize) < self.instruments.len()));
    }
}
