"""The simulated market: its instruments, its determinism, its schedule."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import orjson
import pytest
import uvloop
from gateway_matcher import Simulator

from adapters.base import FeedConfig
from adapters.pool import FeedPool
from adapters.simulated import adapter as module
from adapters.simulated.adapter import SimulatedAdapter
from adapters.simulated.universe import expiry, load
from gateway.errors import FeedError
from gateway.model import EXCHANGES, Instrument, Mode, Want

from .fakes import ListSink, until

#: Monday 5 January 2026, 10:00 IST
NOW_NS = 1_767_587_400_000_000_000
DAY = date(2026, 1, 5)
SBIN, NIFTY = Instrument("NSE", "SBIN"), Instrument("NSE_INDEX", "NIFTY")


def made(sink: ListSink, clock: Callable[[], int] = lambda: NOW_NS, **options: Any) -> SimulatedAdapter:
    return SimulatedAdapter(FeedConfig("simulated", options=options), sink, clock)


def test_the_file_holds_200_instruments_of_many_exchanges() -> None:
    rows = load(200, DAY)
    instruments = [row.instrument for row in rows]
    assert len(set(instruments)) == 200
    exchanges = {instrument.exchange for instrument in instruments}
    assert exchanges == {"NSE", "BSE", "NSE_INDEX", "BSE_INDEX", "NFO", "BFO", "MCX", "CDS", "CRYPTO"} <= EXCHANGES
    names = "NSE:RELIANCE NSE:SBIN NSE:INFY NSE:TCS NSE_INDEX:NIFTY NSE_INDEX:BANKNIFTY BSE_INDEX:SENSEX"
    names += " NFO:NIFTY27JAN26FUT NFO:NIFTY06JAN2626050CE BFO:SENSEX08JAN2685100PE MCX:CRUDEOIL19JAN26FUT"
    names += " CDS:USDINR28JAN26FUT CDS:USDINR28JAN2688.75CE NFO:VEDL27JAN26512.5PE CRYPTO:BTCUSDFUT"
    assert set(names.split()) <= {f"{i.exchange}:{i.symbol}" for i in instruments}
    assert all(row.tick == Decimal("0.0025") for row in rows if row.instrument.exchange == "CDS")


def test_more_instruments_than_the_file_has_and_fewer() -> None:
    many = [row.instrument for row in load(3000, DAY)]
    assert len(many) == len(set(many)) == 3000
    assert many[:200] == [row.instrument for row in load(200, DAY)]
    few = load(10, DAY)
    assert {SBIN, NIFTY, Instrument("NSE", "RELIANCE")} <= {row.instrument for row in few}
    assert len(Simulator(1, [row.simulator_row() for row in load(3000, DAY)])) == 3000


@pytest.mark.parametrize(
    ("exchange", "term", "today", "day"),
    [
        ("NFO", "W0", date(2026, 1, 6), date(2026, 1, 6)),
        ("NFO", "W0", date(2026, 1, 7), date(2026, 1, 13)),
        ("NFO", "M0", date(2026, 1, 27), date(2026, 1, 27)),
        ("NFO", "M0", date(2026, 1, 28), date(2026, 2, 24)),
        ("NFO", "M1", date(2026, 12, 31), date(2027, 2, 23)),
        ("BFO", "M0", date(2026, 2, 1), date(2026, 2, 26)),
        ("MCX", "M0", date(2026, 9, 1), date(2026, 9, 18)),
    ],
)
def test_expiries(exchange: str, term: str, today: date, day: date) -> None:
    assert expiry(exchange, term, today) == day


def test_every_line_of_the_file_is_on_its_grid() -> None:
    for number in (1, 50, 200):
        Simulator(1, [row.simulator_row() for row in load(number, DAY)])
    for row in load(200, DAY):
        if row.close is not None:
            assert row.close % row.tick == 0, row


def test_the_same_ticks_whoever_subscribes() -> None:
    rows = [row.simulator_row() for row in load(50, DAY)]

    def run(seed: int, subscribed: list[int]) -> list[tuple[bytes, bytes]]:
        market = Simulator(seed, rows)
        for place in subscribed:
            market.subscribe(place, 3)
        return market.advance(700, 1) + market.advance(300, 2)

    everything = run(5, list(range(50)))
    assert len(everything) == 1000
    some = [rows[place][0].encode() + b"_DEPTH" for place in (3, 17)]
    assert run(5, [3, 17]) == [tick for tick in everything if tick[0] in some]
    assert run(6, [3, 17]) != run(5, [3, 17])


def test_the_binding_refuses_nonsense() -> None:
    rows = [row.simulator_row() for row in load(5, DAY)]
    market = Simulator(1, rows)
    with pytest.raises(IndexError):
        market.subscribe(5, 1)
    with pytest.raises(IndexError):
        market.current(5, 1)
    with pytest.raises(ValueError, match="mode"):
        market.subscribe(0, 4)
    with pytest.raises(ValueError, match="walk, future"):
        Simulator(1, [(*rows[0][:5], "jump", 1, 2, 3)])
    assert market.current(0, 1) is None


@pytest.mark.asyncio
async def test_a_newcomer_gets_a_price_at_once_in_its_mode() -> None:
    sink = ListSink()
    adapter = made(sink, rate=1)
    await adapter.prepare()
    connection = adapter.open(lambda error: None)
    await connection.connect()
    await connection.subscribe([Want(SBIN, Mode.DEPTH), Want(NIFTY, Mode.LTP)])
    (topic, payload), (nifty, _) = sink.ticks
    assert (topic, nifty) == (b"NSE_SBIN_DEPTH", b"NSE_INDEX_NIFTY_LTP")
    tick = orjson.loads(payload)
    assert tick["timestamp"] == NOW_NS // 1_000_000
    assert len(tick["depth"]["buy"]) == len(tick["depth"]["sell"]) == 5
    assert tick["bid"] < tick["ltp"] < tick["ask"]
    assert sink.feeds == {"simulated"}
    await connection.close()


@pytest.mark.asyncio
async def test_modes_change_and_unsubscribed_instruments_are_silent() -> None:
    sink = ListSink()
    adapter = made(sink, rate=20_000, instruments=10)
    pool = FeedPool(adapter)
    pool.start()
    pool.acquire("a", [Want(SBIN, Mode.LTP), Want(NIFTY, Mode.QUOTE)])
    await until(lambda: len(sink.ticks) > 50)
    assert {topic for topic, _ in sink.ticks} == {b"NSE_SBIN_LTP", b"NSE_INDEX_NIFTY_QUOTE"}
    pool.acquire("a", [Want(SBIN, Mode.DEPTH)])
    pool.release("a", [Want(NIFTY, Mode.QUOTE)])
    await until(lambda: sink.ticks[-1][0] == b"NSE_SBIN_DEPTH")
    sink.ticks.clear()
    await until(lambda: len(sink.ticks) > 50)
    assert {topic for topic, _ in sink.ticks} == {b"NSE_SBIN_DEPTH"}
    await pool.stop()
    count = len(sink.ticks)
    await asyncio.sleep(0.02)
    assert len(sink.ticks) == count


@pytest.mark.asyncio
@pytest.mark.parametrize("rate", [50, 1_000, 20_000])
async def test_the_rate_is_kept(rate: int) -> None:
    sink = ListSink()
    adapter = made(sink, time.time_ns, rate=rate, instruments=200)
    await adapter.prepare()
    connection = adapter.open(lambda error: None)
    await connection.connect()
    await connection.subscribe([Want(instrument, Mode.QUOTE) for instrument in adapter.instruments])
    began = time.monotonic()
    sink.ticks.clear()
    await asyncio.sleep(0.5)
    ticks, seconds = len(sink.ticks), time.monotonic() - began
    await connection.close()
    assert abs(ticks + adapter.dropped - rate * seconds) <= 2 + rate * 0.05


@pytest.mark.asyncio
async def test_a_late_turn_sends_a_bounded_burst_and_counts_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CATCH_UP_S", 0.05)
    sink = ListSink()
    adapter = made(sink, rate=10_000, instruments=10)
    await adapter.prepare()
    connection = adapter.open(lambda error: None)
    await connection.connect()
    await connection.subscribe([Want(instrument, Mode.LTP) for instrument in adapter.instruments])
    sink.ticks.clear()
    time.sleep(0.3)  # noqa: ASYNC251 - the loop is to be late
    await until(lambda: bool(sink.ticks))
    await connection.close()
    assert 500 <= len(sink.ticks) <= 700
    assert adapter.dropped >= 2_000


@pytest.mark.asyncio
@pytest.mark.parametrize("options", [{"rate": 0.5}, {"rate": 100_001}, {"instruments": 0}, {"seed": -1}])
async def test_options_out_of_range_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(FeedError, match="SIMULATED_"):
        await made(ListSink(), **options).prepare()


@pytest.mark.parametrize("loop_of", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_second_costs_few_turns_of_the_loop(
    loop_of: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0
    turn = module.SimulatedConnection._turn

    def counted(connection: module.SimulatedConnection) -> None:
        nonlocal turns
        turns += 1
        turn(connection)

    async def half_a_second() -> int:
        monkeypatch.setattr(module.SimulatedConnection, "_turn", counted)
        sink = ListSink()
        adapter = made(sink, rate=1_000, instruments=10)
        await adapter.prepare()
        connection = adapter.open(lambda error: None)
        await connection.connect()
        await connection.subscribe([Want(instrument, Mode.LTP) for instrument in adapter.instruments])
        await asyncio.sleep(0.5)
        await connection.close()
        return len(sink.ticks) + adapter.dropped

    with asyncio.Runner(loop_factory=loop_of) as runner:
        assert 450 <= runner.run(half_a_second()) <= 1_000
    assert turns <= 150
