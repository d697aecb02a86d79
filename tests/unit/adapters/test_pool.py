"""The pool against a broker that is killed, falls silent, refuses tokens and hangs."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from adapters import lane as lane_module
from adapters.backoff import Backoff
from adapters.base import FeedConfig, FeedEndedError, Limits
from adapters.pool import FeedPool, lowered
from gateway.errors import FeedError, InstrumentError, TokenRefusedError
from gateway.model import FeedState, Mode, Want

from .fakes import INFY, SBIN, TCS, FakeAdapter, until

pytestmark = pytest.mark.asyncio
QUICK = Backoff(first=0.01, cap=0.02)
Running = tuple[FeedPool, list[FeedState]]
LTP, QUOTE, DEPTH = Mode.LTP, Mode.QUOTE, Mode.DEPTH


@asynccontextmanager
async def running(adapter: FakeAdapter, limits: Limits | None = None) -> AsyncIterator[Running]:
    """A started pool that is connected, and the states it goes through."""
    states: list[FeedState] = []
    pool = FeedPool(adapter, limits=limits, backoff=QUICK, on_change=lambda p: states.append(p.state))
    pool.start()
    try:
        await until(lambda: bool(states))
        yield pool, states
    finally:
        await pool.stop()
    assert adapter.live == []


async def test_wants_of_one_loop_turn_become_one_batch() -> None:
    adapter = FakeAdapter()
    async with running(adapter) as (pool, states):
        pool.acquire("a", [Want(SBIN, LTP)])
        pool.acquire("b", [Want(SBIN, DEPTH), Want(TCS, LTP)])
        pool.acquire("c", [Want(TCS, QUOTE)])
        pool.release("c", [Want(TCS, QUOTE)])
        (connection,) = adapter.connections
        await until(lambda: len(connection.calls) > 0)
        await asyncio.sleep(0.02)
        assert connection.calls == [[Want(SBIN, DEPTH), Want(TCS, LTP)]]
        pool.release_all("b")
        await until(lambda: connection.modes == {SBIN: LTP})
        assert states == [FeedState.CONNECTED]
        assert pool.status(7) == (pool.status(7).__class__)("fake", FeedState.CONNECTED, pool.status(7).since, 7, 1)


async def test_connections_open_as_they_are_needed_and_overflow_is_data() -> None:
    adapter = FakeAdapter()
    async with running(adapter) as (pool, states):
        wants = [Want(SBIN._replace(symbol=f"S{n}"), LTP) for n in range(5)]
        assert pool.acquire("a", wants) == [True, True, True, True, False]
        await until(lambda: sum(len(c.modes) for c in adapter.connections) == 4)
        assert [len(c.modes) for c in adapter.connections] == [2, 2]
        assert states == [FeedState.CONNECTED], "a connection in the making is no loss"
        assert pool.status(None).subscribed == 4


async def test_a_connection_no_longer_needed_is_closed_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "IDLE_AFTER", 0.05)
    adapter = FakeAdapter()
    async with running(adapter, Limits(1, 2, silence_s=0.1)) as (pool, _):
        pool.acquire("a", [Want(SBIN, LTP)])
        pool.acquire("b", [Want(TCS, LTP)])
        await until(lambda: len(adapter.live) == 2)
        pool.release_all("a")
        pool.release_all("b")
        await until(lambda: len(adapter.live) == 1)
        pool.acquire("a", [Want(SBIN, LTP), Want(TCS, LTP)])
        await until(lambda: sum(len(c.modes) for c in adapter.live) == 2)


async def test_a_lost_connection_is_told_at_once_and_resubscribed() -> None:
    adapter = FakeAdapter()
    async with running(adapter) as (pool, states):
        pool.acquire("a", [Want(SBIN, DEPTH), Want(TCS, LTP)])
        await until(lambda: pool.status(None).subscribed == 2)
        adapter.failures = [FeedError("refused"), OSError("no route"), RuntimeError("a bug")]
        adapter.connections[0].lose(OSError("reset"))
        assert pool.state is FeedState.DISCONNECTED, "told before anything else happens"
        pool.acquire("b", [Want(TCS, QUOTE)])
        await until(lambda: pool.state is FeedState.CONNECTED)
        assert adapter.connections[-1].modes == {SBIN: DEPTH, TCS: QUOTE}
        assert states == [FeedState.CONNECTED, FeedState.DISCONNECTED, FeedState.CONNECTED]
        assert len(adapter.connections) == 5
        assert pool.failures == 4


async def test_connected_is_told_only_after_the_resubscription() -> None:
    adapter = FakeAdapter()
    async with running(adapter) as (pool, _):
        pool.acquire("a", [Want(SBIN, LTP)])
        await until(lambda: pool.status(None).subscribed == 1)
        adapter.hang = True
        adapter.connections[0].lose()
        await until(lambda: len(adapter.connections) == 2)
        await asyncio.sleep(0.05)
        assert pool.state is FeedState.DISCONNECTED
        adapter.connections[1].lose()
        adapter.hang = False
        await until(lambda: pool.state is FeedState.CONNECTED)


async def test_a_request_that_hangs_costs_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "SEND_TIMEOUT", 0.05)
    adapter = FakeAdapter()
    async with running(adapter) as (pool, states):
        adapter.hang = True
        pool.acquire("a", [Want(SBIN, LTP)])
        await until(lambda: FeedState.DISCONNECTED in states)
        adapter.hang = False
        await until(lambda: pool.state is FeedState.CONNECTED)
        assert adapter.live[0].modes == {SBIN: LTP}


async def test_silence_makes_a_subscribed_connection_stale_until_a_frame_comes() -> None:
    adapter = FakeAdapter()
    async with running(adapter, replace(adapter.limits, silence_s=0.1)) as (pool, states):
        await asyncio.sleep(0.25)
        assert states == [FeedState.CONNECTED], "without subscriptions silence is normal"
        pool.acquire("a", [Want(SBIN, LTP)])
        await until(lambda: FeedState.STALE in states)
        await until(lambda: len(adapter.connections) >= 2 and len(adapter.live[-1].modes) == 1)
        assert states == [FeedState.CONNECTED, FeedState.STALE], "reconnecting alone proves nothing"
        adapter.live[-1].last_frame_ns = time.monotonic_ns()
        await until(lambda: pool.state is FeedState.CONNECTED)
        assert FeedState.DISCONNECTED not in states


@pytest.mark.parametrize("while_connected", [False, True])
async def test_a_refused_token_stops_everything_until_there_is_a_new_one(while_connected: bool) -> None:
    adapter = FakeAdapter()
    if not while_connected:
        adapter.failures = [TokenRefusedError("token ended")]
    async with running(adapter) as (pool, states):
        if while_connected:
            adapter.connections[0].lose(TokenRefusedError("token ended"))
        assert pool.state is FeedState.REFUSED
        pool.acquire("a", [Want(SBIN, LTP)])
        await asyncio.sleep(0.1)
        assert len(adapter.connections) == 1, "no retry"
        pool.new_token(FeedConfig("fake", access_token="fresh"))
        await until(lambda: pool.state is FeedState.CONNECTED)
        assert adapter.config.access_token == "fresh"
        assert adapter.live[0].modes == {SBIN: LTP}
        assert states[-1] is FeedState.CONNECTED


async def test_a_new_token_replaces_a_working_connection() -> None:
    adapter = FakeAdapter()
    async with running(adapter) as (pool, states):
        pool.acquire("a", [Want(SBIN, LTP)])
        await until(lambda: pool.status(None).subscribed == 1)
        pool.new_token(FeedConfig("fake"))
        await until(lambda: len(adapter.connections) == 2 and adapter.connections[1].modes == {SBIN: LTP})
        await until(lambda: pool.state is FeedState.CONNECTED)
        assert states == [FeedState.CONNECTED, FeedState.DISCONNECTED, FeedState.CONNECTED]


async def test_a_feed_at_its_end_is_not_tried_again() -> None:
    adapter = FakeAdapter()
    async with running(adapter) as (pool, _):
        adapter.connections[0].lose(FeedEndedError("end of recording"))
        await asyncio.sleep(0.1)
        assert (pool.state, len(adapter.connections)) == (FeedState.DISCONNECTED, 1)


@pytest.mark.parametrize("error", [FeedError("no master"), InstrumentError("row 3"), KeyError("x")])
async def test_preparing_is_tried_again(error: Exception) -> None:
    adapter = FakeAdapter()
    adapter.prepare_failures = [error]
    async with running(adapter) as (pool, _):
        assert pool.ready.is_set()


async def test_preparing_waits_for_a_token() -> None:
    adapter = FakeAdapter()
    adapter.prepare_failures = [TokenRefusedError("ended")]
    async with running(adapter) as (pool, states):
        assert states == [FeedState.REFUSED]
        pool.acquire("a", [Want(INFY, LTP)])
        pool.new_token(FeedConfig("fake"))
        await until(lambda: pool.status(None).subscribed == 1)
        assert pool.state is FeedState.CONNECTED


async def test_errors_with_tokens_in_them_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    adapter = FakeAdapter()
    adapter.failures = [OSError("wss://host?access_token=s3cret")]
    async with running(adapter) as (pool, _):
        await until(lambda: pool.state is FeedState.CONNECTED)
    captured = capsys.readouterr()
    assert "s3cret" not in captured.out + captured.err
    assert "OSError" in captured.out + captured.err


async def test_backoff_grows_to_its_cap_and_is_patient_in_a_long_outage() -> None:
    rng, backoff = random.Random(1), Backoff()
    assert backoff.delay(0, 0.0, rng) <= 0.1
    delays = [backoff.delay(attempt, 10.0, rng) for attempt in range(200)]
    assert min(delays[10:]) >= 2.0
    assert max(delays) <= 4.0
    assert 15.0 <= backoff.delay(100_000, 301.0, rng) <= 30.0


async def test_settings_lower_limits_and_never_raise_them() -> None:
    limits = Limits(1000, 3)
    config = FeedConfig("x", options={"symbols_per_connection": 5000, "connections": 2})
    assert lowered(limits, config) == Limits(1000, 2)
    assert lowered(limits, FeedConfig("x", options={"connections": None})) == limits


async def test_a_stop_that_meets_a_loss_still_stops() -> None:
    adapter = FakeAdapter()
    async with running(adapter) as (pool, _):
        pool.acquire("a", [Want(SBIN, LTP)])
        await until(lambda: pool.status(None).subscribed == 1)
        adapter.connections[0].lose()
        async with asyncio.timeout(1):
            await pool.stop()
