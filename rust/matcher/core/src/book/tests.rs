//! The spec's table row by row; random lives are compared with a Python oracle in `tests/unit`.

use super::gtt::{Gtt, Leg};
use super::order::{Order, State, Terms};
use super::quote::Side;
use super::types::{Decision, Entry, Refusal, Source};
use super::{Limits, Matcher};
use crate::fixed::{self, Price};
use crate::topic::Mode;

const AGE: u64 = 60;

fn price(text: &str) -> Price {
    fixed::parse(text.as_bytes()).expect("a number")
}

fn order(id: u64, side: Side, terms: Terms) -> Order {
    Order { id, sequence: id, side, terms, triggered: false }
}

fn limit(at: &str) -> Terms {
    Terms::Limit { price: price(at) }
}

fn sl(at: &str, trigger: &str) -> Terms {
    Terms::Sl { price: price(at), trigger: price(trigger) }
}

fn sl_m(trigger: &str) -> Terms {
    Terms::SlM { trigger: price(trigger) }
}

fn filled(at: &str) -> Result<Entry, Refusal> {
    Ok(Entry::Filled { price: price(at) })
}

fn fill(order: u64, at: &str) -> Decision {
    Decision::Fill { order, price: price(at) }
}

const OPEN: Result<Entry, Refusal> = Ok(Entry::Rests { state: State::Open });
const PENDING: Result<Entry, Refusal> = Ok(Entry::Rests { state: State::TriggerPending });

/// A matcher at time 100 whose every instrument is NSE:SBIN.
struct Bench(Matcher);

impl Bench {
    fn new() -> Self {
        Bench(Matcher::new(Limits::default()))
    }

    fn after(payload: &str) -> Self {
        let mut bench = Bench::new();
        bench.tick(payload);
        bench
    }

    fn tick(&mut self, payload: &str) -> Vec<Decision> {
        self.0.ingest(b"NSE_SBIN_DEPTH", payload.as_bytes(), 100, Source::Live)
    }

    fn enter(&mut self, order: Order) -> Result<Entry, Refusal> {
        self.0.enter("NSE", "SBIN", order, 100, AGE)
    }
}

const QUOTE: &str = r#"{"ltp":100,"bid":99.95,"ask":100.05}"#;

