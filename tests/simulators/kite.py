"""A simulated Kite server: stream, instrument master and quotes on one port of 127.0.0.1.

The official KiteTicker takes it for the real one. Runs in a thread of its own (`KiteServer`) or as a program:
`python -m tests.simulators.kite --port 8766 --rate 50`.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hmac
import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.simulators.kite_market import Market, instruments_csv
from tests.simulators.kite_quote import quote_json
from tests.simulators.kite_wire import HEARTBEAT, frame

T = TypeVar("T")
MODES = ("ltp", "quote", "full")
#: instruments of one connection (KITE section 1)
MAX_TOKENS = 3000
#: instruments of one `/quote` request (KITE_REST "Quotes")
MAX_QUOTES = 500
# the server's side of a test is not what its logs are looked at for
_silent = logging.getLogger("tests.simulators.kite")
_silent.setLevel(logging.CRITICAL)


@dataclass(eq=False)
class Client:
    """One connected client."""

    socket: ServerConnection
    #: token -> mode
    modes: dict[int, str] = field(default_factory=dict)
    #: text frames as they came
    requests: list[str] = field(default_factory=list)
    idle: bool = True


class KiteServer:
    """The server. `start` takes the port it had before, so a killed one can come back in the same place."""

    def __init__(
        self, *, port: int = 0, api_key: str = "key", access_token: str = "token", rate: float = 0.0, seed: int = 1,
        heartbeat: float = 1.0, packets_per_frame: int = 1, snapshot: bool = True,
    ) -> None:  # fmt: skip
        self.port = port
        self.api_key, self.access_token = api_key, access_token
        self.rate, self.heartbeat, self.packets_per_frame = rate, heartbeat, packets_per_frame
        #: whether a subscribe or mode request brings the last known values at once
        self.snapshot = snapshot
        self.market = Market(seed)
        self.clients: list[Client] = []
        #: text frames of all clients, also of those that have left
        self.requests: list[str] = []
        self.refused = 0
        self.accepted = 0
        #: what `/quote` was asked for, one list of `EXCHANGE:TRADINGSYMBOL` for each request let in, and when
        #: (monotonic, s)
        self.quote_requests: list[list[str]] = []
        self.quote_times: list[float] = []
        #: answered to `/quote` in place of 200, with the broker's form of an error
        self.quote_status = 200
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: Server | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ws_url(self) -> str:
        """For ZERODHA_WS_URL, and `root` of KiteTicker."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def rest_url(self) -> str:
        """For ZERODHA_REST_URL."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> KiteServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Listens; returns when clients may connect."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(ready.set)), name="kite", daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the simulated Kite server did not start")

    def kill(self) -> None:
        """Drops everything as a crash would: no close frames, the port free again."""
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
            self._thread = None

    def send_frame(self, data: bytes | str) -> None:
        """Sends a ready frame to every client."""
        self._run(self._broadcast(data))

    def tick(self, *tokens: int) -> None:
        """Moves each of `tokens` once, in this order, one frame for all of a client's."""
        self._run(self._tick(tokens))

    def set_price(self, name: str, price: float, *, silent: bool = True) -> None:
        """Moves `EXCHANGE:TRADINGSYMBOL` to a price, INR; the stream says so, too, unless `silent`."""
        token = self.market.token(name)
        self._run(self._set_price(token, price))
        if not silent:
            self._run(self._deliver_to_all(token))

    def close_clients(self, code: int = 1000) -> None:
        """Closes every connection with a close frame."""
        self._run(self._close(code))

    def held(self) -> dict[int, str]:
        """Tokens and modes of all clients together."""
        return {token: mode for client in list(self.clients) for token, mode in client.modes.items()}

    def _run(self, work: Coroutine[Any, Any, T], seconds: float = 10) -> T:
        assert self._loop is not None
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(seconds)

    async def _main(self, ready: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._server = await serve(
            self._serve, "127.0.0.1", self.port, process_request=self._upgrade, compression=None, ping_interval=None,
            close_timeout=1, logger=_silent,
        )  # fmt: skip
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        tasks = [asyncio.create_task(self._beat())]
        if self.rate > 0:
            tasks.append(asyncio.create_task(self._random_ticks()))
        ready()
        await self._stop.wait()
        for task in tasks:
            task.cancel()
        for client in list(self.clients):
            client.socket.transport.abort()
        self._server.close(close_connections=True)
        await self._server.wait_closed()

    def _upgrade(self, socket: ServerConnection, request: Request) -> Response | None:
        url = urlsplit(request.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path in ("/instruments", "/quote"):
            return self._rest(url.path, url.query, request)
        if not self._is_ours(query.get("api_key", ""), query.get("access_token", "")):
            self.refused += 1
            return socket.respond(403, "Forbidden\n")
        return None

    def _rest(self, path: str, query: str, request: Request) -> Response:
        key, _, token = request.headers.get("Authorization", "").removeprefix("token ").partition(":")
        if not self._is_ours(key, token):
            self.refused += 1
            return _answer(403, b'{"status":"error","error_type":"TokenException","message":"Incorrect token"}')
        if path == "/quote":
            names = parse_qs(query).get("i", [])
            if request.headers.get("X-Kite-Version") != "3" or not 1 <= len(names) <= MAX_QUOTES:
                return _answer(400, b'{"status":"error","error_type":"InputException","message":"Invalid request"}')
            self.quote_requests.append(names)
            self.quote_times.append(time.monotonic())
            if self.quote_status != 200:
                body = b'{"status":"error","error_type":"NetworkException","message":"Too many requests"}'
                return _answer(self.quote_status, body)
            return _answer(200, json.dumps(quote_json(self.market, names)).encode(), "application/json")
        return _answer(200, gzip.compress(instruments_csv().encode()), "text/csv", encoding="gzip")

    def _is_ours(self, api_key: str, access_token: str) -> bool:
        return hmac.compare_digest(api_key, self.api_key) and hmac.compare_digest(access_token, self.access_token)

    async def _serve(self, socket: ServerConnection) -> None:
        client = Client(socket)
        self.clients.append(client)
        self.accepted += 1
        try:
            async for text in socket:
                if isinstance(text, str):
                    self.requests.append(text)
                    client.requests.append(text)
                    await self._handle(client, text)
        except ConnectionClosed:
            pass
        finally:
            self.clients.remove(client)

    async def _handle(self, client: Client, text: str) -> None:
        try:
            tokens = _apply(client, json.loads(text))
        except (ValueError, TypeError, KeyError) as error:
            await client.socket.send(json.dumps({"type": "error", "data": f"invalid request: {error}"}))
            return
        if self.snapshot:
            await self._deliver(client, tokens)

    async def _deliver(self, client: Client, tokens: list[int]) -> None:
        books = self.market.books
        packets = [books[token].packet(client.modes[token]) for token in tokens if token in books]
        for start in range(0, len(packets), 100):
            client.idle = False
            await client.socket.send(frame(packets[start : start + 100]))

    async def _tick(self, tokens: tuple[int, ...]) -> None:
        for token in tokens:
            self.market.step([token])
        for client in list(self.clients):
            await self._deliver(client, [token for token in tokens if token in client.modes])

    async def _set_price(self, token: int, price: float) -> None:
        self.market.set_price(token, price)

    async def _deliver_to_all(self, token: int) -> None:
        for client in list(self.clients):
            await self._deliver(client, [token] if token in client.modes else [])

    async def _broadcast(self, data: bytes | str) -> None:
        for client in list(self.clients):
            await client.socket.send(data)

    async def _close(self, code: int) -> None:
        for client in list(self.clients):
            await client.socket.close(code)

    async def _random_ticks(self) -> None:
        pause = self.packets_per_frame / self.rate
        while True:
            await asyncio.sleep(pause)
            wanted = sorted(self.held())
            moved = [book.token for _ in range(self.packets_per_frame) if (book := self.market.step(wanted))]
            for client in list(self.clients):
                tokens = [token for token in dict.fromkeys(moved) if token in client.modes]
                try:
                    await self._deliver(client, tokens)
                except ConnectionClosed:
                    continue

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat)
            for client in list(self.clients):
                try:
                    if client.idle:
                        await client.socket.send(HEARTBEAT)
                except ConnectionClosed:
                    continue
                client.idle = True


def _apply(client: Client, request: dict[str, Any]) -> list[int]:
    """Changes what the client holds and returns the tokens whose values are due. Raises on a bad request."""
    action, value = request["a"], request["v"]
    if action == "mode":
        mode, tokens = value
        if mode not in MODES:
            raise ValueError(f"unknown mode {mode!r}")
    elif action in ("subscribe", "unsubscribe"):
        mode, tokens = "quote", value
    else:
        raise ValueError(f"unknown action {action!r}")
    if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
        raise ValueError("tokens must be integers")
    if action == "unsubscribe":
        for token in tokens:
            client.modes.pop(token, None)
        return []
    if action == "mode":
        # the mode of an instrument that is not subscribed means nothing
        tokens = [token for token in tokens if token in client.modes]
    if len(client.modes.keys() | set(tokens)) > MAX_TOKENS:
        raise ValueError(f"more than {MAX_TOKENS} instruments")
    client.modes.update(dict.fromkeys(tokens, mode))
    return tokens


def _answer(status: int, body: bytes, kind: str = "application/json", encoding: str = "") -> Response:
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"})
    if encoding:
        headers["Content-Encoding"] = encoding
    return Response(status, HTTPStatus(status).phrase, headers, body)


def main() -> None:
    """The program: prints one line with the addresses, then serves until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="simulated Kite server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--api-key", default="key")
    parser.add_argument("--access-token", default="token")
    parser.add_argument("--rate", type=float, default=20.0, help="random ticks per second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--heartbeat", type=float, default=1.0, help="seconds")
    options = parser.parse_args()
    stops = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    server = KiteServer(**vars(options))
    server.start()
    print(f"ready ws={server.ws_url} rest={server.rest_url} instruments={server.rest_url}/instruments", flush=True)
    signal.sigwait(stops)
    server.kill()


if __name__ == "__main__":
    main()
