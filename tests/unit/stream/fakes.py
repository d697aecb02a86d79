"""A listener and feeds without sockets, and a hub around them."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from gateway_matcher import Engine

from gateway.model import FeedState, FeedStatus, User, Want
from gateway.ports import WantResult
from gateway.stream import hub as hub_module
from gateway.stream.connection import Connection
from gateway.stream.hub import Hub
from gateway.stream.session import Rules
from gateway.stream.throttle import AuthThrottle

NOW_MS = 1_750_000_000_000
Json = dict[str, Any]


def frames(stream: bytes) -> list[bytes]:
    """The payloads of server frames."""
    found = []
    while stream:
        size, head = stream[1], 2
        if size == 126:
            size, head = int.from_bytes(stream[2:4], "big"), 4
        elif size == 127:
            size, head = int.from_bytes(stream[2:10], "big"), 10
        found.append(stream[head : head + size])
        stream = stream[head + size :]
    return found


class FakeListener:
    """Keeps what is written; `waiting` is what it says is buffered."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.close_code = 0
        self.cut = False
        self.waiting = 0
        self.pings = 0
        self.last_seen_ns = 0
        self.below = 0

    @property
    def writable(self) -> bool:
        return not self.close_code

    def write(self, data: bytes) -> None:
        if self.writable:
            self.sent += frames(data)

    def send_text(self, message: bytes) -> None:
        if self.writable:
            self.sent.append(message)

    def buffered(self) -> int:
        return self.waiting

    def ping(self) -> None:
        self.pings += 1

    def send_close(self, code: int, reason: bytes) -> None:
        self.close_code = self.close_code or code

    def sent_code(self) -> int:
        return self.below or self.close_code

    def disconnect(self, graceful: bool) -> None:
        self.cut = self.cut or not graceful

    def take(self) -> list[Json]:
        """Everything sent since the last call, parsed."""
        sent, self.sent = self.sent, []
        return [json.loads(text) for text in sent]


class FakeFeeds:
    """Holds wants by holder; refuses the symbols named in `refuse`."""

    def __init__(self) -> None:
        self.refuse: dict[str, str] = {}
        self.held: set[tuple[str, Want]] = set()
        self.states: list[FeedStatus] = []

    def broker_of(self, want: Want) -> str:
        return "zerodha"

    def acquire(self, holder: str, wants: Iterable[Want]) -> list[WantResult]:
        results = []
        for want in wants:
            code = self.refuse.get(want.instrument.symbol, "")
            if not code:
                self.held.add((holder, want))
            results.append(WantResult(want, code, "no room" if code else ""))
        return results

    def release(self, holder: str, wants: Iterable[Want]) -> None:
        for want in wants:
            self.held.remove((holder, want))

    def release_all(self, holder: str) -> None:
        self.held = {pair for pair in self.held if pair[0] != holder}

    def statuses(self, now_ms: int) -> list[FeedStatus]:
        return self.states

    def invalidate(self, user_id: str, cache_type: str) -> None:
        raise AssertionError("the hub has no business here")

    def symbols(self) -> set[tuple[str, str]]:
        return {(want.instrument.symbol, want.mode.label) for _, want in self.held}


class World:
    """A hub with fakes around it. Make it inside a running loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, rules: Rules | None = None, **options: Any) -> None:
        monkeypatch.setattr(hub_module, "fan_out", self._fan_out)
        self.feeds = FakeFeeds()
        rules = rules or Rules(default_window_ms=0)
        self.engine = Engine("zerodha", symbols_per_reader=rules.symbols_per_client)
        self.users = {"key-asha": User("asha", 1), "key-ravi": User("ravi", 2)}
        self.look_up: Callable[[str], User | None] = self.users.get
        self.hub = Hub(
            self.engine,
            self.feeds,
            self._look_up,
            rules=rules,
            broker="zerodha",
            now_ms=lambda: NOW_MS,
            throttle=AuthThrottle(options.pop("tries", 100)),
            **options,
        )
        self._numbers = itertools.count(1)

    @staticmethod
    def _fan_out(batches: list[Any]) -> int:
        for at in range(0, len(batches), 2):
            batches[at].write(batches[at + 1])
        return len(batches) // 2

    async def _look_up(self, api_key: str) -> User | None:
        await asyncio.sleep(0)
        return self.look_up(api_key)

    def connect(self, address: str = "127.0.0.1") -> Client:
        return Client(self, Connection(self.hub, next(self._numbers), address))

    async def reader(self, key: str = "key-asha", **options: Any) -> Client:
        """A client that has authenticated."""
        client = self.connect()
        (answer,) = await client.ask_later(action="authenticate", api_key=key, **options)
        assert answer["status"] == "success"
        return client

    def tick(self, topic: str, payload: bytes) -> None:
        """A tick of the bus and everything that follows from it at once."""
        assert self.engine.ingest(topic.encode(), payload, time.monotonic_ns()) == "tick"
        self.hub.pump()


class Client:
    """One connection as its client sees it."""

    def __init__(self, world: World, connection: Connection) -> None:
        self.connection = connection
        self.listener = FakeListener()
        self._world = world
        connection.on_open(self.listener)  # type: ignore[arg-type]  # a listener by shape

    def ask(self, **request: Any) -> list[Json]:
        """Sends a request; returns what came back in the same turn."""
        self.connection.on_message(json.dumps(request).encode())
        return self.listener.take()

    async def ask_later(self, **request: Any) -> list[Json]:
        """The same for requests that a look-up answers."""
        first = self.ask(**request)
        await settle()
        return first + self.listener.take()

    def subscribe(self, *symbols: str, mode: object = "LTP", **more: Any) -> list[Json]:
        rows = [{"symbol": symbol, "exchange": "NSE"} for symbol in symbols]
        return self.ask(action="subscribe", symbols=rows, mode=mode, **more)


async def settle() -> None:
    """Lets every task that can run do so."""
    for _ in range(6):
        await asyncio.sleep(0)


def status(name: str, state: FeedState = FeedState.CONNECTED) -> FeedStatus:
    return FeedStatus(name, state, NOW_MS - 5, 3, 1)
