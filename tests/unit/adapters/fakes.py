"""A broker that does what a test says, and a sink that keeps what it is given."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from adapters.base import Adapter, FeedConfig, FeedConnection, Limits
from gateway.model import Instrument, Mode, Want

SBIN, TCS, INFY = Instrument("NSE", "SBIN"), Instrument("NSE", "TCS"), Instrument("NSE", "INFY")


class ListSink:
    """Keeps every tick with the name of its feed."""

    def __init__(self) -> None:
        self.ticks: list[tuple[bytes, bytes]] = []
        self.feeds: set[str] = set()
        #: ticks per call
        self.sizes: list[int] = []

    def publish(self, ticks: Sequence[tuple[bytes, bytes]], feed: str) -> None:
        self.ticks.extend(ticks)
        self.feeds.add(feed)
        self.sizes.append(len(ticks))


class FakeConnection(FeedConnection):
    """Remembers what it was told; `lose` ends it."""

    def __init__(self, adapter: FakeAdapter, on_closed: Callable[[Exception | None], None]) -> None:
        self.adapter = adapter
        self.on_closed = on_closed
        self.modes: dict[Instrument, Mode] = {}
        self.calls: list[list[Want] | list[Instrument]] = []
        self.closed = False

    async def connect(self) -> None:
        await asyncio.sleep(0)
        if self.adapter.failures:
            raise self.adapter.failures.pop(0)
        self.last_frame_ns = time.monotonic_ns()

    async def subscribe(self, wants: Sequence[Want]) -> None:
        if self.adapter.hang:
            await asyncio.sleep(3600)
        self.calls.append(list(wants))
        self.modes.update(wants)

    async def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        self.calls.append(list(instruments))
        for instrument in instruments:
            del self.modes[instrument]

    async def close(self) -> None:
        self.closed = True

    def lose(self, error: Exception | None = None) -> None:
        self.on_closed(error)


class FakeAdapter(Adapter):
    """Knows every symbol of NSE; `failures` are raised by the next connects."""

    name = "fake"
    limits = Limits(symbols_per_connection=2, connections=2, silence_s=30.0)

    def __init__(self, name: str = "fake", exchange: str = "NSE") -> None:
        super().__init__(FeedConfig(name), ListSink(), time.time_ns)
        self.name = name  # type: ignore[misc]
        self.exchange = exchange
        self.failures: list[Exception] = []
        self.prepare_failures: list[Exception] = []
        self.hang = False
        self.connections: list[FakeConnection] = []

    async def prepare(self) -> None:
        if self.prepare_failures:
            raise self.prepare_failures.pop(0)

    def knows(self, instrument: Instrument) -> bool:
        return instrument.exchange == self.exchange

    def supports(self, mode: Mode) -> bool:
        return mode is not Mode.DEPTH

    def open(self, on_closed: Callable[[Exception | None], None]) -> FeedConnection:
        connection = FakeConnection(self, on_closed)
        self.connections.append(connection)
        return connection

    @property
    def live(self) -> list[FakeConnection]:
        return [connection for connection in self.connections if not connection.closed]


async def until(condition: Callable[[], bool], seconds: float = 3.0) -> None:
    """Waits until `condition` holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is anything
            await asyncio.sleep(0.002)
