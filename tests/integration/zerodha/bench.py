"""What the Zerodha tests share: a sink that keeps ticks, an adapter on a simulated server, waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from adapters.base import FeedConfig
from adapters.zerodha import ZerodhaAdapter
from gateway.model import Instrument
from tests.simulators.kite import KiteServer

NOW_NS = 1_763_611_200_123_456_789
KEY, TOKEN = "kite-key-0123", "secret-access-token-4567"

INFY = Instrument("NSE", "INFY")
SBIN = Instrument("NSE", "SBIN")
NIFTY = Instrument("NSE_INDEX", "NIFTY")
USDINR = Instrument("CDS", "USDINR26NOV26FUT")
OPTION = Instrument("NFO", "NIFTY17NOV2625000PE")


class KeepingSink:
    """A TickSink that remembers."""

    def __init__(self) -> None:
        self.ticks: list[tuple[bytes, bytes]] = []

    def publish(self, ticks: Sequence[tuple[bytes, bytes]], feed: str) -> None:
        """Keeps the ticks in order."""
        assert feed == "zerodha"
        self.ticks.extend(ticks)


class Losses:
    """An `on_closed` that remembers."""

    def __init__(self) -> None:
        self.errors: list[Exception | None] = []

    def __call__(self, error: Exception | None) -> None:
        self.errors.append(error)


def config(server: KiteServer, home: Path, *, token: str = TOKEN, instruments: str = "") -> FeedConfig:
    """Settings that point at the simulated server."""
    return FeedConfig(
        "zerodha", server.ws_url, server.rest_url, KEY, "", token, "AB1234", instruments, options={"home": home}
    )


def adapter(server: KiteServer, home: Path, *, token: str = TOKEN) -> tuple[ZerodhaAdapter, KeepingSink]:
    """An adapter, not yet prepared, and its sink."""
    sink = KeepingSink()
    return ZerodhaAdapter(config(server, home, token=token), sink, lambda: NOW_NS), sink


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Waits for a condition; an AssertionError when it never holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)
