"""The plain design of such a proxy: `websockets`, `json`, a dict as index, `zmq.asyncio`, one gather per tick.

Each tick is parsed once, each delivery is serialised on its own, and the next tick waits until every reader of
this one has taken it. It speaks as much of the protocol as the load tool needs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import defaultdict
from typing import Any

import zmq
import zmq.asyncio
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

MODES = {"LTP": 1, "QUOTE": 2, "DEPTH": 3}
Key = tuple[str, str, int]


class PlainProxy:
    """Clients, who subscribed what, and when each got something last."""

    def __init__(self) -> None:
        self.clients: dict[int, ServerConnection] = {}
        self.windows: dict[int, float] = {}
        self.index: dict[Key, set[int]] = defaultdict(set)
        self.last_sent: dict[tuple[int, Key], float] = {}

    async def handle(self, connection: ServerConnection) -> None:
        """Serves one client until it leaves."""
        client = id(connection)
        self.clients[client] = connection
        try:
            async for text in connection:
                answer = self.answer(client, json.loads(text))
                await connection.send(json.dumps(answer))
        except ConnectionClosed:
            pass
        finally:
            self.forget(client)

    def answer(self, client: int, request: dict[str, Any]) -> dict[str, Any]:
        """Carries one request out."""
        if request.get("action") == "authenticate":
            self.windows[client] = request.get("conflate_ms", 50) / 1000
            return {"type": "auth", "status": "success", "message": "Authentication successful", "broker": "plain"}
        mode = request.get("mode", "Quote")
        rows = [self.subscribe(client, item["symbol"], item["exchange"], mode) for item in request["symbols"]]
        return {"type": "subscribe", "status": "success", "broker": "plain", "subscriptions": rows}

    def subscribe(self, client: int, symbol: str, exchange: str, mode: str) -> dict[str, Any]:
        """Enters one subscription and makes its row of the answer."""
        self.index[symbol, exchange, MODES[mode.upper()]].add(client)
        row = {"symbol": symbol, "exchange": exchange, "status": "success", "mode": mode, "depth": 5}
        return {**row, "broker": "plain"}

    def forget(self, client: int) -> None:
        """Removes a client that left."""
        self.clients.pop(client, None)
        for holders in self.index.values():
            holders.discard(client)

    async def listen(self, socket: zmq.asyncio.Socket) -> None:
        """Takes ticks off the bus, one after the other."""
        while True:
            topic, payload = await socket.recv_multipart()
            exchange, symbol, mode = topic.decode().split("_")
            await self.tick(symbol, exchange, MODES[mode], json.loads(payload))

    async def tick(self, symbol: str, exchange: str, mode: int, data: dict[str, Any]) -> None:
        """Sends one tick to everyone who subscribed it."""
        key = (symbol, exchange, mode)
        now = time.monotonic()
        sends = []
        for client in list(self.index.get(key, ())):
            if now - self.last_sent.get((client, key), 0) < self.windows.get(client, 0):
                continue
            self.last_sent[client, key] = now
            message = {"type": "market_data", "symbol": symbol, "exchange": exchange, "mode": mode, "broker": "plain"}
            sends.append(self.send(client, {**message, "data": data}))
        await asyncio.gather(*sends)

    async def send(self, client: int, message: dict[str, Any]) -> None:
        """Sends one message to one client."""
        connection = self.clients.get(client)
        if connection is None:
            return
        try:
            await connection.send(json.dumps(message))
        except ConnectionClosed:
            self.forget(client)


async def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ws-port", type=int, default=8765)
    parser.add_argument("--zmq-port", type=int, default=5555)
    args = parser.parse_args()
    socket = zmq.asyncio.Context().socket(zmq.SUB)
    socket.bind(f"tcp://127.0.0.1:{args.zmq_port}")
    socket.subscribe(b"")
    proxy = PlainProxy()
    async with serve(proxy.handle, "127.0.0.1", args.ws_port, max_size=2**20):
        await proxy.listen(socket)


if __name__ == "__main__":
    asyncio.run(main())
