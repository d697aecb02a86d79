"""Paper trading as a trader sees it: HTTP and WebSocket in front, ticks on the bus behind, a real database below."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.integration.stream.client import ask, next_frame
from tests.integration.trade.venue import RefusedError, Trader, Venue, eventually, venue


def test_a_limit_order_fills_on_the_tick(floor: Venue, trader: Trader) -> None:
    floor.price(100)
    orderid = trader.limit("BUY", 99, 10)
    assert trader.status(orderid) == "open"
    floor.tick(98.5)
    assert trader.filled(orderid)
    (row,) = trader.ask("tradebook")["data"]
    assert (row["average_price"], row["quantity"], row["trade_value"]) == (99, 10, 990)
    floor.tick(100)
    assert trader.ask("positionbook")["data"][0]["quantity"] == 10
    floor.audit()


def test_every_price_type(floor: Venue, trader: Trader) -> None:
    floor.price(100, bid=99.95, ask=100.05)
    assert trader.filled(trader.order("BUY"))
    stop = trader.order("SELL", pricetype="SL-M", trigger_price=98)
    limit = trader.order("SELL", pricetype="SL", price=97, trigger_price=97.5)
    assert (trader.status(stop), trader.status(limit)) == ("trigger pending", "trigger pending")
    floor.tick(98)
    assert trader.filled(stop)
    floor.tick(96)
    eventually(lambda: trader.status(limit) == "open")
    floor.tick(97)
    assert trader.filled(limit)
    prices = [row["average_price"] for row in trader.ask("tradebook")["data"]]
    assert prices == [100.05, 98, 97]
    floor.audit()


def test_order_updates_reach_the_owner_alone(floor: Venue, trader: Trader) -> None:
    floor.price(100)
    stranger = floor.gateway.add_key("stranger")
    with connect(floor.gateway.ws_url) as mine, connect(floor.gateway.ws_url) as other:
        for socket, key in ((mine, trader.key), (other, stranger)):
            assert ask(socket, action="authenticate", api_key=key)["status"] == "success"
            assert ask(socket, action="subscribe_orders")["status"] == "success"
        orderid = trader.limit("BUY", 99)
        floor.tick(99)
        seen = [next_frame(mine, market=False) for _ in range(2)]
        assert [(row["order_status"], row["seq"], row["orderid"]) for row in seen] == [
            ("open", 1, orderid), ("complete", 2, orderid),
        ]  # fmt: skip
        floor.tick(101)
        mark = eventually(lambda: _position(mine))
        assert (mark["symbol"], mark["quantity"], mark["pnl"], mark["seq"]) == ("SBIN", 1, 2, 2)
        with pytest.raises(TimeoutError):
            other.recv(timeout=0.3)
    with connect(floor.gateway.ws_url) as late:
        assert ask(late, action="authenticate", api_key=trader.key)["status"] == "success"
        late.send(json.dumps({"action": "subscribe_orders", "after": 1}))
        frames = [next_frame(late, market=False) for _ in range(2)]
        missed = next(frame for frame in frames if frame["type"] == "order_update")
        assert (missed["seq"], missed["order_status"]) == (2, "complete")
        assert "conn" not in missed


def _position(socket: Any) -> Any:
    frame = next_frame(socket, market=False)
    return frame if frame["type"] == "position_update" and frame["ltp"] == 101 else None


def test_idempotency_outlives_the_process(tmp_path: Any) -> None:
    with venue(tmp_path) as running:
        running.price(100)
        once = {"Idempotency-Key": str(uuid.uuid4())}
        order = {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 1}
        first = running.trader.ask("placeorder", once, **order)
        pid = running.gateway.child_pid("trade")
        running.gateway.kill_child("trade")
        running.gateway.child_pid("trade", other_than=pid)
        again = eventually(lambda: _again(running, once, order))
        assert again == first
        assert len(running.trader.ask("tradebook")["data"]) == 1
        with pytest.raises(RefusedError) as other:
            running.trader.ask("placeorder", once, **{**order, "quantity": 2})
        assert other.value.status == 409


def _again(running: Venue, once: dict[str, str], order: dict[str, Any]) -> Any:
    try:
        return running.trader.ask("placeorder", once, **order)
    except httpx.TransportError as error:
        raise AssertionError from error


BAD: list[tuple[dict[str, Any], str]] = [
    ({"quantity": "ten"}, "quantity"), ({"quantity": 0}, "quantity"), ({"quantity": -5}, "quantity"),
    ({"quantity": 1.5}, "quantity"), ({"quantity": 10**30}, "quantity"), ({"quantity": [1]}, "quantity"),
    ({"action": "HOLD"}, "action"), ({"symbol": "NOPE"}, "symbol"), ({"exchange": "MARS"}, "exchange"),
    ({"pricetype": "LIMIT"}, "price"), ({"pricetype": "LIMIT", "price": -1}, "price"),
    ({"pricetype": "LIMIT", "price": 99.99}, "price"), ({"pricetype": "SL", "price": 99}, "trigger_price"),
    ({"symbol": "NIFTY28JUL26FUT", "exchange": "NFO", "product": "NRML", "quantity": 74}, "quantity"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "named"), BAD)
def test_bad_input_is_named_and_changes_nothing(
    floor: Venue, trader: Trader, fields: dict[str, Any], named: str
) -> None:
    floor.price(100)
    with pytest.raises(RefusedError) as refused:
        trader.ask("placeorder", **{"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 1, **fields})
    assert refused.value.status == 400
    assert refused.value.body["message"].startswith(f"{named} is "), refused.value.body
    assert trader.ask("orderbook")["data"]["orders"] == []
    assert trader.ask("funds")["data"]["availablecash"] == "10000000.00"


def test_nan_and_a_body_of_10_mb(floor: Venue, trader: Trader) -> None:
    url = f"{floor.gateway.api_url}/api/v1/placeorder"
    nan = f'{{"apikey":"{trader.key}","symbol":"SBIN","exchange":"NSE","action":"BUY","quantity":NaN}}'
    assert httpx.post(url, content=nan).status_code == 400
    large = httpx.post(url, json={"apikey": trader.key, "symbol": "S" * (10 << 20)})
    assert large.status_code in (400, 413)
    assert trader.ask("orderbook")["data"]["orders"] == []


def test_an_instrument_nobody_holds_is_subscribed_for_a_question(floor: Venue, trader: Trader) -> None:
    with pytest.raises(RefusedError) as none_yet:
        trader.ask("quotes", symbol="TCS", exchange="NSE")
    assert none_yet.value.status == 503
    floor.price(3000, "TCS")
    assert trader.filled(trader.order("BUY", 1, "TCS"))
