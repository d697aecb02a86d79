"""The template adapter against a server that speaks its protocol; copy this with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from adapters.backoff import Backoff
from adapters.base import FeedConfig
from adapters.pool import FeedPool
from adapters.template.adapter import TemplateAdapter
from gateway.model import FeedState, Mode, Want

from .fakes import SBIN, TCS, ListSink, until

pytestmark = pytest.mark.asyncio
NOW_NS = 1_767_587_400_000_000_000


class Broker:
    """Keeps what it is told; refuses any token but `good`."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.clients: list[ServerConnection] = []

    async def talk(self, client: ServerConnection) -> None:
        self.clients.append(client)
        async for text in client:
            request = orjson.loads(text)
            self.requests.append(request)
            if request["op"] == "login" and request["token"] != "good":
                await client.send('{"error":"token"}')


@asynccontextmanager
async def connected(token: str = "good") -> AsyncIterator[tuple[Broker, Server, FeedPool, ListSink]]:
    broker, sink = Broker(), ListSink()
    async with serve(broker.talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        config = FeedConfig("template", ws_url=f"ws://127.0.0.1:{port}/", access_token=token)
        pool = FeedPool(TemplateAdapter(config, sink, lambda: NOW_NS), backoff=Backoff(first=0.02, cap=0.05))
        pool.start()
        try:
            await until(lambda: bool(broker.requests))
            yield broker, server, pool, sink
        finally:
            await pool.stop()


async def test_wants_become_requests_and_frames_become_ticks() -> None:
    async with connected() as (broker, _, pool, sink):
        pool.acquire("a", [Want(SBIN, Mode.LTP), Want(TCS, Mode.DEPTH)])
        await until(lambda: len(broker.requests) == 3)
        assert broker.requests[1:] == [
            {"op": "subscribe", "mode": "price", "ids": ["3045"]},
            {"op": "subscribe", "mode": "book", "ids": ["11536"]},
        ]
        await broker.clients[0].send('{"id":"3045","mode":"price","price":625.5,"traded_at":1767587399}')
        await until(lambda: bool(sink.ticks))
        assert sink.ticks == [(b"NSE_SBIN_LTP", b'{"ltp":625.5,"timestamp":1767587400000,"ltt":1767587399000}')]
        pool.release("a", [Want(SBIN, Mode.LTP)])
        await until(lambda: broker.requests[-1] == {"op": "unsubscribe", "ids": ["3045"]})


async def test_frames_that_are_no_ticks_are_counted() -> None:
    async with connected() as (broker, _, pool, sink):
        for text in ("nonsense", "[1]", "{}", '{"id":"3045","mode":"price","price":"much"}', '{"id":"9","price":1}'):
            await broker.clients[0].send(text)
        adapter = pool.adapter
        assert isinstance(adapter, TemplateAdapter)
        await until(lambda: adapter.dropped == 5)
        assert sink.ticks == []


async def test_a_refused_token_stops_the_feed_until_a_new_one_is_there() -> None:
    async with connected("bad") as (broker, _, pool, _sink):
        await until(lambda: pool.state is FeedState.REFUSED)
        pool.acquire("a", [Want(SBIN, Mode.QUOTE)])
        pool.new_token(FeedConfig("template", ws_url=pool.adapter.config.ws_url, access_token="good"))
        await until(lambda: broker.requests[-1]["op"] == "subscribe")
        assert pool.state is FeedState.CONNECTED


async def test_a_broken_stream_is_resubscribed() -> None:
    async with connected() as (broker, _, pool, _sink):
        pool.acquire("a", [Want(SBIN, Mode.QUOTE)])
        await until(lambda: broker.requests[-1]["op"] == "subscribe")
        broker.clients[0].transport.abort()
        await until(lambda: pool.state is FeedState.DISCONNECTED)
        await until(lambda: len(broker.clients) == 2 and broker.requests[-1]["op"] == "subscribe")
        await until(lambda: pool.state is FeedState.CONNECTED)
