"""The gateway's neighbours as tests play them: publishers on the bus, WebSocket readers, tick-stream subscribers."""

from __future__ import annotations

import itertools
import re
import struct
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import orjson
import zmq
from websockets.sync.client import ClientConnection, connect

from tests.harness import Gateway

Json = dict[str, Any]
Context = zmq.Context[zmq.Socket[bytes]]


def wait_for(what: Callable[[], Any], seconds: float = 5.0) -> Any:
    """Calls `what` until it says something true; returns that."""
    deadline = time.monotonic() + seconds
    while not (said := what()):
        assert time.monotonic() < deadline, f"not within {seconds} s; last said {said!r}"
        time.sleep(0.01)
    return said


@contextmanager
def publisher(url: str, **options: Any) -> Iterator[zmq.Socket[bytes]]:
    """A PUB socket connected to the bus, ready to be heard; `options` are attributes of the socket."""
    with zmq.Context() as context, context.socket(zmq.PUB) as sock:
        sock.linger = 1000
        sock.sndhwm = 1_000_000
        for name, value in options.items():
            setattr(sock, name, value)
        sock.connect(url)
        time.sleep(0.2)
        yield sock


class Reader:
    """An authenticated WebSocket client."""

    def __init__(self, url: str, key: str, **options: Any) -> None:
        self._stack = ExitStack()
        connection = connect(url, open_timeout=5, close_timeout=1, max_size=None, max_queue=None)
        self.socket: ClientConnection = self._stack.enter_context(connection)
        self.waiting: list[Json] = []
        assert self.ask(action="authenticate", api_key=key, **options)["status"] == "success"

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def send(self, **request: Any) -> None:
        self.socket.send(orjson.dumps(request).decode())

    def receive(self, seconds: float = 5.0) -> Json:
        """The next frame. Raises TimeoutError."""
        if self.waiting:
            return self.waiting.pop(0)
        frame: Json = orjson.loads(self.socket.recv(timeout=seconds))
        return frame

    def ask(self, **request: Any) -> Json:
        """Sends a request and returns its answer; market data and feed states that come before it are kept."""
        self.send(**request)
        kept: list[Json] = []
        while True:
            frame: Json = orjson.loads(self.socket.recv(timeout=5))
            if frame.get("type") not in (None, "market_data", "feed_status"):
                self.waiting += kept
                return frame
            kept.append(frame)

    def subscribe(self, exchange: str, symbol: str, mode: str = "LTP", conflate_ms: int = 0) -> None:
        symbols = [{"exchange": exchange, "symbol": symbol}]
        answer = self.ask(action="subscribe", symbols=symbols, mode=mode, conflate_ms=conflate_ms)
        assert answer["status"] == "success", answer

    def tick(self, seconds: float = 5.0) -> Json:
        """The next frame of market data."""
        deadline = time.monotonic() + seconds
        while True:
            frame = self.receive(max(0.01, deadline - time.monotonic()))
            if frame.get("type") == "market_data":
                return frame

    def silent(self, seconds: float) -> bool:
        """True where no market data comes for `seconds`."""
        try:
            self.tick(seconds)
        except TimeoutError:
            return True
        return False


_numbers = itertools.count(1_000_000)


def through(pub: zmq.Socket[bytes], reader: Reader, symbol: str = "GOOD") -> list[Json]:
    """Sends a tick of its own on NSE and waits for it at `reader`; returns what came before, live ticks only."""
    mark, before = next(_numbers), []
    pub.send_multipart([f"NSE_{symbol}_LTP".encode(), b'{"ltp":%d}' % mark])
    while (frame := reader.tick(30))["data"].get("ltp") != mark:
        if not frame.get("snapshot"):
            before.append(frame)
    return before


class Message(NamedTuple):
    """A tick of the tick stream."""

    topic: bytes
    payload: Json
    sequence: int
    arrival_ns: int


class Subscriber:
    """A SUB socket on the tick stream."""

    def __init__(self, endpoint: str, *topics: bytes) -> None:
        self._context: Context = zmq.Context()
        self.socket = self._context.socket(zmq.SUB)
        self.socket.linger = 0
        self.socket.rcvhwm = 1_000_000
        self.socket.connect(endpoint)
        for topic in topics:
            self.socket.subscribe(topic)

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._context.destroy(linger=0)

    def raw(self, seconds: float = 5.0) -> list[bytes] | None:
        """The next message; None where none comes. The stream's own marker messages are passed over."""
        deadline = time.monotonic() + seconds
        while self.socket.poll(max(0, int((deadline - time.monotonic()) * 1000))):
            frames = self.socket.recv_multipart()
            if frames != [b"\0"]:
                return frames
        return None

    def next(self, seconds: float = 5.0) -> Message:
        """The next tick."""
        frames = self.raw(seconds)
        assert frames is not None, "no tick"
        topic, payload, stamp = frames
        return Message(topic, orjson.loads(payload), *struct.unpack(">QQ", stamp))

    def json(self, topic: bytes, seconds: float = 5.0) -> Json:
        """The next message on one of the stream's own topics."""
        while (frames := self.raw(seconds)) is not None:
            if frames[0] == topic:
                body: Json = orjson.loads(frames[1])
                return body
        raise AssertionError(f"nothing on {topic!r}")

    def silent(self, seconds: float) -> bool:
        return self.raw(seconds) is None


def stream_of(gateway: Gateway) -> str:
    """The endpoint of a gateway's tick stream where it has the default."""
    return f"ipc://{gateway.home}/ticks.sock"


_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def metrics(gateway: Gateway) -> dict[tuple[str, str], float]:
    """All samples of `/metrics`, by name and labels as written."""
    with urllib.request.urlopen(gateway.ws_url.replace("ws://", "http://") + "/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {(name, labels): float(value) for name, labels, value in _SAMPLE.findall(text)}


def dropped(gateway: Gateway) -> dict[str, int]:
    """Messages of the bus that were not passed on, by reason."""
    found = metrics(gateway).items()
    return {
        labels.split('"')[1]: int(value) for (name, labels), value in found if name == "gateway_messages_dropped_total"
    }
