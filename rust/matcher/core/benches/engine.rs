//! Criterion benches of the engine and the Kite decoder: `cargo bench --package gateway-matcher-core`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gateway_matcher_core::engine::Engine;
use gateway_matcher_core::frame::Format;
use gateway_matcher_core::kite::KiteDecoder;
use gateway_matcher_core::last::Arrival;
use gateway_matcher_core::scan;
use gateway_matcher_core::topic::Mode;
use gateway_matcher_core::types::Limits;
use std::hint::black_box;

const SYMBOLS: usize = 100;
const START_NS: u64 = 1_705_294_800_000_000_000;
const LTP: &[u8] = br#"{"ltp":625.5,"ltt":1705294800000,"ltq":25,"timestamp":1705294800000}"#;
const DEPTH: &[u8] = br#"{"ltp":625.5,"ltt":1705294800000,"ltq":25,"timestamp":1705294800000,"open":621.5,"high":629.9,"low":619.25,"close":620.1,"volume":8412345,"average_price":624.87,"total_buy_quantity":1204321,"total_sell_quantity":1184007,"oi":0,"change":5.4,"change_percent":0.87,"bid":625.45,"ask":625.5,"depth":{"buy":[{"price":625.45,"quantity":1250,"orders":7},{"price":625.4,"quantity":1251,"orders":8},{"price":625.35,"quantity":1252,"orders":9},{"price":625.3,"quantity":1253,"orders":10},{"price":625.25,"quantity":1254,"orders":11}],"sell":[{"price":625.5,"quantity":1250,"orders":7},{"price":625.55,"quantity":1251,"orders":8},{"price":625.6,"quantity":1252,"orders":9},{"price":625.65,"quantity":1253,"orders":10},{"price":625.7,"quantity":1254,"orders":11}]}}"#;

fn symbols() -> Vec<String> {
    (1..=SYMBOLS).map(|number| format!("B{number:04}")).collect()
}

fn topics(mode: &str) -> Vec<Vec<u8>> {
    symbols().iter().map(|symbol| format!("NSE_{symbol}_{mode}").into_bytes()).collect()
}

fn arrival(ns: u64) -> Arrival {
    Arrival { mono_ns: ns, unix_ns: START_NS + ns }
}

/// An engine with readers of all symbols in LTP.
fn engine(readers: usize, window_ms: u32) -> Engine {
    let mut engine = Engine::new("bus", Limits::default());
    for _ in 0..readers {
        let reader = engine.open(Format::Nested);
        for symbol in symbols() {
            engine.subscribe(reader, "NSE", &symbol, Mode::Ltp, window_ms).expect("subscribes");
        }
    }
    engine
}

fn scans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scan");
    for (name, payload) in [("ltp", LTP), ("depth", DEPTH)] {
        group.throughput(Throughput::Bytes(payload.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| scan::scan(black_box(payload))));
    }
}

/// One tick that nobody, or someone whose window is open, has to get: validation and last value only.
fn ingest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ingest");
    group.throughput(Throughput::Elements(1));
    for (name, mode, payload, readers) in
        [("unheard-ltp", "LTP", LTP, 0), ("unheard-depth", "DEPTH", DEPTH, 0), ("conflated-10-readers", "LTP", LTP, 10)]
    {
        let topics = topics(mode);
        let mut engine = engine(readers, 3_600_000);
        let mut at = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                at += 1;
                engine.ingest(black_box(&topics[at % SYMBOLS]), black_box(payload), arrival(at as u64), 0)
            });
        });
    }
}

/// 100 ticks in, everything out: what the engine costs per delivery, without Python and the kernel.
fn deliver(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deliver-100-ticks");
    let topics = topics("LTP");
    for readers in [1, 10, 100] {
        let mut engine = engine(readers, 0);
        let mut now_ns = 1;
        let mut out = Vec::new();
        group.throughput(Throughput::Elements((readers * SYMBOLS) as u64));
        group.bench_function(BenchmarkId::from_parameter(readers), |bencher| {
            bencher.iter(|| {
                now_ns += 1_000;
                for topic in &topics {
                    engine.ingest(topic, LTP, arrival(now_ns), 0);
                }
                engine.flush(now_ns);
                engine.take(|batch| {
                    if !batch.same {
                        out.resize(batch.bytes, 0);
                        batch.copy_to(&mut out);
                    }
                });
                engine.written(now_ns);
                out.len()
            });
        });
    }
}

/// Windows of all readers end at once.
fn trailing(criterion: &mut Criterion) {
    let topics = topics("LTP");
    let mut engine = engine(10, 50);
    let mut now_ns = 1;
    let mut group = criterion.benchmark_group("trailing");
    group.throughput(Throughput::Elements((10 * SYMBOLS) as u64));
    group.bench_function("10-readers-100-symbols", |bencher| {
        bencher.iter(|| {
            now_ns += 1_000_000_000;
            for _ in 0..2 {
                for topic in &topics {
                    engine.ingest(topic, LTP, arrival(now_ns), 0);
                }
            }
            engine.flush(now_ns + 100_000_000);
            let mut bytes = 0;
            engine.take(|batch| bytes += batch.bytes);
            engine.written(now_ns);
            bytes
        });
    });
}

fn subscribe(criterion: &mut Criterion) {
    let symbols = symbols();
    let mut engine = engine(100, 50);
    let mut group = criterion.benchmark_group("subscribe");
    group.throughput(Throughput::Elements(SYMBOLS as u64));
    group.bench_function("open-100-symbols-close", |bencher| {
        bencher.iter(|| {
            let reader = engine.open(Format::Nested);
            for symbol in &symbols {
                engine.subscribe(reader, "NSE", symbol, Mode::Ltp, 50).expect("subscribes");
            }
            engine.close(reader)
        });
    });
}

/// A frame of full packets (KITE section 3.4: 184 bytes each) of NSE instruments.
fn kite_frame(packets: u32) -> Vec<u8> {
    let mut frame = (packets as u16).to_be_bytes().to_vec();
    for token in (1..=packets).map(|number| number << 8 | 1) {
        frame.extend_from_slice(&184_u16.to_be_bytes());
        let words = std::iter::once(token).chain((0..15).map(|word| 62_550 + word));
        frame.extend(words.flat_map(u32::to_be_bytes));
        for level in 0..10_u32 {
            frame.extend([1_250 + level, 62_545 + level].into_iter().flat_map(u32::to_be_bytes));
            frame.extend_from_slice(&[0, 7, 0, 0]);
        }
    }
    frame
}

fn kite(criterion: &mut Criterion) {
    const PACKETS: u32 = 100;
    let frame = kite_frame(PACKETS);
    let names = symbols();
    let mut decoder = KiteDecoder::new();
    decoder.set_instruments((1..=PACKETS).zip(&names).map(|(number, name)| (number << 8 | 1, "NSE", name.as_str())));
    let mut published = 0;
    decoder.decode(&frame, 0, |_, _| published += 1);
    assert_eq!(published, PACKETS, "the frame of this bench is not what the decoder reads");
    let mut group = criterion.benchmark_group("kite");
    group.throughput(Throughput::Elements(u64::from(PACKETS)));
    group.bench_function("decode-100-full-packets", |bencher| {
        bencher.iter(|| {
            let mut bytes = 0;
            decoder.decode(black_box(&frame), 0, |topic, payload| bytes += topic.len() + payload.len());
            bytes
        });
    });
}

criterion_group!(benches, scans, ingest, deliver, trailing, subscribe, kite);
criterion_main!(benches);
