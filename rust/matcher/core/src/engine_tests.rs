use super::*;
use crate::frame::Format;
use crate::types::Refusal;

const MS: u64 = 1_000_000;

fn at(ms: u64) -> Arrival {
    Arrival { mono_ns: ms * MS, unix_ns: ms * MS }
}

fn engine() -> Engine {
    Engine::new("bus", Limits::default())
}

/// One subscribed reader of NSE:SBIN.
fn reader(engine: &mut Engine, mode: Mode, window_ms: u32) -> u32 {
    let number = engine.open(Format::Flat);
    engine.subscribe(number, "NSE", "SBIN", mode, window_ms).expect("valid");
    number
}

fn tick(engine: &mut Engine, topic: &str, price: u32, ms: u64) {
    let payload = format!("{{\"ltp\":{price}}}");
    assert!(matches!(engine.ingest(topic.as_bytes(), payload.as_bytes(), at(ms), 0), Outcome::Tick(_)));
}

/// Prices given out, as `(reader, price)`.
fn taken(engine: &mut Engine) -> Vec<(u32, u32)> {
    let mut out = Vec::new();
    engine.take(|batch| {
        let mut bytes = vec![0; batch.bytes];
        batch.copy_to(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for piece in text.split("\"ltp\":").skip(1) {
            let digits: String = piece.chars().take_while(char::is_ascii_digit).collect();
            out.push((batch.reader, digits.parse().expect("a price")));
        }
    });
    out
}

#[test]
fn first_tick_goes_at_once_and_the_last_of_a_burst_at_the_end_of_the_window() {
    let mut engine = engine();
    let r = reader(&mut engine, Mode::Ltp, 50);
    tick(&mut engine, "NSE_SBIN_LTP", 1, 1000);
    assert_eq!(taken(&mut engine), [(r, 1)]);
    for price in 2..9 {
        tick(&mut engine, "NSE_SBIN_LTP", price, 1000 + u64::from(price));
    }
    assert_eq!(taken(&mut engine), []);
    assert_eq!(engine.next_deadline(), Some(1050 * MS));
    engine.flush(1049 * MS);
    assert_eq!(taken(&mut engine), []);
    engine.flush(1050 * MS);
    assert_eq!(taken(&mut engine), [(r, 8)]);
    assert_eq!(engine.next_deadline(), None);
    tick(&mut engine, "NSE_SBIN_LTP", 9, 1099);
    assert_eq!(taken(&mut engine), []);
    engine.flush(1100 * MS);
    assert_eq!(taken(&mut engine), [(r, 9)]);
    assert_eq!((engine.stats().conflated, engine.stats().trailing), (6, 2));
}

#[test]
fn window_zero_sends_everything_in_order() {
    let mut engine = engine();
    let r = reader(&mut engine, Mode::Ltp, 0);
    for price in 0..5 {
        tick(&mut engine, "NSE_SBIN_LTP", price, 7);
    }
    assert_eq!(taken(&mut engine), [(r, 0), (r, 1), (r, 2), (r, 3), (r, 4)]);
}

#[test]
fn modes_nest_downwards_only() {
    let mut engine = engine();
    let (l, q, d) =
        (reader(&mut engine, Mode::Ltp, 0), reader(&mut engine, Mode::Quote, 0), reader(&mut engine, Mode::Depth, 0));
    tick(&mut engine, "NSE_SBIN_LTP", 1, 1);
    assert_eq!(taken(&mut engine), [(l, 1)]);
    tick(&mut engine, "NSE_SBIN_QUOTE", 2, 2);
    assert_eq!(taken(&mut engine), [(l, 2), (q, 2)]);
    tick(&mut engine, "NSE_SBIN_DEPTH", 3, 3);
    assert_eq!(taken(&mut engine), [(l, 3), (q, 3), (d, 3)]);
    let priceless = br#"{"depth":{"buy":[{"price":1,"quantity":1,"orders":1}],"sell":[]}}"#;
    assert!(matches!(engine.ingest(b"NSE_SBIN_DEPTH", priceless, at(4), 0), Outcome::Tick(_)));
    let mut readers = Vec::new();
    engine.take(|batch| readers.push(batch.reader));
    assert_eq!(readers, [d]);
}

#[test]
fn a_paused_reader_gets_the_newest_when_it_drains() {
    let mut engine = engine();
    let (slow, good) = (reader(&mut engine, Mode::Ltp, 0), reader(&mut engine, Mode::Ltp, 0));
    engine.pause(slow);
    for price in 1..4 {
        tick(&mut engine, "NSE_SBIN_LTP", price, u64::from(price));
    }
    assert_eq!(taken(&mut engine), [(good, 1), (good, 2), (good, 3)]);
    engine.resume(slow, 10 * MS);
    assert_eq!(taken(&mut engine), [(slow, 3)]);
    assert_eq!(engine.stats().parked, 2);
    tick(&mut engine, "NSE_SBIN_LTP", 4, 11);
    assert_eq!(taken(&mut engine).len(), 2);
}

#[test]
fn subscriptions_report_first_and_last_holder() {
    let mut engine = engine();
    let (a, b) = (engine.open(Format::Nested), engine.open(Format::Nested));
    let first = engine.subscribe(a, "NSE", "SBIN", Mode::Ltp, 0).expect("valid");
    assert!(first.first);
    assert!(!engine.subscribe(b, "NSE", "SBIN", Mode::Ltp, 0).expect("valid").first);
    assert!(!engine.subscribe(a, "NSE", "SBIN", Mode::Ltp, 5).expect("valid").first);
    assert_eq!(engine.unsubscribe(a, first.instrument, Mode::Ltp), Some(false));
    assert_eq!(engine.unsubscribe(a, first.instrument, Mode::Ltp), None);
    assert_eq!(engine.close(b), [(first.instrument, Mode::Ltp)]);
    assert_eq!(engine.close(b), []);
    assert_eq!(engine.open(Format::Nested), b);
}

#[test]
fn refusals() {
    let mut engine = Engine::new("bus", Limits { instruments: 2, symbols_per_reader: 1, ..Limits::default() });
    let r = engine.open(Format::Nested);
    assert_eq!(engine.subscribe(r, "XXX", "A", Mode::Ltp, 0), Err(Refusal::Exchange));
    assert_eq!(engine.subscribe(r, "NSE", " A", Mode::Ltp, 0), Err(Refusal::Symbol));
    engine.subscribe(r, "NSE", "A", Mode::Ltp, 0).expect("room");
    engine.subscribe(r, "NSE", "A", Mode::Depth, 0).expect("same instrument");
    assert_eq!(engine.subscribe(r, "NSE", "B", Mode::Ltp, 0), Err(Refusal::ReaderFull));
    engine.set_symbols_per_reader(2);
    let second = engine.subscribe(r, "NSE", "B", Mode::Ltp, 0).expect("the limit was raised");
    assert_eq!(engine.unsubscribe(r, second.instrument, Mode::Ltp), Some(true));
    engine.set_symbols_per_reader(1);
    let other = engine.open(Format::Nested);
    engine.subscribe(other, "NSE", "B", Mode::Ltp, 0).expect("room");
    let third = engine.open(Format::Nested);
    assert_eq!(engine.subscribe(third, "NSE", "C", Mode::Ltp, 0), Err(Refusal::EngineFull));
    assert_eq!(engine.subscribe(99, "NSE", "C", Mode::Ltp, 0), Err(Refusal::Closed));
}

#[test]
fn malformed_traffic_is_counted_and_dropped() {
    let mut engine = engine();
    let r = reader(&mut engine, Mode::Depth, 0);
    for (topic, payload) in [
        ("NSE_LTP", "{\"ltp\":1}"),
        ("NSE_SBIN_LTP", "[1]"),
        ("NSE_SBIN_LTP", "{\"ltp\":NaN}"),
        ("NSE_SBIN_LTP", "{}"),
        ("NSE_SBIN_DEPTH", "{\"depth\":{\"buy\":[]}}"),
    ] {
        assert_eq!(engine.ingest(topic.as_bytes(), payload.as_bytes(), at(1), 0), Outcome::Dropped);
    }
    let stats = engine.stats();
    assert_eq!((stats.bad_topic, stats.bad_payload, stats.bad_number, stats.no_price), (1, 1, 1, 2));
    assert_eq!(taken(&mut engine), []);
    assert_eq!(engine.close(r).len(), 1);
}

#[test]
fn the_tick_stream_gets_native_topics_and_wanted_copies() {
    let mut engine = engine();
    let published = |engine: &mut Engine, topic: &str| match engine.ingest(topic.as_bytes(), b"{\"ltp\":1}", at(1), 0) {
        Outcome::Tick(tick) => tick.publish,
        other => panic!("{other:?}"),
    };
    assert_eq!(published(&mut engine, "NSE_SBIN_DEPTH"), 0);
    assert_eq!(engine.want(0, "SBIN", Mode::Ltp, true).map(|w| w.1), Some(true));
    assert_eq!(engine.want(0, "SBIN", Mode::Ltp, true).map(|w| w.1), Some(false));
    assert_eq!(published(&mut engine, "NSE_SBIN_DEPTH"), 0b001);
    engine.listen(true);
    assert_eq!(published(&mut engine, "NSE_SBIN_DEPTH"), 0b101);
    let number = engine.want(0, "SBIN", Mode::Ltp, false).expect("known").0;
    assert_eq!(engine.want(0, "SBIN", Mode::Ltp, false).map(|w| w.1), Some(true));
    assert_eq!(published(&mut engine, "NSE_SBIN_DEPTH"), 0b100);
    assert_eq!(engine.instrument(number).sequence, [2, 0, 4]);
}

#[test]
fn a_snapshot_is_marked_and_starts_the_window() {
    let mut engine = engine();
    tick(&mut engine, "NSE_SBIN_QUOTE", 5, 1);
    let r = reader(&mut engine, Mode::Ltp, 50);
    let number = engine.instruments().find(0, "SBIN").expect("known");
    assert!(engine.snapshot(r, number, Mode::Ltp, 10 * MS));
    let mut text = Vec::new();
    engine.take(|batch| {
        text.resize(batch.bytes, 0);
        batch.copy_to(&mut text);
    });
    assert_eq!(&text[2..], br#"{"symbol":"SBIN","exchange":"NSE","snapshot":true,"ltp":5}"#);
    tick(&mut engine, "NSE_SBIN_LTP", 6, 20);
    assert_eq!(taken(&mut engine), []);
    engine.flush(60 * MS);
    assert_eq!(taken(&mut engine), [(r, 6)]);
}

#[test]
fn ever_new_symbols_shut_nobody_out() {
    let mut engine = Engine::new("bus", Limits { instruments: 100, values: 20_000, ..Limits::default() });
    let r = engine.open(Format::Flat);
    engine.subscribe(r, "NSE", "SBIN", Mode::Ltp, 0).expect("room");
    engine.want(0, "INFY", Mode::Ltp, true).expect("room");
    let padded = format!("{{\"ltp\":1,\"x\":\"{}\"}}", "x".repeat(1_000));
    for n in 0..5_000_u64 {
        engine.ingest(format!("NSE_X{n}_LTP").as_bytes(), padded.as_bytes(), at(n), 0);
        engine.ingest(format!("b{n}_NSE_Y_LTP").as_bytes(), b"{\"ltp\":1}", at(n), 0);
    }
    engine.check();
    assert_eq!(engine.instruments().len(), 100);
    assert!(engine.routes.len() <= 400);
    assert!(engine.instruments().heap_bytes() < 70_000, "{}", engine.instruments().heap_bytes());
    assert_eq!(engine.broker("zerodha"), 256, "a feed of our own still gets a name");
    tick(&mut engine, "NSE_SBIN_LTP", 7, 1);
    assert_eq!(taken(&mut engine), [(r, 7)]);
    engine.subscribe(r, "NSE", "TCS", Mode::Ltp, 0).expect("room is made");
    tick(&mut engine, "NSE_TCS_LTP", 8, 1);
    assert_eq!(taken(&mut engine), [(r, 8)]);
    assert!(engine.instruments().find(0, "INFY").is_some());
}

#[test]
fn a_bad_payload_makes_no_instrument_known() {
    let mut engine = engine();
    assert_eq!(engine.ingest(b"NSE_SBIN_LTP", b"{}", at(1), 0), Outcome::Dropped);
    assert_eq!((engine.instruments().len(), engine.stats().no_price), (0, 1));
}
