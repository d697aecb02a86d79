"""Every call of the service against the rules of rest-api: answers, the smart table, many orders in one call, modes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from gateway.trade.core.smart import MATCHED
from tests.unit.trade.desk import CALL, FUT, RECORDS
from tests.unit.trade.floor import SBIN, Floor

pytestmark = pytest.mark.asyncio

SMART = [
    # action, quantity, target, current -> the order (side and quantity), or none
    ("BUY", 7, 0, 0, ("BUY", 7)),
    ("BUY", 1, 100, -100, ("BUY", 200)),
    ("BUY", 1, 100, 100, None),
    ("BUY", 1, 200, 100, ("BUY", 100)),
    ("SELL", 7, 0, 0, ("SELL", 7)),
    ("SELL", 1, -100, 100, ("SELL", 200)),
    ("SELL", 1, -100, -100, None),
    ("SELL", 1, -200, -100, ("SELL", 100)),
    ("BUY", 0, 0, 50, ("SELL", 50)),
]


def smart_fields(**fields: Any) -> dict[str, Any]:
    return {"symbol": "SBIN", "exchange": "NSE", **fields}


async def have(floor: Floor, quantity: int) -> None:
    """A position of `quantity`."""
    if quantity:
        await floor.order("BUY" if quantity > 0 else "SELL", abs(quantity))


@pytest.mark.parametrize(("action", "quantity", "target", "current", "order"), SMART)
async def test_smart_orders(action: str, quantity: int, target: int, current: int, order: Any) -> None:
    floor = Floor()
    floor.tick(100)
    await have(floor, current)
    before = len((await floor.ask("tradebook"))["data"])
    fields = smart_fields(action=action, quantity=quantity, position_size=target)
    answer = await floor.ask("placesmartorder", **fields)
    trades = (await floor.ask("tradebook"))["data"][before:]
    if order is None:
        assert answer["message"] == MATCHED
        assert not trades
        told = [event for tx in floor.writer.committed for event in tx.events if event.event_type != "order_update"]
        assert orjson.loads(told[-1].payload) == {"symbol": "SBIN", "status": "info", "message": MATCHED}
        assert told[-1].event_type == "order_notification"
    else:
        assert [(row["action"], row["quantity"]) for row in trades] == [order]
        assert trades[0]["orderid"] == answer["orderid"]
    expected = target or (current + quantity * (1 if action == "BUY" else -1) if not current else 0)
    position = await floor.ask("openposition", symbol="SBIN", exchange="NSE", product="MIS")
    assert position["quantity"] == str(expected)


async def test_a_basket_places_buys_first_and_tells_each_outcome() -> None:
    floor = Floor()
    floor.tick(100)
    rows: list[dict[str, Any]] = [
        {"symbol": "SBIN", "exchange": "NSE", "action": "SELL", "quantity": 1},
        {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": "2"},
        {"symbol": "NOPE", "exchange": "NSE", "action": "BUY", "quantity": 1},
        {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": "many"},
    ]
    results = (await floor.ask("basketorder", orders=rows))["results"]
    assert [(row["symbol"], row["status"]) for row in results] == [
        ("SBIN", "success"), ("NOPE", "error"), ("SBIN", "success"), ("SBIN", "error"),
    ]  # fmt: skip
    assert "quantity is 'many'" in results[-1]["message"]
    assert [row["action"] for row in (await floor.ask("tradebook"))["data"]] == ["BUY", "SELL"]
    assert len(floor.writer.committed) == 1, "one transaction"


@pytest.mark.parametrize("orders", [None, [], "x", [1], [{}] * 101])
async def test_a_basket_that_is_none_is_refused(orders: Any) -> None:
    assert (await Floor().refused("basketorder", orders=orders)).field == "orders"


async def test_a_split_order() -> None:
    floor = Floor()
    floor.tick(100)
    answer = await floor.ask("splitorder", **smart_fields(action="BUY", quantity=25, splitsize=10))
    assert (answer["split_size"], answer["total_quantity"]) == (10, 25)
    assert [(row["order_num"], row["quantity"], row["status"]) for row in answer["results"]] == [
        (1, 10, "success"), (2, 10, "success"), (3, 5, "success"),
    ]  # fmt: skip


async def test_cancel_all_and_close_all() -> None:
    floor = Floor()
    floor.tick(100)
    floor.tick(50, FUT)
    await floor.order("BUY", 3)
    await floor.order("SELL", 75, FUT, product="NRML")
    resting = [await floor.order("BUY", 1, pricetype="LIMIT", price=price) for price in (90, 91)]
    answer = await floor.ask("cancelallorder")
    assert (answer["canceled_orders"], answer["failed_cancellations"]) == (resting, [])
    assert "2 positions" in (await floor.ask("closeposition"))["message"]
    book = (await floor.ask("positionbook"))["data"]
    assert {row["symbol"]: row["quantity"] for row in book} == {"SBIN": 0, FUT: 0}
    assert (await floor.ask("closeposition"))["message"] == "no position is open"
    floor.check()


async def test_positions_without_a_price_stay_and_are_named() -> None:
    floor = Floor()
    floor.tick(100)
    await floor.order("BUY", 3)
    floor.prices.old.add(SBIN)
    answer = await floor.ask("closeposition")
    assert [row["symbol"] for row in answer["failed"]] == ["SBIN"]
    assert (await floor.ask("openposition", symbol="SBIN", exchange="NSE", product="MIS"))["quantity"] == "3"


async def test_books() -> None:
    floor = Floor()
    floor.tick(100, bid=99.95, ask=100)
    await floor.order("BUY", 10)
    floor.tick("101.5")
    (row,) = (await floor.ask("positionbook"))["data"]
    assert (row["quantity"], row["average_price"], row["ltp"], row["pnl"]) == (10, 100, Decimal("101.5"), 15)
    funds = (await floor.ask("funds"))["data"]
    assert (funds["availablecash"], funds["utiliseddebits"], funds["m2munrealized"]) == (
        "9999800.00",
        "200.00",
        "15.00",
    )
    book = (await floor.ask("orderbook"))["data"]
    assert book["statistics"] == {
        "total_buy_orders": 1, "total_sell_orders": 0, "total_completed_orders": 1, "total_open_orders": 0,
        "total_rejected_orders": 0,
    }  # fmt: skip
    assert book["orders"][0]["timestamp"] == "15-Jul-2026 12:00:00"
    assert (await floor.ask("holdings"))["data"]["holdings"] == []


async def test_margin_adds_up_what_each_order_would_block() -> None:
    floor = Floor()
    floor.tick(100)
    floor.tick(20, CALL)
    rows = [
        {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 10, "product": "MIS"},
        {"symbol": CALL, "exchange": "NFO", "action": "BUY", "quantity": 75, "product": "NRML", "pricetype": "LIMIT",
         "price": "10"},
    ]  # fmt: skip
    data = (await floor.ask("margin", positions=rows))["data"]
    assert data["total_margin_required"] == Decimal(950)
    assert (await floor.refused("margin", positions=[{}])).field == "symbol"


async def test_quotes_and_depth() -> None:
    floor = Floor()
    levels = [{"price": 99.95, "quantity": 5, "orders": 1}]
    floor.tick(100, bid=99.95, ask=100.05, open=98, high=101, low=97, close=99, volume=7, oi=1)
    expected = {
        "open": 98, "high": 101, "low": 97, "ltp": 100.0, "ask": 100.05, "bid": 99.95, "prev_close": 99, "volume": 7,
        "oi": 1,
    }  # fmt: skip
    assert (await floor.ask("quotes", symbol="sbin", exchange="nse"))["data"] == expected
    floor.matcher.ingest(b"NSE_SBIN_DEPTH", orjson.dumps({"ltp": 100, "depth": {"buy": levels, "sell": []}}), floor.ns)
    depth = (await floor.ask("depth", symbol="SBIN", exchange="NSE"))["data"]
    assert depth["bids"][0] == {"price": 99.95, "quantity": 5}
    assert len(depth["bids"]) == len(depth["asks"]) == 5
    assert depth["bid"] == 99.95
    answer = await floor.ask("multiquotes", symbols=[{"symbol": "SBIN", "exchange": "NSE"}, {"symbol": "X"}])
    good, bad = answer["results"]
    assert good["data"]["ltp"] == 100
    assert "exchange" in bad["error"]
    assert (await floor.refused("quotes", symbol="NOPE", exchange="NSE")).status == 404
    assert (await floor.refused("quotes", symbol="INFY", exchange="BSE")).status == 503


async def test_mode_is_per_user_and_kept() -> None:
    floor = Floor()
    floor.tick(100)
    assert (await floor.ask("analyzer"))["data"] == {"mode": "analyze", "analyze_mode": True, "total_logs": 0}
    answer = await floor.ask("analyzer/toggle", mode=False)
    assert answer["data"]["mode"] == "live"
    assert "mode" not in answer
    assert floor.writer.committed[-1].user.mode == "live"
    assert (await floor.refused("placeorder", **smart_fields(action="BUY", quantity=1))).status == 403
    assert (await floor.ask("placeorder", "ravi", **smart_fields(action="BUY", quantity=1)))["mode"] == "analyze"
    await floor.ask("analyzer/toggle", mode="true")
    assert await floor.order("BUY", 1)
    assert (await floor.refused("analyzer/toggle", mode="maybe")).field == "mode"


async def test_every_order_call_is_told_without_the_key() -> None:
    floor = Floor()
    floor.tick(100)
    await floor.ask("placeorder", **smart_fields(action="BUY", quantity=1, apikey="secret", APIKEY="secret"))
    await floor.refused("placeorder", **smart_fields(action="HOLD", quantity=1))
    first, second = (tx.events for tx in floor.writer.committed)
    assert [event.event_type for event in first] == ["analyzer_update", "order_update", "order_update"]
    told = orjson.loads(first[0].payload)
    assert told["request"]["api_type"] == "placeorder"
    assert told["response"]["status"] == "success"
    assert b"secret" not in first[0].payload
    refused = orjson.loads(second[0].payload)
    assert (len(second), refused["response"]["status"]) == (1, "error")
    assert (await floor.ask("analyzer"))["data"]["total_logs"] == 2


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"symbol": "NOPE"}, "symbol"), ({"symbol": 5}, "symbol"), ({"exchange": "NYSE"}, "exchange"),
        ({"action": "HOLD"}, "action"), ({"quantity": "x"}, "quantity"), ({"quantity": -1}, "quantity"),
        ({"quantity": 1.5}, "quantity"), ({"quantity": float("nan")}, "quantity"), ({"quantity": 10**30}, "quantity"),
        ({"quantity": None}, "quantity"), ({"quantity": True}, "quantity"), ({"pricetype": "LIMIT"}, "price"),
        ({"pricetype": "SL", "price": 100}, "trigger_price"), ({"pricetype": "LIMIT", "price": "1e400"}, "price"),
        ({"pricetype": "LIMIT", "price": 99.99}, "price"), ({"product": "NRML"}, "product"),
        ({"product": []}, "product"),
        ({"symbol": FUT, "exchange": "NFO", "quantity": 74, "product": "NRML"}, "quantity"),
    ],
)  # fmt: skip
async def test_bad_input_names_its_field_and_changes_nothing(fields: dict[str, Any], named: str) -> None:
    floor = Floor()
    for symbol in RECORDS:
        floor.tick(100, symbol)
    error = await floor.refused("placeorder", **{**smart_fields(action="BUY", quantity=1), **fields})
    assert (error.status, error.field) == (400, named)
    assert error.message.startswith(f"{named} is ")
    assert not any(row for tx in floor.writer.committed for row in tx.rows)
    floor.check()
