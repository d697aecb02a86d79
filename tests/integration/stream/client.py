"""Clients and publishers for tests against a running gateway."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import zmq
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.harness import Gateway

Json = dict[str, Any]


def ask(client: ClientConnection, **request: object) -> Json:
    """Sends a request and returns the first frame that is no market data."""
    client.send(json.dumps(request))
    return next_frame(client, market=False)


def next_frame(client: ClientConnection, market: bool = True, seconds: float = 5.0) -> Json:
    """The next frame that is market data, or the next that is none."""
    deadline = time.monotonic() + seconds
    while True:
        frame: Json = json.loads(client.recv(timeout=max(0.001, deadline - time.monotonic())))
        if (frame.get("type") == "market_data") is market:
            return frame


def quiet(client: ClientConnection, seconds: float = 0.15) -> list[Json]:
    """All frames until nothing has come for `seconds`."""
    frames = []
    with contextlib.suppress(TimeoutError):
        while True:
            frames.append(json.loads(client.recv(timeout=seconds)))
    return frames


@contextlib.contextmanager
def log_in(gateway: Gateway, key: str, **options: Any) -> Iterator[ClientConnection]:
    """A client that has authenticated; `connecting` holds options of the connection itself."""
    with connect(gateway.ws_url, open_timeout=5, close_timeout=1, **options.pop("connecting", {})) as client:
        answer = ask(client, action="authenticate", api_key=key, **options)
        assert answer["status"] == "success", answer
        yield client


def subscribe(client: ClientConnection, *symbols: str, mode: object = "LTP", **more: object) -> Json:
    """Subscribes NSE symbols and expects success."""
    rows = [{"symbol": symbol, "exchange": "NSE"} for symbol in symbols]
    answer = ask(client, action="subscribe", symbols=rows, mode=mode, **more)
    assert answer["status"] == "success", answer
    return answer


def closed(client: ClientConnection, seconds: float = 5.0) -> tuple[int, str]:
    """Reads until the server closes; the code and reason it gave."""
    deadline = time.monotonic() + seconds
    said = None
    while said is None:
        try:
            client.recv(timeout=max(0.001, deadline - time.monotonic()))
        except ConnectionClosed as end:
            said = end.rcvd
            if said is None:
                raise AssertionError("the connection ended without a close frame") from end
    return said.code, said.reason


class Publisher:
    """A stranger's publisher on the tick bus. XPUB, because it is told when the gateway has subscribed."""

    def __init__(self, gateway: Gateway, kind: int = zmq.XPUB) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self._context.socket(kind)
        self.socket.linger = 1000
        self.socket.sndhwm = 100_000
        self.socket.connect(gateway.zmq_url)
        if kind == zmq.XPUB and not self.socket.poll(5000):
            self.close()
            raise AssertionError("the gateway did not subscribe")

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, topic: str, payload: bytes | Json) -> None:
        """Publishes one message."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.socket.send_multipart([topic.encode(), body])

    def close(self) -> None:
        """Ends it."""
        self._context.destroy(linger=500)


@contextlib.contextmanager
def tick_stream(gateway: Gateway, topic: bytes) -> Iterator[zmq.Socket[bytes]]:
    """A subscriber of the tick stream."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    stream = context.socket(zmq.SUB)
    stream.connect(f"ipc://{gateway.home}/ticks.sock")
    stream.subscribe(topic)
    try:
        yield stream
    finally:
        context.destroy(linger=0)


def get(gateway: Gateway, path: str) -> tuple[int, str]:
    """A page on the WebSocket port: status and text."""
    url = gateway.ws_url.replace("ws://", "http://") + path
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metric(gateway: Gateway, name: str) -> float:
    """The value of one line of /metrics, 0 where it is missing."""
    lines = get(gateway, "/metrics")[1].splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.rsplit(" ", 1)[0] == name), 0.0)


HANDSHAKE = {
    "Host": "127.0.0.1",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


class RawClient:
    """A WebSocket client that does nothing by itself: no pongs, no reading, no closing handshake."""

    def __init__(self, gateway: Gateway, headers: dict[str, str] | None = None, receive_buffer: int = 0) -> None:
        address = urlsplit(gateway.ws_url)
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(5)
        self.socket.connect((address.hostname, address.port))
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**HANDSHAKE, **(headers or {})}.items())
        self.socket.sendall(f"GET / HTTP/1.1\r\n{lines}\r\n".encode())
        self._read = self.socket.makefile("rb")
        self.status = int(self._read.readline().split()[1])
        while self._read.readline() not in (b"\r\n", b""):
            pass

    def send(self, payload: bytes, opcode: int = 1, fin: bool = True, mask: bool = True, first: int = 0) -> None:
        """Sends one frame; `first` replaces the first byte."""
        head = bytes([first or (opcode | (0x80 if fin else 0))])
        size, flag = len(payload), 0x80 if mask else 0
        if size < 126:
            head += bytes([flag | size])
        elif size < 65_536:
            head += bytes([flag | 126]) + size.to_bytes(2, "big")
        else:
            head += bytes([flag | 127]) + size.to_bytes(8, "big")
        key = os.urandom(4) if mask else b""
        if mask:
            pad = (key * (size // 4 + 1))[:size]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
        self.socket.sendall(head + key + payload)

    def ask(self, **request: object) -> Json:
        """Sends a request; the next text frame, parsed."""
        self.send(json.dumps(request).encode())
        return self.text()

    def text(self) -> Json:
        """The next text frame, parsed; pings are passed over unanswered."""
        while True:
            opcode, payload = self.frame()
            if opcode == 1:
                found: Json = json.loads(payload)
                return found
            assert opcode == 9, (opcode, payload)

    def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload. Raises EOFError at the end of the stream."""
        head = self._read.read(2)
        if len(head) < 2:
            raise EOFError
        size = head[1] & 0x7F
        if size > 125:
            size = int.from_bytes(self._read.read(2 if size == 126 else 8), "big")
        return head[0] & 15, self._read.read(size)

    def close_code(self, seconds: float = 5.0) -> int:
        """Reads until a close frame and returns its code."""
        self.socket.settimeout(seconds)
        while True:
            opcode, payload = self.frame()
            if opcode == 8:
                return int.from_bytes(payload[:2], "big")

    def close(self) -> None:
        """Drops the socket."""
        self._read.close()
        self.socket.close()


@contextlib.contextmanager
def raw(gateway: Gateway, key: str = "", **options: Any) -> Iterator[RawClient]:
    """A raw client, authenticated where a key is given."""
    client = RawClient(gateway, **options)
    try:
        if key:
            assert client.ask(action="authenticate", api_key=key)["status"] == "success"
        yield client
    finally:
        client.close()
