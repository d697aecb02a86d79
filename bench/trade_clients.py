"""Clients of the trade benches, with little work of their own: ticks, a WebSocket by hand, HTTP by hand."""

from __future__ import annotations

import json
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import zmq

from bench.tool import Json, ToolError
from bench.trade_server import Trading

#: how long anything may take before the bench gives up, s
PATIENCE_S = 30.0


class Bus:
    """A publisher on the tick bus. XPUB, because it is told when the gateway has subscribed."""

    def __init__(self, server: Trading) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.sndhwm = 1_000_000
        self._socket.connect(f"tcp://127.0.0.1:{server.zmq_port}")
        if not self._socket.poll(5000):
            raise ToolError("the gateway did not subscribe to the bus")

    def tick(self, name: str, ltp: float) -> int:
        """One Quote tick of an NSE symbol; the time it was made (Unix ns) is in it and is returned."""
        now_ns = time.time_ns()
        payload = {"ltp": ltp, "timestamp": now_ns // 1_000_000}
        self._socket.send_multipart([f"NSE_{name}_QUOTE".encode(), json.dumps(payload).encode()])
        return now_ns

    def close(self) -> None:
        """Ends it."""
        self._context.destroy(linger=200)


class Updates:
    """A WebSocket reader of one user's order updates: a thread that notes when each frame came."""

    def __init__(self, server: Trading, key: str | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.ws_port), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        #: time of arrival (Unix ns) and text of each order update
        self.seen: list[tuple[int, bytes]] = []
        self._socket.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        while b"\r\n\r\n" not in self._buffer:
            self._receive()
        del self._buffer[: self._buffer.index(b"\r\n\r\n") + 4]
        for request in ({"action": "authenticate", "api_key": key or server.key}, {"action": "subscribe_orders"}):
            self._send(1, json.dumps(request).encode())
            answer = json.loads(self._next())
            if answer.get("status") != "success":
                raise ToolError(f"{request['action']} was refused: {answer.get('message')}")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def until(self, count: int, status: str = "complete", start: int = 0) -> list[tuple[int, Json]]:
        """Waits until `count` updates with that status came after the first `start` frames; all of those."""
        deadline, mark = time.monotonic() + PATIENCE_S, f'"order_status":"{status}"'.encode()
        while sum(mark in text for _, text in self.seen[start:]) < count:
            if time.monotonic() > deadline:
                got = sum(mark in text for _, text in self.seen[start:])
                raise ToolError(f"{got} of {count} order updates '{status}' came within {PATIENCE_S:.0f} s")
            time.sleep(0.05)
        return [(at_ns, json.loads(text)) for at_ns, text in self.seen[start:] if mark in text]

    def close(self) -> None:
        """Ends the connection."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()

    def _read(self) -> None:
        self._socket.settimeout(None)
        with suppress(OSError, ConnectionError):
            while True:
                self._receive()
                now_ns = time.time_ns()
                for text in self._frames():
                    if b'"type":"order_update"' in text:
                        self.seen.append((now_ns, text))

    def _receive(self) -> None:
        data = self._socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the gateway closed the connection")
        self._buffer += data

    def _next(self) -> bytes:
        while True:
            for text in self._frames():
                return text
            self._receive()

    def _frames(self) -> Iterator[bytes]:
        """Whole text frames of the buffer (RFC 6455 section 5.2); pings are answered."""
        while len(self._buffer) >= 2:
            kind, size, at = self._buffer[0] & 15, self._buffer[1] & 127, 2
            if size >= 126:
                at = 4 if size == 126 else 10
                size = int.from_bytes(self._buffer[2:at])
            if len(self._buffer) < at + size:
                return
            payload = bytes(self._buffer[at : at + size])
            del self._buffer[: at + size]
            if kind == 9:
                self._send(10, payload)
            elif kind == 1:
                yield payload

    def _send(self, kind: int, payload: bytes) -> None:
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([128 | kind, 128 | size]) if size < 126 else bytes([128 | kind, 254]) + size.to_bytes(2)
        self._socket.sendall(head + mask + bytes(one ^ mask[at & 3] for at, one in enumerate(payload)))


@dataclass(slots=True)
class Http:
    """One keep-alive connection to the REST API."""

    port: int
    key: str = field(repr=False)
    sock: socket.socket = field(init=False)
    buffer: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, endpoint: str, **fields: object) -> bytes:
        """The bytes of a call."""
        body = json.dumps({"apikey": self.key, **fields}).encode()
        head = f"POST /api/v1/{endpoint} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def ask(self, endpoint: str, **fields: object) -> Json:
        """A call and its answer. Raises ToolError for a refusal."""
        self.sock.sendall(self.request(endpoint, **fields))
        while (answer := self.take()) is None:
            pass
        found: Json = json.loads(answer)
        if found.get("status") != "success":
            raise ToolError(f"{endpoint} was refused: {found.get('message')}")
        return found

    def take(self) -> bytes | None:
        """Receives once; the body of the answer where it is whole. Raises ToolError for a status other than 200."""
        data = self.sock.recv(1 << 18)
        if not data:
            raise ToolError("the API closed a connection")
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.buffer[:end]).lower()
        size = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self.buffer) < end + 4 + size:
            return None
        body = bytes(self.buffer[end + 4 : end + 4 + size])
        self.buffer.clear()
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise ToolError(f"the API answered {body[:200].decode()}")
        return body

    def close(self) -> None:
        """Ends it."""
        self.sock.close()


def limit(name: str, price: float, action: str = "BUY", quantity: int = 1) -> Json:
    """The fields of a LIMIT order."""
    row: Json = {"symbol": name, "exchange": "NSE", "action": action, "quantity": quantity}
    return {**row, "pricetype": "LIMIT", "price": price, "product": "MIS"}


def in_baskets(rows: Sequence[Json], size: int = 100) -> list[list[Json]]:
    """The orders in calls of at most `size`."""
    return [list(rows[at : at + size]) for at in range(0, len(rows), size)]


def place(http: Http, rows: Sequence[Json]) -> None:
    """Places orders by basket. Raises ToolError where one is refused."""
    for basket in in_baskets(rows):
        for result in http.ask("basketorder", orders=basket)["results"]:
            if result["status"] != "success":
                raise ToolError(f"an order was refused: {result['message']}")


def price(bus: Bus, http: Http, names: Iterable[str], ltp: float) -> None:
    """Brings instruments to a price; returns once the gateway answers with it for each."""
    for name in names:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            bus.tick(name, ltp)
            with suppress(ToolError):
                if http.ask("quotes", symbol=name, exchange="NSE")["data"]["ltp"] == ltp:
                    break
            if time.monotonic() > deadline:
                raise ToolError(f"{name} did not come to {ltp}")


def open_loop(seconds: float, rate: float, act: Callable[[int], None]) -> None:
    """Calls `act` with 0, 1, … on an absolute schedule."""
    start = time.monotonic()
    for number in range(int(seconds * rate)):
        time.sleep(max(0.0, start + number / rate - time.monotonic()))
        act(number)


def closed_loop(clients: Sequence[Http], make: Callable[[Http], bytes], seconds: float) -> tuple[int, float]:
    """Each client sends its next request as soon as it has the answer: answers, and the seconds they took."""
    chosen, answered = selectors.DefaultSelector(), 0
    for client in clients:
        chosen.register(client.sock, selectors.EVENT_READ, client)
        client.sock.sendall(make(client))
    began = time.monotonic()
    waiting = len(clients)
    while waiting:
        for key, _ in chosen.select(PATIENCE_S):
            ready: Http = key.data
            if ready.take() is None:
                continue
            answered += 1
            if time.monotonic() - began < seconds:
                ready.sock.sendall(make(ready))
            else:
                waiting -= 1
    chosen.close()
    return answered, time.monotonic() - began


class Orders:
    """Requests on a schedule over several connections: latencies from the planned time to the answer."""

    def __init__(self, server: Trading, connections: int = 8) -> None:
        self._clients = [Http(server.api_port, server.key) for _ in range(connections)]

    def run(self, rate: float, seconds: float, make: Callable[[Http, int], bytes]) -> list[float]:
        """Sends `rate` requests per second; latencies in ms."""
        found: list[float] = []
        start = time.monotonic() + 0.01
        workers = [
            threading.Thread(target=self._work, args=(place, start, rate, int(seconds * rate), make, found))
            for place in range(len(self._clients))
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if len(found) != int(seconds * rate):
            raise ToolError(f"{len(found)} of {int(seconds * rate)} orders were answered")
        return found

    def _work(
        self, place: int, start: float, rate: float, total: int, make: Callable[[Http, int], bytes], out: list[float]
    ) -> None:
        client = self._clients[place]
        for number in range(place, total, len(self._clients)):
            request, planned = make(client, number), start + number / rate
            time.sleep(max(0.0, planned - time.monotonic()))
            client.sock.sendall(request)
            while client.take() is None:
                pass
            out.append((time.monotonic() - planned) * 1e3)

    def close(self) -> None:
        """Ends the connections."""
        for client in self._clients:
            client.close()
