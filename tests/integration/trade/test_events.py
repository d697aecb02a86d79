"""A trading session of the SDK as Socket.IO clients see it: every event, in order, its owner alone, no keys."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import socketio
from openalgo import api

from tests.integration.node import node
from tests.integration.trade.venue import Venue, venue


class Ear:
    """A python-socketio client that notes everything."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.got: list[tuple[str, Any]] = []
        self.client.on("*", self._note)

    async def _note(self, event: str, data: Any) -> None:
        self.got.append((event, data))

    @property
    def ids(self) -> list[int]:
        """Numbers of the events, in the order they came."""
        return [data["event_id"] for _, data in self.got]


def stored(home: Path, user: str) -> list[int]:
    """Numbers of the user's events in the outbox."""
    with sqlite3.connect(f"file:{home}/gateway.db?mode=ro", uri=True) as database:
        rows = database.execute("SELECT id FROM outbox WHERE user_id = ? ORDER BY id", (user,)).fetchall()
    database.close()
    return [row[0] for row in rows]


def session(running: Venue) -> None:
    """What a trader does in a day."""
    client: Any = api(api_key=running.key, host=running.gateway.api_url)
    order = {"symbol": "SBIN", "exchange": "NSE", "product": "MIS"}
    assert client.placeorder(**order, action="BUY", quantity=10)["status"] == "success"
    resting = client.placeorder(**order, action="BUY", quantity=1, price_type="LIMIT", price=90)["orderid"]
    changed = {"price_type": "LIMIT", "quantity": 2, "price": 91}
    assert client.modifyorder(order_id=resting, action="BUY", **order, **changed)["status"] == "success"
    assert client.cancelorder(order_id=resting)["status"] == "success"
    assert client.placesmartorder(**order, action="BUY", quantity=1, position_size=10)["message"]
    assert client.placeorder(**order, action="BUY", quantity="none")["status"] == "error"
    legs = [{**order, "action": "BUY", "quantity": 1, "pricetype": "MARKET"}] * 3
    assert client.basketorder(orders=legs)["status"] == "success"
    waiting = client.placeorder(**order, action="SELL", quantity=5, price_type="SL-M", trigger_price=95)["orderid"]
    running.tick(94)
    running.trader.filled(waiting)
    assert client.closeposition()["status"] == "success"


@pytest.mark.asyncio
async def test_a_trading_session(tmp_path: Path, node_script: Path) -> None:
    with venue(tmp_path) as running:
        await asyncio.to_thread(running.price, 100)
        url, other = running.gateway.api_url, running.gateway.add_key("stranger")
        seen = await asyncio.to_thread(stored, running.gateway.home, "asha")
        mine, stranger = Ear(), Ear()
        await mine.client.connect(url, auth={"apikey": running.key}, transports=["websocket"])
        await stranger.client.connect(url, auth={"api_key": other}, transports=["polling"])
        async with (
            node(node_script, url, transports=["polling"], auth={"apikey": running.key}) as slow,
            node(node_script, url, transports=["websocket"], auth={"apikey": running.key}) as fast,
        ):
            async with asyncio.timeout(20):
                while not (slow.of("connect") and fast.of("connect")):  # noqa: ASYNC110 - two processes
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(session, running)
            told = [one for one in await asyncio.to_thread(stored, running.gateway.home, "asha") if one not in seen]
            async with asyncio.timeout(20):
                while not all(told[-1] in ids for ids in (mine.ids, _ids(slow), _ids(fast))):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        for ids in (mine.ids, _ids(slow), _ids(fast)):
            # the relay may tell the last of what came before the connection just after it
            assert [one for one in ids if one not in seen] == told
        kinds = {name for name, data in mine.got if data["event_id"] in told}
        assert kinds == {"analyzer_update", "order_update", "order_notification"}
        assert [name for name, _ in stranger.got] in ([], ["password_change"])
        missed = Ear()
        await missed.client.connect(url, auth={"apikey": running.key, "last_event_id": told[3]})
        async with asyncio.timeout(10):
            while len(missed.ids) < len(told) - 4:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert missed.ids == told[4:]
        for one in (mine, stranger, missed):
            await one.client.disconnect()
        everything = repr([mine.got, slow.lines, fast.lines, stranger.got]) + running.gateway.log
        assert running.key not in everything
        assert other not in everything


def _ids(client: Any) -> list[int]:
    return [line["value"]["event_id"] for line in client.lines if isinstance(line["value"], dict)]
