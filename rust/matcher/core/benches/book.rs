//! Criterion benches of the order matcher: `cargo bench --package gateway-matcher-core --bench book`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gateway_matcher_core::book::order::{Order, Terms};
use gateway_matcher_core::book::quote::Side;
use gateway_matcher_core::book::types::{Entry, Source};
use gateway_matcher_core::book::{Limits, Matcher};
use gateway_matcher_core::fixed::{Price, SCALE};
use std::hint::black_box;
use std::time::{Duration, Instant};

const INSTRUMENTS: u64 = 1_000;
const QUOTE: &[u8] = br#"{"ltp":625.5,"ltt":1705294800000,"ltq":25,"timestamp":1705294800000,"open":621.5,"high":629.9,"low":619.25,"close":620.1,"volume":8412345,"average_price":624.87,"total_buy_quantity":1204321,"total_sell_quantity":1184007,"oi":0,"change":5.4,"change_percent":0.87,"bid":625.45,"ask":625.5}"#;
const LTP: &[u8] = br#"{"ltp":625.5,"ltt":1705294800000,"ltq":25,"timestamp":1705294800000}"#;

fn symbol(id: u64) -> String {
    format!("B{:04}", id % INSTRUMENTS)
}

fn topics(mode: &str) -> Vec<Vec<u8>> {
    (0..INSTRUMENTS).map(|id| format!("NSE_{}_{mode}", symbol(id)).into_bytes()).collect()
}

/// An order around 625.5 that a tick at that price leaves alone: every price type, both sides, many levels.
fn quiet(id: u64) -> Order {
    let away = Price((1 + (id / INSTRUMENTS) as i64) * SCALE / 20);
    let (below, above) = (Price(600 * SCALE - away.0), Price(650 * SCALE + away.0));
    let (side, terms) = match id % 5 {
        0 => (Side::Buy, Terms::Limit { price: below }),
        1 => (Side::Sell, Terms::Limit { price: above }),
        2 => (Side::Buy, Terms::Sl { price: Price(above.0 + SCALE), trigger: above }),
        3 => (Side::Sell, Terms::Sl { price: Price(below.0 - SCALE), trigger: below }),
        _ => (Side::Sell, Terms::SlM { trigger: below }),
    };
    Order { id, sequence: id, side, terms, triggered: false }
}

fn matcher(resting: u64) -> Matcher {
    let mut matcher = Matcher::new(Limits::default());
    for id in 0..resting {
        matcher.restore("NSE", &symbol(id), quiet(id)).expect("rests");
    }
    matcher
}

/// A tick that meets nothing, over all instruments in turn.
fn tick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("book-tick");
    group.throughput(Throughput::Elements(1));
    for (mode, payload) in [("LTP", LTP), ("QUOTE", QUOTE)] {
        let topics = topics(mode);
        for resting in [1_000, 100_000] {
            let mut matcher = matcher(resting);
            let mut at = 0;
            group.bench_function(BenchmarkId::new(mode, resting), |bencher| {
                bencher.iter(|| {
                    at += 1;
                    let topic = &topics[at % INSTRUMENTS as usize];
                    let decisions = matcher.ingest(black_box(topic), black_box(payload), at as u64, Source::Live);
                    assert!(decisions.is_empty());
                });
            });
        }
    }
}

/// 1,000 orders of one instrument cross on one tick, beside 100,000 that rest elsewhere.
fn burst(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("book-burst");
    group.throughput(Throughput::Elements(1_000));
    let mut matcher = matcher(100_000);
    group.bench_function("1000-orders-on-one-tick", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                for id in 1_000_000..1_001_000 {
                    let terms = Terms::Limit { price: Price(500 * SCALE + id as i64) };
                    let order = Order { id, sequence: id, side: Side::Buy, terms, triggered: false };
                    matcher.restore("NSE", "BURST", order).expect("rests");
                }
                let start = Instant::now();
                let decisions = matcher.ingest(b"NSE_BURST_LTP", br#"{"ltp":500}"#, 1, Source::Live);
                spent += start.elapsed();
                assert_eq!(decisions.len(), 1_000);
            }
            spent
        });
    });
}

/// One order enters, is modified and is cancelled, beside 100,000.
fn life(criterion: &mut Criterion) {
    let mut matcher = matcher(100_000);
    let mut id = 1_000_000;
    criterion.bench_function("book-enter-modify-cancel", |bencher| {
        bencher.iter(|| {
            id += 1;
            let order = Order { id, ..quiet(7) };
            let entry = matcher.enter("NSE", "B0001", order, 1, 60).expect("enters");
            assert!(matches!(entry, Entry::Rests { .. }));
            matcher.modify(id, Terms::Limit { price: Price(SCALE) }, 1, 60).expect("rests");
            matcher.remove(id).expect("rested")
        });
    });
}

criterion_group!(benches, tick, burst, life);
criterion_main!(benches);
