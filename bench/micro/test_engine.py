"""What the engine costs through its binding: ingest, flush, subscribe; and the Kite decoder.

Run with `pytest bench/micro`; pytest-benchmark compares runs (`--benchmark-autosave`, `--benchmark-compare`).
"""

from __future__ import annotations

import struct
from itertools import count

import pytest
from gateway_matcher import Engine, KiteDecoder
from pytest_benchmark.fixture import BenchmarkFixture

from bench.payloads import depth_payload, ltp_payload, symbol, topic

SYMBOLS = 100
LTP = 1
ROWS = [("NSE", symbol(index), LTP) for index in range(SYMBOLS)]
LTP_TICKS = [(topic(index, "LTP"), ltp_payload(index)) for index in range(SYMBOLS)]
DEPTH_TICKS = [(topic(index, "DEPTH"), depth_payload(index)) for index in range(SYMBOLS)]


def engine_with(readers: int, window_ms: int) -> Engine:
    """An engine with readers of all symbols in LTP."""
    engine = Engine()
    for _ in range(readers):
        engine.subscribe(engine.open(object()), ROWS, window_ms)
    return engine


@pytest.mark.parametrize("ticks", [LTP_TICKS, DEPTH_TICKS], ids=["ltp", "depth"])
def test_ingest_100_ticks_that_nobody_wants(benchmark: BenchmarkFixture, ticks: list[tuple[bytes, bytes]]) -> None:
    engine = engine_with(0, 0)
    clock = count(1)

    def ingest() -> None:
        now = next(clock)
        for name, payload in ticks:
            engine.ingest(name, payload, now)

    benchmark(ingest)
    stats = engine.stats()
    assert stats["ticks_ltp"] + stats["ticks_depth"] >= SYMBOLS


@pytest.mark.parametrize("readers", [1, 10, 100])
def test_ingest_and_flush_100_ticks(benchmark: BenchmarkFixture, readers: int) -> None:
    engine = engine_with(readers, 0)
    clock = count(1)

    def deliver() -> int:
        now = next(clock)
        for name, payload in LTP_TICKS:
            engine.ingest(name, payload, now)
        batches = engine.flush(now)
        engine.written()
        return len(batches)

    assert benchmark(deliver) == 2 * readers
    assert engine.stats()["frames"] % (readers * SYMBOLS) == 0


def test_flush_of_1000_ended_windows(benchmark: BenchmarkFixture) -> None:
    engine = engine_with(10, 50)
    clock = count(1)

    def windows() -> int:
        now = next(clock) * 1_000_000_000
        for name, payload in LTP_TICKS + LTP_TICKS:
            engine.ingest(name, payload, now)
        engine.flush(now)
        return len(engine.flush(now + 100_000_000))

    assert benchmark(windows) == 20


def test_subscribe_100_symbols_and_leave(benchmark: BenchmarkFixture) -> None:
    engine = engine_with(100, 50)

    def subscribe() -> int:
        reader = engine.open(object())
        taken = engine.subscribe(reader, ROWS, 50)
        engine.close(reader)
        return len(taken.refused)

    assert benchmark(subscribe) == 0


def test_decode_100_full_kite_packets(benchmark: BenchmarkFixture) -> None:
    tokens = [index << 8 | 1 for index in range(1, SYMBOLS + 1)]
    levels = b"".join(struct.pack(">IIHxx", 1250 + level, 62_545 + level, 7) for level in range(10))
    packets = [struct.pack(">16I", token, *range(62_550, 62_565)) + levels for token in tokens]
    frame = struct.pack(">H", len(packets)) + b"".join(struct.pack(">H", len(one)) + one for one in packets)
    decoder = KiteDecoder()
    decoder.set_instruments([(token, "NSE", symbol(index)) for index, token in enumerate(tokens)])

    assert len(benchmark(lambda: decoder.decode(frame, 1705294800000))) == SYMBOLS