#[test]
fn market_fills_at_the_far_side_or_not_at_all() {
    let enter = |payload: &str, side| Bench::after(payload).enter(order(1, side, Terms::Market));
    assert_eq!(enter(QUOTE, Side::Buy), filled("100.05"));
    assert_eq!(enter(QUOTE, Side::Sell), filled("99.95"));
    assert_eq!(enter(r#"{"ltp":100,"ask":0}"#, Side::Buy), filled("100"));
    let levels = r#"{"ltp":100,"depth":{"buy":[{"price":99}],"sell":[{"price":101},{"price":102}]}}"#;
    assert_eq!(enter(levels, Side::Buy), filled("101"));
    assert_eq!(enter(levels, Side::Sell), filled("99"));
    assert_eq!(enter(r#"{"ltp":0}"#, Side::Sell), Ok(Entry::NoPrice));
    let mut bench = Bench::after(QUOTE);
    assert_eq!(bench.0.enter("NSE", "SBIN", order(1, Side::Buy, Terms::Market), 161, AGE), Ok(Entry::NoPrice));
    assert_eq!(bench.0.enter("NSE", "SBIN", order(1, Side::Buy, Terms::Market), 160, AGE), filled("100.05"));
    assert_eq!(bench.0.enter("NSE", "TCS", order(1, Side::Buy, Terms::Market), 100, AGE), Ok(Entry::NoPrice));
    assert_eq!(bench.0.resting(), (0, 0));
}

#[test]
fn the_far_side_of_an_earlier_tick_is_not_used() {
    let mut bench = Bench::after(QUOTE);
    bench.tick(r#"{"ltp":101}"#);
    assert_eq!(bench.enter(order(1, Side::Buy, Terms::Market)), filled("101"));
}

#[test]
fn limit_rests_and_fills_at_its_limit() {
    let mut bench = Bench::after(r#"{"ltp":100}"#);
    assert_eq!(bench.enter(order(1, Side::Buy, limit("99"))), OPEN);
    assert_eq!(bench.enter(order(2, Side::Sell, limit("101"))), OPEN);
    assert_eq!(bench.tick(r#"{"ltp":99.00000001}"#), []);
    assert_eq!(bench.tick(r#"{"ltp":98.5,"ask":98.55}"#), [fill(1, "99")]);
    assert_eq!(bench.tick(r#"{"ltp":101,"bid":100.95}"#), [fill(2, "101")]);
    assert_eq!(bench.tick(r#"{"ltp":98}"#), [], "it fills once");
    assert_eq!(bench.0.resting(), (0, 0));
}

#[test]
fn marketable_limit_fills_at_the_far_side_never_worse() {
    let enter = |payload: &str, side, at: &str| Bench::after(payload).enter(order(1, side, limit(at)));
    assert_eq!(enter(QUOTE, Side::Buy, "101"), filled("100.05"));
    assert_eq!(enter(QUOTE, Side::Buy, "100"), filled("100"));
    assert_eq!(enter(QUOTE, Side::Sell, "99"), filled("99.95"));
    assert_eq!(enter(QUOTE, Side::Sell, "100"), filled("100"));
    assert_eq!(enter(r#"{"ltp":100}"#, Side::Buy, "101"), filled("100"));
    assert_eq!(enter(r#"{"ltp":100,"ask":98}"#, Side::Buy, "99"), OPEN, "ltp decides");
}

#[test]
fn sl_fills_at_ltp_where_the_limit_allows() {
    let mut bench = Bench::after(r#"{"ltp":100}"#);
    assert_eq!(bench.enter(order(1, Side::Buy, sl("103", "102"))), PENDING);
    assert_eq!(bench.enter(order(2, Side::Sell, sl("97", "98"))), PENDING);
    assert_eq!(bench.tick(r#"{"ltp":102.5,"ask":102.6}"#), [fill(1, "102.5")]);
    assert_eq!(bench.tick(r#"{"ltp":98}"#), [fill(2, "98")]);
}

#[test]
fn sl_beyond_its_limit_is_a_limit_order_from_then_on() {
    let mut bench = Bench::after(r#"{"ltp":100}"#);
    assert_eq!(bench.enter(order(1, Side::Buy, sl("103", "102"))), PENDING);
    assert_eq!(bench.tick(r#"{"ltp":104}"#), [Decision::Triggered { order: 1 }]);
    assert_eq!(bench.0.order(1).map(Order::state), Some(State::Open));
    assert_eq!(bench.tick(r#"{"ltp":105}"#), []);
    assert_eq!(bench.tick(r#"{"ltp":101,"ask":101}"#), [fill(1, "103")], "below its trigger, at its limit");
}

#[test]
fn sl_m_fills_at_the_far_side() {
    let mut bench = Bench::after(r#"{"ltp":100}"#);
    bench.enter(order(1, Side::Buy, sl_m("102"))).expect("rests");
    bench.enter(order(2, Side::Sell, sl_m("98"))).expect("rests");
    assert_eq!(bench.tick(r#"{"ltp":102,"ask":102.1}"#), [fill(1, "102.1")]);
    assert_eq!(bench.tick(r#"{"ltp":97,"ask":97.1}"#), [fill(2, "97")]);
}

#[test]
fn a_trigger_already_met_fires_at_entry() {
    let enter = |terms| Bench::after(QUOTE).enter(order(1, Side::Buy, terms));
    assert_eq!(enter(sl_m("99")), filled("100.05"));
    assert_eq!(enter(sl("101", "100")), filled("100"));
    assert_eq!(enter(sl("99.5", "99")), OPEN);
    let mut bench = Bench::after(QUOTE);
    bench.enter(order(1, Side::Buy, sl("99.5", "99"))).expect("rests");
    assert_eq!(bench.tick(r#"{"ltp":98.5}"#), [fill(1, "99.5")]);
    assert_eq!(bench.0.enter("NSE", "SBIN", order(2, Side::Buy, sl_m("90")), 161, AGE), PENDING, "no fresh price");
}

#[test]
fn time_priority_within_a_tick() {
    let mut bench = Bench::new();
    for (id, sequence, terms) in [(1, 30, limit("102")), (2, 10, limit("101")), (3, 20, sl_m("99"))] {
        let order = Order { sequence, ..order(id, Side::Buy, terms) };
        bench.0.restore("NSE", "SBIN", order).expect("rests");
    }
    bench.0.add_gtt("NSE", "SBIN", Gtt { id: 1, sequence: 15, sl: Some(price("100")), tg: None }).expect("waits");
    let fired = Decision::GttFired { gtt: 1, leg: Leg::Sl };
    assert_eq!(bench.tick(r#"{"ltp":100}"#), [fill(2, "101"), fired, fill(3, "100"), fill(1, "102")]);
}

#[test]
fn a_gtt_fires_one_leg() {
    let oco = Gtt { id: 7, sequence: 1, sl: Some(price("95")), tg: Some(price("105")) };
    for (payload, leg) in [(r#"{"ltp":95}"#, Leg::Sl), (r#"{"ltp":105}"#, Leg::Tg)] {
        let mut bench = Bench::after(payload);
        bench.0.add_gtt("NSE", "SBIN", oco).expect("waits: placing fires nothing");
        assert_eq!(bench.tick(r#"{"ltp":100}"#), []);
        assert_eq!(bench.tick(payload), [Decision::GttFired { gtt: 7, leg }]);
        assert_eq!(bench.tick(r#"{"ltp":95}"#), []);
        assert_eq!(bench.tick(r#"{"ltp":105}"#), []);
    }
    let crossed = Gtt { sl: Some(price("105")), tg: Some(price("95")), ..oco };
    let mut bench = Bench::new();
    bench.0.add_gtt("NSE", "SBIN", crossed).expect("waits");
    assert_eq!(bench.tick(r#"{"ltp":100}"#), [Decision::GttFired { gtt: 7, leg: Leg::Sl }]);
    assert_eq!(bench.tick(r#"{"ltp":100}"#), []);
}

#[test]
fn a_quote_outside_its_own_day_fills_nothing_and_is_no_price() {
    let mut bench = Bench::after(QUOTE);
    bench.enter(order(1, Side::Buy, limit("99"))).expect("rests");
    for stale in
        [r#"{"ltp":90,"low":95,"high":110}"#, r#"{"ltp":90,"low":95}"#, r#"{"ltp":90,"high":85}"#, r#"{"ltp":0}"#]
    {
        assert_eq!(bench.tick(stale), [], "{stale}");
    }
    assert_eq!(bench.0.quote("NSE", "SBIN").map(|quote| quote.ltp), Some(price("100")));
    assert_eq!(
        bench.0.last_value("NSE", "SBIN", Mode::Depth).map(|value| value.payload.text()),
        Some(br#"{"ltp":0}"#[..].into())
    );
    assert_eq!((bench.0.stats().stale, bench.0.stats().no_price), (3, 1));
    assert_eq!(bench.tick(r#"{"ltp":95,"low":95,"high":95}"#), [fill(1, "99")], "the range is inclusive");
    bench.enter(order(2, Side::Sell, limit("96"))).expect("rests");
    assert_eq!(bench.tick(r#"{"ltp":97,"low":0,"high":0}"#), [fill(2, "96")], "no range yet");
}

#[test]
fn a_replay_fills_nothing_that_rests_but_counts_at_entry() {
    let mut bench = Bench::new();
    bench.enter(order(1, Side::Buy, limit("99"))).expect("rests");
    bench.0.add_gtt("NSE", "SBIN", Gtt { id: 1, sequence: 2, sl: Some(price("99")), tg: None }).expect("waits");
    assert_eq!(bench.0.ingest(b"NSE_SBIN_LTP", br#"{"ltp":98}"#, 90, Source::Replay), []);
    assert_eq!(bench.0.resting(), (1, 1));
    assert_eq!(bench.enter(order(2, Side::Sell, Terms::Market)), filled("98"));
    assert_eq!(bench.tick(r#"{"ltp":98}"#).len(), 2, "a live tick does");
}

#[test]
fn an_older_replay_outdates_nothing() {
    let mut bench = Bench::new();
    bench.0.ingest(b"NSE_SBIN_LTP", br#"{"ltp":98}"#, 90, Source::Live);
    bench.0.ingest(b"NSE_SBIN_DEPTH", br#"{"ltp":97,"bid":1}"#, 80, Source::Replay);
    assert_eq!(bench.0.quote("NSE", "SBIN").map(|quote| quote.ltp), Some(price("98")));
    let payload = |mode| bench.0.last_value("NSE", "SBIN", mode).map(|value| value.payload.text().into_owned());
    assert_eq!(payload(Mode::Ltp), Some(br#"{"ltp":98}"#.to_vec()));
    assert_eq!(payload(Mode::Quote), Some(br#"{"ltp":97,"bid":1}"#.to_vec()));
    bench.0.ingest(b"NSE_SBIN_LTP", br#"{"ltp":96}"#, 80, Source::Replay);
    assert_eq!(bench.0.quote("NSE", "SBIN").map(|quote| quote.ltp), Some(price("98")));
}

#[test]
fn modify_judges_anew() {
    let mut bench = Bench::after(QUOTE);
    bench.enter(order(1, Side::Buy, limit("99"))).expect("rests");
    assert_eq!(bench.0.modify(1, limit("98"), 100, AGE), OPEN);
    assert_eq!(bench.tick(r#"{"ltp":99}"#), []);
    assert_eq!(bench.0.modify(1, limit("0"), 100, AGE), Err(Refusal::Price));
    assert_eq!(bench.0.modify(1, Terms::Market, 200, AGE), Ok(Entry::NoPrice));
    assert_eq!(bench.0.order(1).map(|order| order.terms), Some(limit("98")));
    assert_eq!(bench.0.modify(1, limit("99.5"), 100, AGE), filled("99"));
    assert_eq!(bench.0.modify(1, limit("99.5"), 100, AGE), Err(Refusal::Unknown));
}

#[test]
fn a_spent_trigger_stays_spent() {
    let mut bench = Bench::after(r#"{"ltp":104}"#);
    bench.enter(order(1, Side::Buy, sl("103", "102"))).expect("rests");
    assert_eq!(bench.0.modify(1, sl("101", "110"), 100, AGE), OPEN);
    let spent = bench.0.remove(1).expect("rested");
    assert!(spent.triggered);
    bench.0.restore("NSE", "SBIN", spent).expect("rests");
    assert_eq!(bench.tick(r#"{"ltp":101}"#), [fill(1, "101")]);
    bench.0.restore("NSE", "SBIN", spent).expect("rests");
    assert_eq!(bench.0.modify(1, sl_m("105"), 100, AGE), PENDING, "another price type, another trigger");
}

#[test]
fn refusals_change_nothing() {
    let mut bench = Bench::new();
    let good = order(1, Side::Buy, limit("99"));
    bench.enter(good).expect("rests");
    assert_eq!(bench.enter(good), Err(Refusal::Duplicate));
    assert_eq!(bench.enter(order(2, Side::Sell, limit("-1"))), Err(Refusal::Price));
    assert_eq!(bench.0.restore("NSE", "SBIN", order(2, Side::Sell, Terms::Market)), Err(Refusal::Market));
    assert_eq!(bench.0.enter("XSE", "SBIN", order(2, Side::Buy, limit("99")), 100, AGE), Err(Refusal::Exchange));
    assert_eq!(bench.0.enter("NSE", " ", order(2, Side::Buy, limit("99")), 100, AGE), Err(Refusal::Symbol));
    let none = Gtt { id: 1, sequence: 1, sl: None, tg: None };
    assert_eq!(bench.0.add_gtt("NSE", "SBIN", none), Err(Refusal::Price));
    assert_eq!(bench.0.modify_gtt(1, None, None), Err(Refusal::Unknown));
    assert_eq!((bench.0.remove(2), bench.0.remove_gtt(1)), (None, None));
    assert_eq!(bench.0.resting(), (1, 0));
    bench.0.clear();
    assert_eq!(bench.tick(r#"{"ltp":98}"#), []);
}

#[test]
fn bounds_and_bad_ticks_are_counted() {
    let mut matcher = Matcher::new(Limits { instruments: 1, payload: 20 });
    for (topic, payload) in [
        (&b"NSE_A_LTP"[..], &br#"{"ltp":1}"#[..]),
        (b"NSE_B_LTP", br#"{"ltp":1}"#),
        (b"_health", b"{}"),
        (b"NSE_A_LTP", br#"{"ltp":1,"volume":12345}"#),
        (b"NSE_A_LTP", br#"{"ltp":NaN}"#),
        (b"NSE_A_LTP", b"{}"),
    ] {
        assert_eq!(matcher.ingest(topic, payload, 1, Source::Live), []);
    }
    let stats = matcher.stats();
    assert_eq!((stats.ticks, stats.too_many_instruments, stats.bad_topic), (1, 1, 1));
    assert_eq!((stats.too_large, stats.bad_payload, stats.no_price), (1, 1, 1));
    assert_eq!(matcher.enter("NSE", "B", order(1, Side::Buy, limit("1")), 1, AGE), Err(Refusal::Full));
}
