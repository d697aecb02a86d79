"""Smart orders, baskets, splits, close-all, cancel-all."""

# a Decimal equals an int, and a word of an enumeration its text
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.trade.core.basket import MOST, basket_order, cancel_all, close_all, split, split_requests
from gateway.trade.core.errors import InvalidError
from gateway.trade.core.orders import Action
from gateway.trade.core.smart import plan, smart_request
from tests.unit.trade.desk import FUT, Desk, ask_for, dec


@pytest.mark.parametrize(
    ("action", "quantity", "target", "current", "expected"),
    [
        ("BUY", 7, 0, 0, ("BUY", 7)), ("BUY", 1, 100, -100, ("BUY", 200)), ("BUY", 1, 100, 100, None),
        ("BUY", 1, 200, 100, ("BUY", 100)), ("SELL", 7, 0, 0, ("SELL", 7)), ("SELL", 1, -100, 100, ("SELL", 200)),
        ("SELL", 1, -100, -100, None), ("SELL", 1, -200, -100, ("SELL", 100)),
        # in general: the difference, whatever the action says
        ("BUY", 1, 0, 50, ("SELL", 50)), ("SELL", 1, 0, -50, ("BUY", 50)), ("BUY", 1, -10, 0, ("SELL", 10)),
        ("SELL", 0, 10, 4, ("BUY", 6)),
    ],
)  # fmt: skip
def test_the_table_of_smart_orders(
    action: str, quantity: int, target: int, current: int, expected: tuple[str, int] | None
) -> None:
    assert plan(Action(action), dec(quantity), dec(target), dec(current)) == expected


def test_a_smart_request_is_the_request_with_its_plan() -> None:
    request = ask_for("BUY", 5, pricetype="LIMIT", price=10)
    found = smart_request(request, dec(-3), dec(4))
    assert found is not None
    assert (found.action, found.quantity, found.price) == ("SELL", 7, 10)
    assert smart_request(request, dec(4), dec(4)) is None


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "1e9", "-1e30"])
def test_smart_orders_with_bad_numbers(bad: str) -> None:
    with pytest.raises(InvalidError, match=r"^position_size is "):
        plan(Action.BUY, dec(1), Decimal(bad), dec(0))
    with pytest.raises(InvalidError, match=r"^quantity is "):
        plan(Action.BUY, Decimal(bad), dec(0), dec(0))
    with pytest.raises(InvalidError, match=r"^splitsize is "):
        split(dec(10), Decimal(bad))
    with pytest.raises(InvalidError, match=r"^quantity is "):
        split(Decimal(bad), dec(10))


def test_a_basket_places_buys_first_and_keeps_the_rest_of_the_order() -> None:
    basket = [ask_for(action, n + 1) for n, action in enumerate(["SELL", "BUY", "SELL", "BUY"])]
    assert basket_order(basket) == [1, 3, 0, 2]
    with pytest.raises(InvalidError, match=r"^orders is 'a list of 0'; it must be a list of 1 to 100 orders$"):
        basket_order([])
    with pytest.raises(InvalidError):
        basket_order([ask_for("BUY", 1)] * (MOST + 1))


@pytest.mark.parametrize(
    ("quantity", "size", "expected"),
    [(100, 30, [30, 30, 30, 10]), (90, 30, [30, 30, 30]), (10, 30, [10]), ("0.5", "0.2", ["0.2", "0.2", "0.1"])],
)
def test_split(quantity: object, size: object, expected: list[object]) -> None:
    assert split(dec(quantity), dec(size)) == [dec(part) for part in expected]


def test_a_split_is_bounded() -> None:
    with pytest.raises(InvalidError, match=r"splits 999999999 into 1 to 100 orders \(it makes 99999999900000000\)"):
        split(dec(999_999_999), dec("0.00000001"))
    parts = split_requests(ask_for("BUY", 5, pricetype="LIMIT", price=10), dec(2))
    assert [(part.quantity, part.price) for part in parts] == [(2, 10), (2, 10), (1, 10)]


def test_close_all_and_cancel_all() -> None:
    desk = Desk()
    desk.place("BUY", 5, ltp=100)
    desk.place("SELL", 75, FUT, ltp=100, product="NRML")
    desk.place("BUY", 5, "INFY", ltp=100)
    desk.place("SELL", 5, "INFY", ltp=100)
    done, waiting = desk.place("SELL", 5, pricetype="LIMIT", price=120).orderid, "o1"
    desk.later(seconds=1)
    stop = desk.place("SELL", 5, pricetype="SL-M", trigger_price=80).orderid
    ledger = desk.account.ledger
    assert cancel_all(ledger.orders.values()) == [done, stop]
    closing = close_all(ledger.positions.values(), "s")
    assert [(r.action, r.quantity, r.symbol, r.product, r.pricetype) for r in closing] == [
        ("BUY", 75, FUT, "NRML", "MARKET"), ("SELL", 5, "SBIN", "MIS", "MARKET"),
    ]  # fmt: skip
    assert ledger.orders[waiting].status == "complete"
    for orderid in cancel_all(ledger.orders.values()):
        desk.cancel(orderid)
    for request in closing:
        desk.place(str(request.action), request.quantity, request.symbol, ltp=90, product=str(request.product))
    assert (desk.used, close_all(ledger.positions.values())) == (0, [])
