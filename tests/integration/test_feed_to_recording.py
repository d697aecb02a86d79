"""Simulated feed, engine, tick stream, recorder and replay, put together as the market process does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import zmq
from gateway_matcher import Engine

from adapters.base import FeedConfig
from adapters.registry import create_pool
from gateway.market.feeds import FeedManager, TrackedSink
from gateway.market.tick_stream import TickStream
from gateway.model import FeedState, Instrument, Mode, Want
from gateway.tools import record
from gateway.tools.recording import Writer, read
from gateway.tools.stream import Place, instrument, split
from tests.unit.adapters.fakes import ListSink, until

pytestmark = pytest.mark.asyncio
RATE = 20_000


class Sink:
    """Into the engine and, as a witness, into a list."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.stream: TickStream | None = None
        self.seen: list[tuple[bytes, bytes]] = []

    def publish(self, ticks: Sequence[tuple[bytes, bytes]], feed: str) -> None:
        self.seen.extend(ticks)
        self.engine.publish_ticks(ticks, feed)
        if self.engine.take_published() and self.stream is not None:
            self.stream.poke()


@asynccontextmanager
async def market() -> AsyncIterator[tuple[str, Sink, FeedManager]]:
    engine = Engine("simulated")
    sink = Sink(engine)
    tracked = TrackedSink(sink, time.time_ns)
    config = FeedConfig("simulated", options={"rate": RATE, "seed": 3, "instruments": 200})
    feeds = FeedManager([create_pool(config, tracked, time.time_ns)], tracked, clock_ns=time.time_ns)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sink.stream = TickStream(engine, feeds, lambda: time.time_ns() // 1_000_000)
    endpoint = sink.stream.start(context, "tcp://127.0.0.1:0", None)
    await feeds.start()
    try:
        yield endpoint, sink, feeds
    finally:
        await feeds.stop()
        sink.stream.stop()
        context.destroy(linger=0)


def universe(feeds: FeedManager) -> list[Instrument]:
    adapter = feeds.pools[0].adapter
    return list(adapter.instruments)  # type: ignore[attr-defined]


async def test_every_tick_of_the_feed_is_recorded_and_replayed(tmp_path: Path) -> None:
    file = tmp_path / "r"
    writer = Writer(file)
    async with market() as (endpoint, sink, feeds):
        recorder = record.Recorder(writer)
        thread = threading.Thread(target=recorder.run, args=(Place(endpoint),))
        thread.start()
        await asyncio.sleep(0.3)
        instruments = universe(feeds)
        # All modes, and wants in lower ones, so that the stream carries copies too.
        for number, one in enumerate(instruments):
            feeds.acquire("readers", [Want(one, Mode(1 + number % 3))])
        lower = bystander(endpoint, [one.topic(Mode.LTP) for one in instruments[:50]])
        await until(lambda: len(sink.seen) > 2 * RATE, seconds=30)
        for one in instruments:
            feeds.release("readers", [Want(one, mode) for mode in Mode])
        lower.close()
        await until(lambda: feeds.statuses(0)[0].subscribed == 0, seconds=10)
        # The request is counted as sent a turn of the loop before the feed gets it.
        await asyncio.sleep(0.1)
        expected = list(sink.seen)
        await until(lambda: recorder.result.ticks >= len(expected), seconds=30)
        recorder.stop()
        thread.join()
    writer.close()
    assert (recorder.result.lost, recorder.result.failure) == (0, "")
    recorded = list(read(file))
    assert [(entry.topic, entry.payload) for entry in recorded] == expected
    assert {split(entry.topic)[1] for entry in recorded} == set(Mode)  # type: ignore[index]
    assert await replayed(file) == expected


async def replayed(file: Path) -> list[tuple[bytes, bytes]]:
    """What the replay feed publishes when everything in the file is wanted."""
    sink = ListSink()
    pool = create_pool(FeedConfig("replay", options={"file": file, "speed": 0}), sink, time.time_ns)
    pool.start()
    await until(pool.ready.is_set, seconds=10)
    found = {instrument(entry.topic) for entry in read(file)}
    pool.acquire("readers", [Want(one, Mode.DEPTH) for one in found if one is not None])
    await until(lambda: bool(sink.ticks) and pool.state is FeedState.DISCONNECTED, seconds=30)
    await pool.stop()
    return sink.ticks


async def test_recorded_symbols_are_wanted_and_released(tmp_path: Path) -> None:
    async with market() as (endpoint, _, feeds):
        with Writer(tmp_path / "r") as writer:
            recorder = record.Recorder(writer, [Instrument("NSE", "SBIN"), Instrument("NSE_INDEX", "NIFTY")])
            thread = threading.Thread(target=recorder.run, args=(Place(endpoint),))
            thread.start()
            await until(lambda: recorder.result.ticks >= 200, seconds=20)
            assert feeds.statuses(0)[0].subscribed == 2
            recorder.stop()
            thread.join()
        await until(lambda: feeds.statuses(0)[0].subscribed == 0, seconds=10)
    assert recorder.result.lost == 0
    assert {entry.topic for entry in read(tmp_path / "r")} == {b"NSE_SBIN_DEPTH", b"NSE_INDEX_NIFTY_DEPTH"}


def bystander(endpoint: str, topics: list[bytes]) -> zmq.Socket[bytes]:
    """Somebody who wants the topics and reads nothing."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    socket = context.socket(zmq.SUB)
    socket.linger = 0
    socket.connect(endpoint)
    for topic in topics:
        socket.subscribe(topic)
    return socket
