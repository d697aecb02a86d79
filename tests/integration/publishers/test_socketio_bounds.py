"""Clients that misbehave: one that does not read, one that says nothing, one that shows its key in the address."""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import time

import aiohttp
import pytest
from sqlalchemy import Engine

from gateway.store.keys import KeyStore
from publishers import sio_engine, socketio
from tests.integration.publishers.site import Listener, Site, eventually

Stored = tuple[Engine, KeyStore]


async def _handshake(web: aiohttp.ClientWebSocketResponse, key: str) -> None:
    assert (await web.receive_str()).startswith("0{")
    await web.send_str("40" + json.dumps({"apikey": key}))
    assert (await web.receive_str()).startswith("40{")


@pytest.mark.asyncio
async def test_a_client_that_does_not_read_is_cut_and_delays_nobody(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sio_engine, "STALLED_S", 2.0)
    monkeypatch.setattr(sio_engine, "QUEUE_MAX", 300)
    key = stored[1].add("asha")
    async with Site(*stored) as site, aiohttp.ClientSession() as http:
        address = site.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        async with http.ws_connect(address) as web:
            await _handshake(web, key)
            transport = web._writer.transport
            assert isinstance(transport, asyncio.Transport)
            transport.pause_reading()
            good = await Listener(site.url, ["websocket"]).connect(apikey=key)
            assert len(site.publisher.clients) == 2
            sent = 0
            until = time.monotonic() + 30
            while len(site.publisher.clients) > 1 and time.monotonic() < until:
                await site.tell("asha", range(sent, sent + 50), text="x" * 8_000)
                sent += 50
                await eventually(lambda: len(good.got) >= sent)  # noqa: B023
            assert len(site.publisher.clients) == 1
            # its TCP connection ends, too, though it never takes what is buffered
            await eventually(lambda: len(site._server.server_state.connections) == 1, 15)
            assert good.numbers == list(range(sent))
            await good.close()


@pytest.mark.asyncio
async def test_a_client_that_never_identifies_itself_is_let_go(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socketio, "IDENTIFY_S", 0.5)
    monkeypatch.setattr(socketio, "SWEEP_S", 0.1)
    async with Site(*stored) as site, aiohttp.ClientSession() as http:
        address = site.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        async with http.ws_connect(address) as web:
            assert (await web.receive_str()).startswith("0{")
            message = await web.receive(timeout=10)
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING)
        assert not site.publisher.clients


@pytest.mark.asyncio
async def test_too_many_connections(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socketio, "CONNECTIONS_MAX", 2)
    async with Site(*stored) as site, aiohttp.ClientSession() as http:
        statuses = []
        for _ in range(3):
            async with http.get(site.url + "/socket.io/?EIO=4&transport=polling") as answer:
                statuses.append(answer.status)
        assert statuses == [200, 200, 503]


@pytest.mark.asyncio
async def test_no_key_in_logs(stored: Stored, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = stored[1].add("asha")
    async with Site(*stored) as site, aiohttp.ClientSession() as http:
        for name in ("apikey", "API_KEY"):
            address = site.url.replace("http", "ws") + f"/socket.io/?EIO=4&transport=websocket&{name}={key}"
            async with http.ws_connect(address) as web:
                await web.receive_str()
                await web.send_str("40")
                assert (await web.receive_str()).startswith("40{")
        client = await Listener(site.url, ["polling"]).connect(apikey=key)
        await client.close()
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("socketio.client",))]
    assert any("[accepted]" in line for line in ours)
    assert not [line for line in ours if key in line]


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.asyncio
async def test_events_arrive_at_once(stored: Stored, transport: str) -> None:
    key = stored[1].add("asha")
    async with Site(*stored) as site:
        client = await Listener(site.url, [transport]).connect(apikey=key)
        sent = []
        for number in range(100):
            await site.tell("asha", [number])
            sent.append(time.time())
            await asyncio.sleep(0.01)
        await eventually(lambda: len(client.got) == 100)
        late = sorted(at - before for at, before in zip(client.at, sent, strict=True))
        print(f"{transport}: median {statistics.median(late) * 1e3:.1f} ms, p95 {late[94] * 1e3:.1f} ms")
        assert late[94] < 0.1
        await client.close()
