"""The tick stream: an XPUB socket on which a subscription is a want (zmq-bus, "The tick stream")."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final

import orjson
import structlog
import zmq
from gateway_matcher import Engine

from gateway.errors import StartError
from gateway.market.subscribers import Subscribers
from gateway.market.zmqlib import below_python, bound_address, demand_curve, descriptor
from gateway.model import FeedStatus, Instrument, Mode, Want
from gateway.ports import FeedManagerPort

log = structlog.get_logger(__name__)

#: Under this name the stream's wants are held at the feeds.
HOLDER: Final = "stream"
#: Ticks that may wait here for one subscriber, on top of its own mark; a slower one loses the ones beyond.
#: Five seconds of 20,000 ticks/s, some 60 MB.
SEND_MARK: Final = 100_000
#: A topic that nobody subscribes to: a send on it ends the special treatment of a newcomer.
_NOBODY: Final = b"\x00"
_BUDGET: Final = 512


class TickStream:
    """Handles subscriptions and our own topics; ticks are sent by the engine below Python."""

    def __init__(self, engine: Engine, feeds: FeedManagerPort, now_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._feeds = feeds
        self._now_ms = now_ms
        self._loop = asyncio.get_running_loop()
        self._sock: zmq.Socket[bytes] | None = None
        self._scheduled: asyncio.Handle | None = None
        self._health: asyncio.TimerHandle | None = None
        self._subscribers: Subscribers | None = None
        #: topics that somebody subscribes to, with the want each stands for; None for a mere prefix
        self._topics: dict[bytes, Want | None] = {}
        #: wants that no feed serves yet
        self._unserved: dict[Want, str] = {}

    def start(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, curve: tuple[bytes, bytes] | None) -> str:
        """Binds and begins; returns the address really bound. Raises StartError."""
        sock = context.socket(zmq.XPUB)
        sock.linger = 0
        sock.sndhwm = SEND_MARK
        demand_curve(sock, curve)
        try:
            self._subscribers = Subscribers(sock, context)
            self._remove_stale(endpoint)
            sock.bind(endpoint)
        except (zmq.ZMQError, OSError) as error:
            if self._subscribers is not None:
                self._subscribers.close()
            sock.close()
            raise StartError(f"TICK_STREAM: cannot bind {endpoint}: {error.strerror}") from error
        self._sock = sock
        self._fd = descriptor(sock)
        self._engine.set_stream(below_python(sock))
        self._loop.add_reader(self._fd, self._read)
        self._scheduled = self._loop.call_soon(self._read)
        self._tell_health()
        return bound_address(sock)

    @staticmethod
    def _remove_stale(endpoint: str) -> None:
        # The process lock says that we are the only market process of this home: a socket file is a dead one's.
        path = endpoint.removeprefix("ipc://")
        if path != endpoint and os.path.exists(path):
            os.unlink(path)

    def stop(self) -> None:
        """Ends everything and closes the socket."""
        if self._sock is None:
            return
        self._loop.remove_reader(self._fd)
        for handle in (self._scheduled, self._health):
            if handle is not None:
                handle.cancel()
        self._engine.set_stream(None)
        if self._subscribers is not None:
            self._subscribers.close()
        self._sock.close()
        self._sock = None

    def poke(self) -> None:
        """Looks for subscriptions soon: sends on the socket may have swallowed the edge of its descriptor."""
        if self._scheduled is None and self._sock is not None:
            self._scheduled = self._loop.call_soon(self._read)

    def ask_orders(self, user_id: str, after: int, connection: int) -> None:
        """Asks the trade process for the order events that one connection missed."""
        self._send(b"_orders", {"user_id": user_id, "after": after, "conn": connection})

    def pass_on_invalidate(self, user_id: str, cache_type: str) -> None:
        """Passes a CACHE_INVALIDATE of the bus on."""
        self._send(b"_invalidate", {"user_id": user_id, "cache_type": cache_type})

    def _read(self) -> None:
        self._scheduled = None
        if self._sock is None:
            return
        try:
            for _ in range(_BUDGET):
                self._on_message(self._sock.recv(zmq.NOBLOCK))
        except zmq.Again:
            return
        except Exception:
            log.exception("a message of a tick stream's subscriber failed")
        # The descriptor tells edges only: nothing wakes us for what was left.
        self.poke()

    def _on_message(self, message: bytes) -> None:
        assert self._sock is not None
        assert self._subscribers is not None
        asked, new, gone = self._subscribers.take(message)
        replay = self._engine.replay(asked) if asked is not None else None
        if asked is not None and replay is not None:
            self._sock.send_multipart([asked, *replay], zmq.NOBLOCK)
        self._sock.send(_NOBODY, zmq.NOBLOCK)
        if new is not None:
            self._came(new)
        for topic in gone:
            self._went(topic)

    def _came(self, topic: bytes) -> None:
        """A topic has its first subscriber."""
        found = self._engine.want(topic, True)
        if found is None:
            self._engine.listen(topic, True)
            self._topics[topic] = None
            return
        exchange, symbol, mode, _ = found
        want = self._topics[topic] = Want(Instrument(exchange, symbol), Mode(mode))
        self._acquire([want])

    def _went(self, topic: bytes) -> None:
        """A topic has lost its last subscriber."""
        want = self._topics.pop(topic, None)
        if want is None:
            self._engine.listen(topic, False)
            return
        self._engine.want(topic, False)
        self._unserved.pop(want, None)
        self._feeds.release(HOLDER, [want])

    def _acquire(self, wants: list[Want]) -> None:
        for result in self._feeds.acquire(HOLDER, wants):
            want = result.want
            if not result.code:
                self._unserved.pop(want, None)
            elif self._unserved.get(want) != result.code:
                self._unserved[want] = result.code
                text = want.instrument.topic(want.mode).decode()
                log.warning("a want of the tick stream is not served", topic=text, reason=result.message)

    def _tell_health(self) -> None:
        self._health = self._loop.call_later(1.0, self._tell_health)
        if self._unserved:
            # A feed may have been loading its instruments, or full, when they came.
            self._acquire(list(self._unserved))
        now = self._now_ms()
        feeds = [_health_row(status) for status in self._feeds.statuses(now)]
        self._send(b"_health", {"ts": now, "feeds": feeds})

    def _send(self, topic: bytes, body: dict[str, Any]) -> None:
        if self._sock is not None:
            self._sock.send_multipart([topic, orjson.dumps(body)], zmq.NOBLOCK)
            self.poke()


def _health_row(status: FeedStatus) -> dict[str, Any]:
    return {
        "name": status.name,
        "state": status.state.value,
        "last_tick_age_ms": status.last_tick_age_ms,
        "subscribed": status.subscribed,
    }
