"""What a price does to an order, at entry and while it rests."""

# a Decimal equals an int, and a word of an enumeration its text
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from typing import Any

import pytest

from gateway.trade.core.judge import Quote, Verdict, judge, judge_order
from gateway.trade.core.orders import Status
from tests.unit.trade.desk import Desk, ask_for, dec, quote

FULL = quote(100, bid="99.95", ask="100.05")
L, S = {"pricetype": "LIMIT"}, {"pricetype": "SL"}
M = {"pricetype": "SL-M"}


@pytest.mark.parametrize(
    ("action", "fields", "price", "entry", "fills"),
    [
        ("BUY", {}, FULL, True, "100.05"), ("SELL", {}, FULL, True, "99.95"), ("BUY", {}, quote(100), True, 100),
        ("BUY", {}, quote(100, bid=99), True, 100), ("SELL", {}, quote(100, ask=101), True, 100),
        # LIMIT: judged by ltp; resting at the limit, at entry at the far side and never worse than the limit
        ("BUY", {**L, "price": 100}, FULL, False, 100), ("BUY", {**L, "price": 101}, FULL, False, 101),
        ("BUY", {**L, "price": 101}, FULL, True, "100.05"), ("BUY", {**L, "price": 100}, FULL, True, 100),
        ("BUY", {**L, "price": "99.95"}, FULL, True, None), ("SELL", {**L, "price": 100}, FULL, False, 100),
        ("SELL", {**L, "price": 99}, FULL, False, 99), ("SELL", {**L, "price": 99}, FULL, True, "99.95"),
        ("SELL", {**L, "price": "100.05"}, FULL, True, None), ("BUY", {**L, "price": 101}, quote(100), True, 100),
        # SL: the trigger, then the limit, at ltp
        ("BUY", {**S, "price": 102, "trigger_price": 100}, FULL, False, 100),
        ("BUY", {**S, "price": 102, "trigger_price": "100.05"}, FULL, False, None),
        ("BUY", {**S, "price": 99, "trigger_price": 98}, FULL, False, "open"),
        ("BUY", {**S, "price": 102, "trigger_price": 100}, FULL, True, 100),
        ("SELL", {**S, "price": 98, "trigger_price": 100}, FULL, False, 100),
        ("SELL", {**S, "price": 98, "trigger_price": "99.95"}, FULL, False, None),
        ("SELL", {**S, "price": 101, "trigger_price": 102}, FULL, False, "open"),
        # SL-M: the trigger, at the far side
        ("BUY", {**M, "trigger_price": 100}, FULL, False, "100.05"),
        ("BUY", {**M, "trigger_price": 100}, quote(100), False, 100),
        ("BUY", {**M, "trigger_price": 101}, FULL, False, None),
        ("SELL", {**M, "trigger_price": 100}, FULL, True, "99.95"),
        ("SELL", {**M, "trigger_price": 99}, FULL, False, None),
        # nothing fills on a price that is stale or none
        ("BUY", {}, quote(100, low=90, high=99), True, None), ("BUY", {}, quote(100, low=101, high=110), True, None),
        ("BUY", {**L, "price": 200}, quote(0), False, None), ("BUY", {**L, "price": 200}, quote(-5), False, None),
        ("BUY", {}, quote(100, low=100, high=100), True, 100), ("BUY", {}, quote(100, low=90), True, 100),
    ],
)  # fmt: skip
def test_verdicts(action: str, fields: dict[str, Any], price: Quote, entry: bool, fills: object) -> None:
    request = ask_for(action, 1, **fields)
    expected = None if fills is None else Verdict(None) if fills == "open" else Verdict(dec(fills))
    assert judge(request, price, entry=entry) == expected


def test_a_spent_trigger_is_not_looked_at_again() -> None:
    desk = Desk()
    orderid = desk.place("BUY", 1, ltp=100, pricetype="SL", price=95, trigger_price=90).orderid
    order = desk.order(orderid)
    assert (order.status, order.triggered, order.margin) == (Status.OPEN, True, 18)
    # below the trigger now, and within the limit: it fills as the LIMIT that it is
    assert judge_order(order, quote(85)) == Verdict(dec(95))
    desk.modify(orderid, 1, ltp=100, pricetype="SL", price=96, trigger_price=120)
    assert desk.order(orderid).status is Status.OPEN
    assert desk.order(orderid).margin == dec("19.2")
    desk.fill(orderid, 96)
    assert judge_order(desk.order(orderid), quote(1)) is None


def test_orders_are_judged_at_entry_and_at_modify() -> None:
    desk = Desk()
    changes = desk.place("BUY", 1, ltp=100, pricetype="LIMIT", price=101)
    assert [event.what for event in changes.events] == ["placed", "filled"]
    assert desk.order(changes.orderid).average_price == 100
    resting = desk.place("BUY", 1, ltp=100, pricetype="LIMIT", price=99).orderid
    changes = desk.modify(resting, 1, ltp=100, pricetype="LIMIT", price=100)
    assert [event.what for event in changes.events] == ["modified", "filled"]
    stop = desk.place("BUY", 1, ltp=100, pricetype="SL-M", trigger_price=99).orderid
    assert desk.order(stop).status is Status.COMPLETE
    at_market = desk.place("SELL", 1, pricetype="LIMIT", price=200).orderid
    desk.modify(at_market, 1, ltp=100, pricetype="MARKET")
    assert desk.order(at_market).average_price == 100


def test_life_of_an_sl() -> None:
    desk = Desk()
    orderid = desk.place("BUY", 1, ltp=100, pricetype="SL", price=111, trigger_price=110).orderid
    assert desk.order(orderid).status is Status.TRIGGER_PENDING
    changes = desk.account.trigger(orderid, desk.now)
    assert [event.what for event in changes.events] == ["triggered"]
    assert not desk.account.trigger(orderid, desk.now).rows
    desk.fill(orderid, 111)
    assert desk.order(orderid).status is Status.COMPLETE
    for again in (desk.fill(orderid, 111), desk.account.reject(orderid, "late", desk.now), desk.fill("nil", 1)):
        assert (again.rows, again.events) == ({}, [])
    with pytest.raises(ValueError, match=r"fill price 0 is not above 0"):
        desk.fill(orderid, 0)


def test_reject_releases() -> None:
    desk = Desk()
    orderid = desk.place("BUY", 1, pricetype="LIMIT", price=100).orderid
    desk.account.reject(orderid, "said the exchange", desk.now)
    assert (desk.order(orderid).status, desk.order(orderid).reason, desk.used) == ("rejected", "said the exchange", 0)
