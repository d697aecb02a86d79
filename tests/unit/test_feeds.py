"""The feed manager: routing, refusals as data, statuses, fresh credentials."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from adapters.base import FeedConfig, Limits
from adapters.pool import FeedPool
from gateway.errors import FeedError, TokenRefusedError
from gateway.market.feeds import FeedManager, TrackedSink
from gateway.model import FeedState, FeedStatus, Instrument, Mode, Want
from tests.unit.adapters.fakes import SBIN, TCS, FakeAdapter, ListSink, until

pytestmark = pytest.mark.asyncio
GOLD = Instrument("MCX", "GOLD")
LTP, QUOTE, DEPTH = Mode.LTP, Mode.QUOTE, Mode.DEPTH


@asynccontextmanager
async def managed(
    *adapters: FakeAdapter,
    known: Callable[[Instrument], bool] = lambda instrument: False,
    credentials: Callable[[str], FeedConfig] | None = None,
    ready_within_s: float = 3.0,
) -> AsyncIterator[FeedManager]:
    pools = [FeedPool(adapter, limits=Limits(2, 1)) for adapter in adapters]
    sink = TrackedSink(ListSink(), time.time_ns)
    manager = FeedManager(pools, sink, clock_ns=time.time_ns, known_on_bus=known, credentials=credentials)
    await manager.start(ready_within_s)
    try:
        yield manager
    finally:
        await manager.stop()


def codes(manager: FeedManager, *wants: Want, holder: str = "readers") -> list[str]:
    return [result.code for result in manager.acquire(holder, wants)]


async def test_without_feeds_the_bus_serves_everything_well_formed() -> None:
    async with managed() as manager:
        assert codes(manager, Want(SBIN, LTP), Want(GOLD, DEPTH)) == ["", ""]
        assert manager.broker_of(Want(SBIN, LTP)) == "bus"
        bad = [Instrument("NASDAQ", "AAPL"), Instrument("NSE", ""), Instrument("NSE", " A"), Instrument("NSE", 'A"')]
        bad += [Instrument("NSE", "A" * 65), Instrument("NSE", "É"), Instrument("NSE", "A\n")]
        assert set(codes(manager, *(Want(instrument, LTP) for instrument in bad))) == {"INVALID_PARAMETERS"}
        manager.release("readers", [Want(SBIN, LTP)])
        manager.release_all("readers")
        assert manager.statuses(0) == []


async def test_the_first_feed_that_knows_the_instrument_serves_it() -> None:
    first, second = FakeAdapter("first", "MCX"), FakeAdapter("second", "NSE")
    async with managed(first, second) as manager:
        assert codes(manager, Want(SBIN, LTP), Want(GOLD, QUOTE)) == ["", ""]
        assert [manager.broker_of(Want(i, LTP)) for i in (SBIN, GOLD)] == ["second", "first"]
        await until(lambda: [len(c.modes) for a in (first, second) for c in a.connections] == [1, 1])
        assert first.connections[0].modes == {GOLD: QUOTE}
        manager.release("readers", [Want(GOLD, QUOTE), Want(SBIN, LTP)])
        await until(lambda: not first.connections[0].modes and not second.connections[0].modes)


async def test_holders_count_apart() -> None:
    adapter = FakeAdapter()
    async with managed(adapter) as manager:
        codes(manager, Want(SBIN, LTP), Want(SBIN, LTP))
        codes(manager, Want(SBIN, QUOTE), holder="stream")
        await until(lambda: adapter.connections[0].modes == {SBIN: QUOTE})
        manager.release_all("stream")
        await until(lambda: adapter.connections[0].modes == {SBIN: LTP})
        manager.release("stream", [Want(SBIN, LTP)])
        await asyncio.sleep(0.02)
        assert adapter.connections[0].modes == {SBIN: LTP}


async def test_what_cannot_be_served_is_said_per_want() -> None:
    async with managed(FakeAdapter()) as manager:
        wants = [Want(SBIN, LTP), Want(TCS, DEPTH), Want(GOLD, LTP), Want(TCS, LTP), Want(Instrument("NSE", "X"), LTP)]
        results = manager.acquire("readers", wants)
        assert [result.want for result in results] == wants
        expected = ["", "INVALID_MODE", "INVALID_PARAMETERS", "", "MAX_CAPACITY_REACHED"]
        assert [result.code for result in results] == expected
        assert "GOLD" in results[2].message
        assert "MCX" in results[2].message
        assert "2 instruments" in results[4].message


async def test_what_only_the_bus_knows_is_accepted_beside_feeds() -> None:
    async with managed(FakeAdapter(), known=lambda instrument: instrument == GOLD) as manager:
        assert codes(manager, Want(GOLD, LTP), Want(GOLD._replace(symbol="LEAD"), LTP)) == ["", "INVALID_PARAMETERS"]
        assert manager.broker_of(Want(GOLD, LTP)) == "bus"


async def test_a_feed_that_still_loads_says_so() -> None:
    adapter = FakeAdapter()
    adapter.prepare_failures = [FeedError("slow")] * 100
    async with managed(adapter, ready_within_s=0.01) as manager:
        assert codes(manager, Want(SBIN, LTP)) == ["BROKER_INIT_ERROR"]


async def test_statuses_tell_state_age_and_number() -> None:
    adapter = FakeAdapter()
    async with managed(adapter) as manager:
        changes: list[FeedStatus] = []
        manager.on_status = changes.append
        codes(manager, Want(SBIN, LTP))
        await until(lambda: manager.statuses(0)[0].subscribed == 1)
        (status,) = manager.statuses(0)
        assert (status.name, status.state, status.last_tick_age_ms) == ("fake", FeedState.CONNECTED, None)
        manager._sink.publish([(b"NSE_SBIN_LTP", b"{}")], "fake")
        now = time.time_ns() // 1_000_000
        age = manager.statuses(now + 50)[0].last_tick_age_ms
        assert age is not None
        assert 49 <= age <= 1000
        adapter.connections[0].lose()
        assert [(change.state, change.subscribed) for change in changes[-1:]] == [(FeedState.DISCONNECTED, 1)]
        assert abs(changes[-1].since - now) < 1000


async def test_fresh_credentials_end_a_refusal() -> None:
    adapter = FakeAdapter()
    adapter.failures = [TokenRefusedError("ended")]
    fresh = FeedConfig("fake", access_token="new")
    async with managed(adapter, credentials=lambda name: fresh) as manager:
        await until(lambda: manager.statuses(0)[0].state is FeedState.REFUSED)
        assert codes(manager, Want(SBIN, LTP)) == [""], "the want waits for the token"
        manager.invalidate("asha", "PARTY")
        await asyncio.sleep(0.05)
        assert manager.statuses(0)[0].state is FeedState.REFUSED
        manager.invalidate("asha", "AUTH")
        await until(lambda: manager.statuses(0)[0].subscribed == 1)
        assert adapter.config is fresh


async def test_credentials_that_cannot_be_read_leave_the_old_ones() -> None:
    def broken(name: str) -> FeedConfig:
        raise OSError("database away")

    adapter = FakeAdapter()
    async with managed(adapter, credentials=broken) as manager:
        await until(lambda: manager.statuses(0)[0].state is FeedState.CONNECTED)
        before = adapter.config
        manager.invalidate("asha", "ALL")
        await until(lambda: len(adapter.connections) == 2)
        assert adapter.config is before
