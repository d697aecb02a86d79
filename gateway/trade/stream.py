"""The trade process' end of the tick stream: every tick of what is subscribed, in order, and its own topics."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import orjson
import structlog
import zmq

from gateway.errors import StartError
from gateway.log import limited
from gateway.tools.stream import NativeFilter, Place, Tick, connect
from gateway.trade.arrivals import Arrivals
from gateway.trade.ports import StreamTick

log = structlog.get_logger(__name__)

#: Messages that ZeroMQ holds for us; more than that is lost, and the gap is counted.
RECEIVE_MARK: Final = 1_000_000
#: Messages per turn of the event loop: requests and commits get their share between two of them.
BUDGET: Final = 256
#: Pause before looking again for a stream that no market process has made yet, s.
_PAUSE_S: Final = 0.2
_STAMP: Final = struct.Struct(">QQ")
#: The topics of the stream that are no ticks (zmq-bus, "The tick stream").
_OWN: Final = (b"_health", b"_orders", b"_invalidate")


class StreamOwner(Protocol):
    """Who is told what comes. All calls return at once."""

    def on_ticks(self, ticks: Sequence[StreamTick]) -> None:
        """Ticks in order of arrival; none twice, whatever modes are subscribed."""

    def on_health(self, feeds: Sequence[Mapping[str, Any]]) -> None:
        """The states of the market process' feeds, once a second."""

    def on_orders(self, user_id: str, after: int, connection: int) -> None:
        """One connection asks for the order events that it missed."""

    def on_invalidate(self, user_id: str, cache_type: str) -> None:
        """Cached keys and tokens are to be forgotten."""


class StreamReader:
    """A SUB socket drained by the event loop. ZeroMQ reconnects and subscribes again by itself."""

    def __init__(
        self, place: Callable[[], Place], owner: StreamOwner, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._place = place
        self._owner = owner
        self._clock_ns = clock_ns
        self._loop = asyncio.get_running_loop()
        self._sock: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None
        self._again: asyncio.Handle | None = None
        self._topics: set[bytes] = set()
        self._native = NativeFilter()
        self.arrivals = Arrivals()
        #: messages by kind
        self.counts = {"tick": 0, "copy": 0, "replay": 0, "own": 0, "malformed": 0}
        #: how often the stream was connected
        self.connections = 0

    def start(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Connects, now or as soon as a market process has said where its stream is."""
        self._context = context
        try:
            place = self._place()
        except StartError as error:
            limited(log, "no tick stream", 0.1).warning("no tick stream yet", reason=str(error))
            self._again = self._loop.call_later(_PAUSE_S, self.start, context)
            return
        self._open(place)

    def _open(self, place: Place) -> None:
        self._sock = connect(self._context, place, RECEIVE_MARK)
        self._monitor = self._sock.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        for topic in (*_OWN, *self._topics):
            self._sock.subscribe(topic)
        self._fds = [int(one.getsockopt(zmq.FD)) for one in (self._sock, self._monitor)]
        for descriptor in self._fds:
            self._loop.add_reader(descriptor, self._drain)
        self._again = self._loop.call_soon(self._drain)

    def stop(self) -> None:
        """Ends reading and closes the sockets."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._sock is None:
            return
        for descriptor in self._fds:
            self._loop.remove_reader(descriptor)
        self._sock.disable_monitor()
        self._sock.close()
        self._sock = self._monitor = None

    def subscribe(self, topic: bytes) -> None:
        """Wants `EXCHANGE_SYMBOL_MODE`; its last value comes at once where there is one."""
        if topic in self._topics:
            return
        self._topics.add(topic)
        self.arrivals.subscribed(topic, self._clock_ns())
        if self._sock is not None:
            self._sock.subscribe(topic)
            self._poke()

    def unsubscribe(self, topic: bytes) -> None:
        """Wants it no more."""
        if topic not in self._topics:
            return
        self._topics.discard(topic)
        self.arrivals.unsubscribed(topic)
        if self._sock is not None:
            self._sock.unsubscribe(topic)
            self._poke()

    @property
    def topics(self) -> frozenset[bytes]:
        """What is subscribed now."""
        return frozenset(self._topics)

    def _poke(self) -> None:
        """Drains soon: an option change may have swallowed the edge of the descriptor."""
        if self._again is None:
            self._again = self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._sock is None:
            return
        self._read_monitor()
        ticks: list[StreamTick] = []
        others: list[list[bytes]] = []
        if self._receive(self._sock, ticks, others) == BUDGET:
            # The descriptor tells edges only, and there may be more. Planned before anything below can fail.
            self._again = self._loop.call_soon(self._drain)
        if ticks:
            self._guarded(self._owner.on_ticks, ticks)
        for frames in others:
            self._guarded(self._dispatch, frames)

    def _receive(self, sock: zmq.Socket[bytes], ticks: list[StreamTick], others: list[list[bytes]]) -> int:
        """Takes at most BUDGET messages; returns how many."""
        receive = sock.recv_multipart
        for count in range(BUDGET):
            try:
                frames = receive(zmq.NOBLOCK)
            except zmq.Again:
                return count
            topic = frames[0]
            if topic[:1] == b"_":
                others.append(frames)
            elif len(frames) == 3 and len(frames[2]) == _STAMP.size:
                tick = self._tick(topic, frames[1], frames[2])
                if tick is not None:
                    ticks.append(tick)
            elif topic != b"\0":
                self.counts["malformed"] += 1
        return BUDGET

    def _tick(self, topic: bytes, payload: bytes, stamp: bytes) -> StreamTick | None:
        sequence, arrival_ns = _STAMP.unpack(stamp)
        if topic not in self._topics:  # on its way when it was unsubscribed
            return None
        replay = self.arrivals.is_replay(topic, sequence, arrival_ns)
        if not self._native.is_native(Tick(topic, payload, sequence, arrival_ns)):
            self.counts["copy"] += 1
            return None
        self.counts["replay" if replay else "tick"] += 1
        return topic, payload, arrival_ns, replay

    def _read_monitor(self) -> None:
        """Notes new connections before the messages that came over them are judged."""
        assert self._monitor is not None
        while True:
            try:
                self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self.connections += 1
            self.arrivals.connected(self._clock_ns())

    def _guarded(self, call: Callable[[Any], None], what: Any) -> None:
        try:
            call(what)
        except Exception:
            # One message that cannot be dealt with takes none of the others along.
            limited(log, "tick stream").exception("a message of the tick stream could not be dealt with")

    def _dispatch(self, frames: list[bytes]) -> None:
        self.counts["own"] += 1
        try:
            body = orjson.loads(frames[1])
            if frames[0] == b"_health":
                self._owner.on_health(_rows(body["feeds"]))
            elif frames[0] == b"_orders":
                self._owner.on_orders(_text(body["user_id"]), _whole(body["after"]), _whole(body["conn"]))
            elif frames[0] == b"_invalidate":
                self._owner.on_invalidate(_text(body["user_id"]), _text(body["cache_type"]))
        except (orjson.JSONDecodeError, KeyError, TypeError, IndexError) as error:
            self.counts["malformed"] += 1
            shown = frames[0].decode("ascii", "replace")[:32]
            limited(log, "malformed").warning("malformed message of the tick stream", topic=shown, reason=repr(error))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, not {type(value).__name__}")
    return value


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"whole number expected, not {type(value).__name__}")
    return value


def _rows(value: object) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise TypeError("a list of objects expected")
    return value
