"""The JavaScript client: both transports, own events only, refusals, no key in what it is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from gateway.store.keys import KeyStore
from tests.integration.node import node
from tests.integration.publishers.site import Site, eventually

both = pytest.mark.parametrize("transports", [["polling"], ["websocket"]], ids=["polling", "websocket"])


@both
@pytest.mark.asyncio
async def test_own_events_in_order(stored: tuple[Engine, KeyStore], node_script: Path, transports: list[str]) -> None:
    asha, ravi = stored[1].add("asha"), stored[1].add("ravi")
    async with (
        Site(*stored) as site,
        node(node_script, site.url, transports=transports, auth={"apikey": asha}) as first,
        # an old client has its key in the query
        node(node_script, site.url, transports=transports, query={"apikey": ravi}) as second,
    ):
        await eventually(lambda: bool(first.of("connect") and second.of("connect")))
        assert first.of("connect") == transports
        for start in range(0, 100, 20):
            await site.tell("asha", range(start, start + 20), price=101.05)
        await site.tell("ravi", [7])
        await eventually(lambda: len(first.of("order_update")) >= 100 and bool(second.of("order_update")))
        told = first.of("order_update")
        assert [one["n"] for one in told] == list(range(100))
        assert told[0] == {"n": 0, "price": 101.05, "event_id": told[0]["event_id"]}
        assert [one["n"] for one in second.of("order_update")] == [7]
        async with node(
            node_script, site.url, transports=transports, auth={"apikey": asha, "last_event_id": told[89]["event_id"]}
        ) as again:
            await eventually(lambda: len(again.of("order_update")) >= 10)
            assert [one["n"] for one in again.of("order_update")] == list(range(90, 100))
        everything = json.dumps([first.lines, second.lines])
        assert asha not in everything
        assert ravi not in everything


@both
@pytest.mark.asyncio
async def test_wrong_keys(stored: tuple[Engine, KeyStore], node_script: Path, transports: list[str]) -> None:
    async with (
        Site(*stored) as site,
        node(node_script, site.url, transports=transports, auth={"apikey": "wrong" * 5}) as client,
    ):
        await eventually(lambda: client.of("refused") == ["the API key is not valid"])
        assert not client.of("connect")
