"""Whatever a client sends: it gets sound answers, and nobody else gets anything but good ticks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.stream.session import Rules
from tests.fuzz.mutate import COUNT, Mutator
from tests.fuzz.seeds import REQUESTS
from tests.fuzz.test_bus import strict
from tests.unit.stream.fakes import Client, World, settle

CODES = {
    "AUTHENTICATION_ERROR", "NOT_AUTHENTICATED", "INVALID_JSON", "INVALID_ACTION", "INVALID_MODE", "INVALID_PARAMETERS",
    "BROKER_ERROR", "BROKER_INIT_ERROR", "BROKER_CONNECTION_ERROR", "MAX_CAPACITY_REACHED", "RATE_LIMITED",
}  # fmt: skip
KINDS = {
    "auth", "subscribe", "unsubscribe", "subscribe_orders", "unsubscribe_orders", "pong", "broker_info",
    "supported_brokers", "error", "market_data", "feed_status", None,
}  # fmt: skip
#: requests of one client before the next takes its place
LIFE = 40


def check(client: Client) -> int:
    """Every frame sent is sound; returns how many there were."""
    sent, client.listener.sent = client.listener.sent, []
    for text in sent:
        body = strict(text)
        assert body.get("type") in KINDS, body
        if body.get("status") == "error" and "code" in body:
            assert body["code"] in CODES, body
    return len(sent)


async def fuzz(world: World, count: int) -> dict[str, int]:
    watcher = await world.reader()
    watcher.subscribe("WATCHED", conflate_ms=0)
    watcher.listener.take()
    mutator = Mutator(REQUESTS)
    tally = {"answers": 0, "ready": 0, "ended": 0}
    client = world.connect()
    for number in range(count):
        if number % LIFE == 0:
            await settle()
            tally["answers"] += check(client)
            tally["ready"] += client.connection.ready
            tally["ended"] += client.connection.closing is not None
            client.connection.on_lost()
            if number // LIFE % 2:
                client = await world.reader("key-ravi", format=("flat", "nested")[number // LIFE % 4 // 2])
            else:
                client = world.connect()
        client.connection.on_message(mutator.next())
        if number % 8 == 0:
            await settle()
            tally["answers"] += check(client)
            world.tick("NSE_SBIN_DEPTH", b'{"ltp":%d,"depth":{"buy":[{"price":1}]}}' % number)
            world.tick("NSE_WATCHED_LTP", b'{"ltp":%d}' % number)
            (seen,) = watcher.listener.take()
            assert (seen["symbol"], seen["data"]) == ("WATCHED", {"ltp": number})
    client.connection.on_lost()
    return tally


@pytest.mark.timeout(3_600)
def test_client_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        rules = Rules(default_window_ms=0, requests_per_second=1e9, burst=1_000_000)
        world = World(monkeypatch, rules=rules, tries=10**9)
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
        tally = await fuzz(world, COUNT)
        await settle()
        assert not failures
        assert tally["answers"] > COUNT / 2, tally
        assert tally["ready"] > COUNT / LIFE / 4, tally
        assert len(world.hub.connections) == 1, "only the watcher is left"
        assert world.feeds.symbols() == {("WATCHED", "LTP")}, "wants outlived their clients"
        assert world.engine.stats()["readers"] == 1

    asyncio.run(main())
