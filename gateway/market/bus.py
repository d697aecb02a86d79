"""The tick bus: a SUB socket that binds and is drained below Python (zmq-bus)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import orjson
import structlog
import zmq
from gateway_matcher import Engine

from gateway.errors import StartError
from gateway.log import limited
from gateway.market.zmqlib import below_python, bound_address, demand_curve, descriptor

log = structlog.get_logger(__name__)

#: Messages per turn of the event loop: readers and clients get their share between two of them.
BUDGET: Final = 256
#: Messages that ZeroMQ holds per publisher while the loop is busy; beyond it the publisher's own mark counts.
RECEIVE_MARK: Final = 200_000
#: Largest message, bytes: whoever sends larger ones loses the connection. The engine takes payloads of 64 KiB.
LARGEST: Final = 1 << 20
#: Pause before reading again after the socket failed, s.
_PAUSE_S: Final = 0.1


class TickBus:
    """Reads the bus into the engine and hands what is no market data to its owners."""

    def __init__(
        self,
        engine: Engine,
        pump: Callable[[], None],
        on_order: Callable[[bytes], None],
        on_invalidate: Callable[[str, str], None],
    ) -> None:
        self._engine = engine
        self._pump = pump
        self._on_order = on_order
        self._on_invalidate = on_invalidate
        self._loop = asyncio.get_running_loop()
        self._sock: zmq.Socket[bytes] | None = None
        self._again: asyncio.Handle | None = None
        #: The last wake-up brought one message. Where ticks come one by one, the next is sent before the system
        #: calls that find nothing behind it; in a stream of ticks one write for many is worth more.
        self._alone = False

    def start(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, curve: tuple[bytes, bytes] | None) -> str:
        """Binds and begins to read; returns the address really bound. Raises StartError."""
        sock = context.socket(zmq.SUB)
        sock.linger = 0
        sock.rcvhwm = RECEIVE_MARK
        sock.maxmsgsize = LARGEST
        demand_curve(sock, curve)
        sock.subscribe(b"")
        try:
            sock.bind(endpoint)
        except zmq.ZMQError as error:
            sock.close()
            raise StartError(f"ZMQ_HOST, ZMQ_PORT: cannot bind {endpoint}: {error.strerror}") from error
        self._sock = sock
        self._native = below_python(sock)
        self._fd = descriptor(sock)
        self._loop.add_reader(self._fd, self._drain)
        # Whatever came before the reader was registered has had its edge.
        self._again = self._loop.call_soon(self._drain)
        return bound_address(sock)

    def stop(self) -> None:
        """Ends reading and closes the socket."""
        if self._sock is None:
            return
        self._loop.remove_reader(self._fd)
        if self._again is not None:
            self._again.cancel()
        self._sock.close()
        self._sock = None

    def _drain(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._sock is None:
            return
        try:
            early = self._take(1) if self._alone else 0
            count = self._take(BUDGET)
        except OSError as error:
            limited(log, "bus").error("reading the tick bus failed", error=str(error))
            self._again = self._loop.call_later(_PAUSE_S, self._drain)
            return
        self._alone = early + count <= 1

    def _take(self, budget: int) -> int:
        """Reads at most `budget` messages and sends what follows from them; returns how many came. Raises OSError."""
        count, others = self._engine.drain(self._native, budget)
        if count == BUDGET:
            # The descriptor tells edges only, and there may be more. Planned before anything below can fail.
            self._again = self._loop.call_soon(self._drain)
        if count:
            self._pump()
        for kind, topic, payload in others:
            try:
                self._dispatch(kind, topic, payload)
            except Exception:
                # One message that cannot be dealt with takes none of the others along.
                limited(log, "dispatch").exception("a message of the tick bus could not be passed on", kind=kind)
        return count

    def _dispatch(self, kind: str, topic: bytes, payload: bytes) -> None:
        if kind == "orders":
            self._on_order(payload)
        elif kind == "invalidate":
            self._invalidate(payload)
        else:
            shown = topic.decode("utf-8", "replace")
            limited(log, "unknown topic").warning("unknown topic on the tick bus, ignored", topic=shown)

    def _invalidate(self, payload: bytes) -> None:
        try:
            body = orjson.loads(payload)
            user_id, cache_type = body["user_id"], body.get("cache_type", "ALL")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            user_id = cache_type = None
        if not isinstance(user_id, str) or cache_type not in ("AUTH", "FEED", "ALL"):
            limited(log, "bad invalidate").warning("malformed CACHE_INVALIDATE on the tick bus, ignored")
            return
        self._on_invalidate(user_id, cache_type)
