"""Clients of Socket.IO over both transports: who gets what, who is refused, what comes again."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from pydantic import SecretStr
from socketio.exceptions import ConnectionError as NotConnectedError
from sqlalchemy import Engine

from gateway.store.keys import KeyStore
from tests.integration.publishers.site import FakeSettings, Listener, RefusedError, Site, commit, eventually
from tests.redis_server import Redis

Stored = tuple[Engine, KeyStore]
both = pytest.mark.parametrize("transports", [("polling",), ("websocket",)], ids=["polling", "websocket"])


@both
@pytest.mark.asyncio
async def test_users_get_their_own_events_in_order(stored: Stored, transports: tuple[str, ...]) -> None:
    asha, ravi = stored[1].add("asha"), stored[1].add("ravi")
    async with Site(*stored) as site:
        first = await Listener(site.url, transports).connect(apikey=asha)
        second = await Listener(site.url, transports).connect(api_key=ravi)
        assert first.client.transport() == transports[0]
        for start in range(0, 200, 50):
            await site.tell("asha", range(start, start + 50))
        await site.tell("ravi", [1000])
        await eventually(lambda: len(first.got) >= 200 and len(second.got) >= 1)
        assert first.numbers == list(range(200))
        assert first.ids == sorted(set(first.ids))
        assert second.numbers == [1000]
        await first.close()
        await second.close()


@both
@pytest.mark.asyncio
async def test_wrong_keys_are_refused_and_throttled(stored: Stored, transports: tuple[str, ...]) -> None:
    key = stored[1].add("asha")
    async with Site(*stored, FakeSettings(ws_auth_failures_per_minute=3)) as site:
        with pytest.raises(RefusedError, match="auth needs apikey"):
            await Listener(site.url, transports).connect()
        for _ in range(3):
            with pytest.raises(RefusedError, match="not valid"):
                await Listener(site.url, transports).connect(apikey="wrong-" + "x" * 20)
        with pytest.raises(RefusedError, match="too many"):
            await Listener(site.url, transports).connect(apikey=key)
        with pytest.raises(RefusedError, match="last_event_id is 'soon'"):
            await Listener(site.url, transports).connect(apikey=key, last_event_id="soon")
        assert not site.publisher.clients


@both
@pytest.mark.asyncio
async def test_a_client_that_comes_back_gets_what_it_missed_once(stored: Stored, transports: tuple[str, ...]) -> None:
    engine, store = stored
    key = store.add("asha")
    async with Site(engine, store) as site:
        first = await Listener(site.url, transports).connect(apikey=key)
        await site.tell("asha", range(10))
        await eventually(lambda: len(first.got) == 10)
        await first.close()
        # more than one batch is missed, and more is committed while it is replayed
        for start in range(10, 2_310, 100):
            await site.tell("asha", range(start, start + 100))
            await site.tell("ravi", [0])
        again = Listener(site.url, transports)
        connecting = asyncio.create_task(again.connect(apikey=key, last_event_id=first.ids[-1]))
        for start in range(2_310, 2_710, 10):
            await site.tell("asha", range(start, start + 10))
            await asyncio.sleep(0.005)
        await connecting
        await eventually(lambda: len(again.got) >= 2_700, 60)
        await site.tell("asha", [2_710])
        await eventually(lambda: 2_710 in again.numbers[-5:])
        assert again.numbers == list(range(10, 2_711))
        await eventually(lambda: not site.publisher._manager.held)
        await again.close()


@pytest.mark.asyncio
async def test_what_the_relay_has_not_told_yet_comes_once(stored: Stored) -> None:
    engine, store = stored
    key = store.add("asha")
    async with Site(engine, store, relay=False) as site:
        before = site.outbox.read(0, 100)[-1].id
        commit(engine, "asha", range(20))
        client = await Listener(site.url, ["websocket"]).connect(apikey=key, last_event_id=str(before + 5))
        await eventually(lambda: len(client.got) == 15)
        # now the relay tells all of them, and one more
        commit(engine, "asha", [20])
        events = site.outbox.read(before, 100)
        assert await site.publisher.publish(events) == 21
        await eventually(lambda: len(client.got) >= 16)
        await asyncio.sleep(0.2)
        assert client.numbers == list(range(5, 21))
        await client.close()


@pytest.mark.asyncio
async def test_a_revoked_key_ends_its_connections_only(stored: Stored) -> None:
    engine, store = stored
    asha, ravi = store.add("asha"), store.add("ravi")
    async with Site(engine, store) as site:
        first = await Listener(site.url, ["websocket"]).connect(apikey=asha)
        second = await Listener(site.url, ["polling"]).connect(apikey=ravi)
        store.revoke(store.list()[0].id)
        await eventually(lambda: not first.client.connected, 15)
        await site.tell("asha", [1])
        await site.tell("ravi", [2])
        await eventually(lambda: second.numbers == [2])
        assert first.numbers == []
        with pytest.raises(RefusedError):
            await Listener(site.url, ["websocket"]).connect(apikey=asha)
        await second.close()


@pytest.mark.asyncio
async def test_public_installations_broadcast(stored: Stored) -> None:
    async with Site(*stored, FakeSettings(socketio_public=True)) as site:
        client = await Listener(site.url, ["websocket"]).connect()
        await site.tell("asha", [1])
        await site.tell("ravi", [2])
        await eventually(lambda: client.numbers == [1, 2])
        await client.close()


@pytest.mark.asyncio
async def test_origins_and_the_application_beside_it(stored: Stored) -> None:
    path = "/socket.io/?EIO=4&transport=polling"
    async with Site(*stored) as site, httpx.AsyncClient(base_url=site.url) as http:
        assert (await http.get("/hello")).json() == "hello"
        for origin, fine in (
            (site.url, True), ("http://localhost:3000", True), ("https://evil.example", False), ("null", False),
        ):  # fmt: skip
            answer = await http.get(path, headers={"Origin": origin})
            assert (answer.status_code == 200) is fine, origin
            assert (answer.headers.get("access-control-allow-origin") == origin) is fine, origin
    async with (
        Site(*stored, FakeSettings(cors_allowed_origins=("https://app.example",))) as site,
        httpx.AsyncClient(base_url=site.url) as http,
    ):
        for origin, status in (("https://app.example", 200), ("http://localhost:3000", 400), (site.url, 200)):
            assert (await http.get(path, headers={"Origin": origin})).status_code == status, origin


@pytest.mark.asyncio
async def test_only_the_transports_of_the_settings(stored: Stored) -> None:
    key = stored[1].add("asha")
    async with Site(*stored, FakeSettings(socketio_transports=("websocket",))) as site:
        with pytest.raises(NotConnectedError):
            await Listener(site.url, ["polling"]).connect(apikey=key)
        await (await Listener(site.url, ["websocket"]).connect(apikey=key)).close()


@pytest.mark.asyncio
async def test_two_servers_share_rooms_through_redis(stored: Stored, redis: Redis) -> None:
    key, other = stored[1].add("asha"), stored[1].add("ravi")
    settings = FakeSettings(socketio_redis_url=SecretStr(redis.url))
    async with Site(*stored, settings) as one, Site(*stored, settings, relay=False) as two:
        near = await Listener(one.url, ["websocket"]).connect(apikey=key)
        far = await Listener(two.url, ["polling"]).connect(apikey=key)
        stranger = await Listener(two.url, ["websocket"]).connect(apikey=other)
        # the second server may still be subscribing at Redis
        await asyncio.sleep(0.5)
        await one.tell("asha", range(50))
        await eventually(lambda: len(near.got) >= 50 and len(far.got) >= 50)
        assert near.numbers == far.numbers == list(range(50))
        late = await Listener(two.url, ["websocket"]).connect(apikey=key, last_event_id=near.ids[19])
        await one.tell("asha", [50])
        await eventually(lambda: len(late.got) >= 31)
        assert late.numbers == list(range(20, 51))
        assert stranger.got == []
        for client in (near, far, stranger, late):
            await client.close()


@pytest.mark.asyncio
async def test_events_wait_while_redis_is_away(stored: Stored, redis: Redis) -> None:
    key = stored[1].add("asha")
    settings = FakeSettings(socketio_redis_url=SecretStr(redis.url))
    async with Site(*stored, settings) as one, Site(*stored, settings, relay=False) as two:
        near = await Listener(one.url, ["websocket"]).connect(apikey=key)
        far = await Listener(two.url, ["websocket"]).connect(apikey=key)
        await asyncio.sleep(0.5)
        await one.tell("asha", range(10))
        await eventually(lambda: len(near.got) == 10 and len(far.got) == 10)
        redis.stop()
        await one.tell("asha", range(10, 40))
        await asyncio.sleep(1)
        assert far.numbers == list(range(10))
        await asyncio.to_thread(redis.start)
        await one.tell("asha", range(40, 50))
        await eventually(lambda: len(near.got) >= 50 and len(far.got) >= 50, 40)
        assert near.numbers == far.numbers == list(range(50))
        await near.close()
        await far.close()
