"""The replay feed: what it knows, spacing, order, end, loop."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from adapters.base import FeedConfig
from adapters.pool import FeedPool
from adapters.replay.adapter import BURST, ReplayAdapter
from gateway.errors import FeedError
from gateway.model import FeedState, Instrument, Mode, Want
from gateway.tools.recording import Record, write

from .fakes import SBIN, TCS, ListSink, until

pytestmark = pytest.mark.asyncio
NIFTY = Instrument("NSE_INDEX", "NIFTY")
START_NS = 1_767_587_400_000_000_000


def recorded(file: Path, times_ms: list[int]) -> list[tuple[bytes, bytes]]:
    """Writes SBIN and NIFTY in turns; returns the ticks."""
    topics = [SBIN.topic(Mode.DEPTH), NIFTY.topic(Mode.LTP)]
    ticks = [(topics[n % 2], b'{"ltp":%d}' % n) for n in range(len(times_ms))]
    write(file, (Record(START_NS + ms * 1_000_000, *tick) for ms, tick in zip(times_ms, ticks, strict=True)))
    return ticks


def player(**options: Any) -> tuple[FeedPool, ListSink]:
    sink = ListSink()
    return FeedPool(ReplayAdapter(FeedConfig("replay", options=options), sink, time.time_ns)), sink


async def test_it_plays_from_the_first_subscription_at_the_recorded_spacing(tmp_path: Path) -> None:
    ticks = recorded(tmp_path / "r", [0, 50, 100, 150])
    pool, sink = player(file=tmp_path / "r")
    pool.start()
    await until(lambda: pool.state is FeedState.CONNECTED)
    await asyncio.sleep(0.1)
    assert sink.ticks == []
    assert pool.adapter.knows(NIFTY)
    assert not pool.adapter.knows(TCS)
    began = time.monotonic()
    pool.acquire("a", [Want(SBIN, Mode.LTP), Want(NIFTY, Mode.DEPTH)])
    seen: list[float] = []
    for number in range(1, 5):
        await until(lambda number=number: len(sink.ticks) >= number)  # type: ignore[misc]
        seen.append(time.monotonic() - began)
    assert sink.ticks == ticks
    assert all(at >= due - 0.005 for at, due in zip(seen, [0.0, 0.05, 0.1, 0.15], strict=True)), seen
    assert seen[-1] < 1.0, seen
    await until(lambda: pool.state is FeedState.DISCONNECTED)
    await asyncio.sleep(0.2)
    assert sink.ticks == ticks, "the end is the end"
    await pool.stop()


async def test_speed_divides_the_spacing(tmp_path: Path) -> None:
    ticks = recorded(tmp_path / "r", [0, 2_000, 4_000])
    pool, sink = player(file=tmp_path / "r", speed=40.0)
    pool.start()
    pool.acquire("a", [Want(SBIN, Mode.LTP), Want(NIFTY, Mode.LTP)])
    await until(lambda: len(sink.ticks) == 1)
    began = time.monotonic()
    await until(lambda: sink.ticks == ticks)
    assert 0.05 < time.monotonic() - began < 1.0
    await pool.stop()


async def test_as_fast_as_possible_keeps_order_and_leaves_the_loop_its_turns(tmp_path: Path) -> None:
    ticks = recorded(tmp_path / "r", list(range(0, 100_000, 10)))
    pool, sink = player(file=tmp_path / "r", speed=0)
    pool.start()
    pool.acquire("a", [Want(SBIN, Mode.LTP)])
    await until(lambda: bool(sink.ticks) and pool.state is FeedState.DISCONNECTED, seconds=20.0)
    assert sink.ticks == ticks[::2]
    assert max(sink.sizes) <= BURST, "one turn of the loop publishes no more"
    await pool.stop()


async def test_unsubscribed_instruments_stop(tmp_path: Path) -> None:
    recorded(tmp_path / "r", list(range(0, 400, 10)))
    pool, sink = player(file=tmp_path / "r")
    pool.start()
    pool.acquire("a", [Want(SBIN, Mode.LTP), Want(NIFTY, Mode.LTP)])
    await until(lambda: len(sink.ticks) > 4)
    pool.release("a", [Want(SBIN, Mode.LTP)])
    await asyncio.sleep(0.02)
    sink.ticks.clear()
    await until(lambda: len(sink.ticks) > 4)
    assert {topic for topic, _ in sink.ticks} == {b"NSE_INDEX_NIFTY_LTP"}
    await pool.stop()


async def test_a_loop_starts_over(tmp_path: Path) -> None:
    ticks = recorded(tmp_path / "r", [0, 1])
    pool, sink = player(file=tmp_path / "r", loop=True)
    pool.start()
    pool.acquire("a", [Want(SBIN, Mode.LTP), Want(NIFTY, Mode.LTP)])
    await until(lambda: len(sink.ticks) >= 6)
    assert sink.ticks[:6] == ticks * 3
    await pool.stop()


@pytest.mark.parametrize("case", ["none", "missing", "foreign", "speed"])
async def test_what_cannot_be_played_is_named(tmp_path: Path, case: str) -> None:
    (tmp_path / "foreign").write_bytes(b"symbol,price\n" * 10)
    recorded(tmp_path / "speed", [0])
    options = {"file": None if case == "none" else tmp_path / case, "speed": -1 if case == "speed" else 1}
    pool, _ = player(**options)
    with pytest.raises(FeedError, match=r"REPLAY_|not a recording"):
        await pool.adapter.prepare()
