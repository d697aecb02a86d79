"""What orders block, what moves to positions, what is released; funds that add up."""

# a Decimal equals an int, and a word of an enumeration its text
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gateway.trade.core.margin import LeverageModel
from gateway.trade.core.orders import Status
from tests.unit.trade.desk import CALL, FUT, Desk, dec


@pytest.mark.parametrize(
    ("action", "quantity", "symbol", "product", "margin"),
    [("BUY", 10, "SBIN", "MIS", 200), ("SELL", 10, "SBIN", "MIS", 200), ("BUY", 10, "SBIN", "CNC", 1000),
     ("BUY", 75, FUT, "NRML", 750), ("SELL", 75, FUT, "MIS", 750), ("BUY", 75, CALL, "NRML", 7500),
     ("SELL", 75, CALL, "NRML", 7500), ("BUY", 10, "BTCUSDFUT", "NRML", "0.1"), ("BUY", 10, "SOLUSDT", "NRML", 1000),
     ("BUY", 10, "SOLUSDT", "MIS", 200), ("SELL", 1, "USDINR29JUL26FUT", "NRML", 10)],
)  # fmt: skip
def test_the_default_leverages(action: str, quantity: int, symbol: str, product: str, margin: object) -> None:
    desk = Desk()
    desk.place(action, quantity, symbol, product=product, pricetype="LIMIT", price=100)
    assert desk.used == dec(margin)


def test_leverages_come_from_outside() -> None:
    desk = Desk(model=LeverageModel(equity_mis=Decimal(3), option_sell=Decimal("0.5")))
    desk.place("BUY", 1, pricetype="LIMIT", price=100)
    assert desk.used == dec("33.333333333333333333")
    desk.place("SELL", 75, CALL, product="NRML", pricetype="LIMIT", price=1)
    assert desk.used == dec("183.333333333333333333")
    with pytest.raises(ValueError, match=r"leverage futures is 0; it must be a Decimal above 0"):
        LeverageModel(futures=Decimal(0))


@pytest.mark.parametrize(
    ("fields", "margin"),
    [({"ltp": 100}, 20), ({"pricetype": "LIMIT", "price": 90}, 18),
     ({"pricetype": "SL", "price": 112, "trigger_price": 110}, 22),
     ({"pricetype": "SL-M", "trigger_price": 115}, 23)],
)  # fmt: skip
def test_the_price_basis(fields: dict[str, Any], margin: int) -> None:
    desk = Desk()
    desk.place("BUY", 1, **{"ltp": 100, **fields})
    assert desk.used == margin


def test_the_exact_margin_moves_to_the_position_whatever_the_fill_price() -> None:
    desk = Desk()
    orderid = desk.place("BUY", 10, pricetype="LIMIT", price=100).orderid
    assert desk.order(orderid).margin == 200
    desk.fill(orderid, 95)
    assert (desk.order(orderid).margin, desk.position().net.margin, desk.used) == (0, 200, 200)
    assert desk.position().average_price == 95


def test_release_is_in_proportion_and_comes_to_exactly_zero() -> None:
    desk = Desk(model=LeverageModel(equity_mis=Decimal(7)))
    for quantity, price in ((1, "100.05"), (2, "33.3"), (4, "77.75")):
        desk.place("BUY", quantity, ltp=price)
    for quantity in (3, 3, 1):
        desk.place("SELL", quantity, ltp="70.05")
    assert (desk.used, desk.position().net.margin) == (0, 0)
    assert desk.realised == dec("70.05") * 7 - dec("100.05") - dec("66.6") - 311
    assert desk.available == 10_000_000 + desk.realised


def test_what_only_reduces_blocks_nothing_and_a_reversal_blocks_the_excess() -> None:
    desk = Desk()
    desk.place("BUY", 10, ltp=100)
    only = desk.place("SELL", 10, pricetype="LIMIT", price=110).orderid
    assert (desk.order(only).margin, desk.used) == (0, 200)
    desk.cancel(only)
    more = desk.place("SELL", 16, pricetype="LIMIT", price=110).orderid
    assert (desk.order(more).margin, desk.order(more).blocked_quantity) == (132, 6)
    desk.fill(more, 110)
    assert (desk.position().quantity, desk.position().net.margin, desk.used, desk.realised) == (-6, 132, 132, 100)


def test_pending_orders_count_against_what_can_be_reduced() -> None:
    desk = Desk()
    desk.place("BUY", 10, ltp=100)
    first = desk.place("SELL", 6, pricetype="LIMIT", price=110).orderid
    second = desk.place("SELL", 6, pricetype="LIMIT", price=120).orderid
    assert (desk.order(first).margin, desk.order(second).margin) == (0, 48)
    desk.fill(second, 120)
    # the position was long 10: the second only reduced it after all
    assert (desk.position().quantity, desk.used) == (4, 80)
    # and the first opens 2, which it pays for at its fill
    desk.fill(first, 110)
    assert (desk.position().quantity, desk.used) == (-2, 44)


def test_an_order_that_opens_less_than_it_blocked_for_moves_its_share_only() -> None:
    desk = Desk()
    desk.place("BUY", 10, ltp=100)
    more = desk.place("SELL", 16, pricetype="LIMIT", price=110).orderid
    desk.place("BUY", 4, ltp=100)
    assert (desk.order(more).margin, desk.used) == (132, 132 + 280)
    desk.fill(more, 110)
    assert (desk.position().quantity, desk.position().net.margin, desk.used) == (-2, 44, 44)


def test_an_order_that_cannot_pay_for_what_it_opens_now_is_rejected_at_its_fill() -> None:
    desk = Desk(capital=Decimal(500))
    desk.place("BUY", 10, ltp=100)
    resting = desk.place("SELL", 10, pricetype="LIMIT", price=110).orderid
    desk.place("SELL", 10, ltp=100)
    desk.place("BUY", 24, "INFY", ltp=100)
    changes = desk.fill(resting, 110)
    assert desk.order(resting).status is Status.REJECTED
    assert desk.order(resting).reason == "insufficient funds: 220.00 INR of margin needed, 20.00 INR available"
    assert [event.what for event in changes.events] == ["rejected"]
    assert desk.position().quantity == 0


def test_one_order_never_touches_what_another_blocked() -> None:
    desk = Desk()
    other = desk.place("BUY", 5, pricetype="LIMIT", price=90).orderid
    desk.place("BUY", 10, ltp=100)
    desk.place("SELL", 20, ltp=100)
    assert desk.order(other).margin == 90
    desk.modify(desk.place("SELL", 1, pricetype="LIMIT", price=120).orderid, 2, pricetype="LIMIT", price=130)
    assert desk.order(other).margin == 90


def test_a_modify_blocks_the_difference_and_a_cancel_releases_all() -> None:
    desk = Desk()
    orderid = desk.place("BUY", 10, pricetype="LIMIT", price=100).orderid
    desk.modify(orderid, 20, pricetype="LIMIT", price=110)
    assert (desk.used, desk.order(orderid).margin) == (440, 440)
    desk.modify(orderid, 5, pricetype="SL", price=60, trigger_price=50)
    assert (desk.used, desk.order(orderid).status) == (50, Status.TRIGGER_PENDING)
    desk.cancel(orderid)
    assert (desk.used, desk.available) == (0, 10_000_000)


def test_a_loss_is_taken_whatever_the_margin_was() -> None:
    desk = Desk(capital=Decimal(300))
    desk.place("BUY", 10, ltp=100)
    desk.place("SELL", 10, ltp=50)
    assert (desk.available, desk.used, desk.realised) == (-200, 0, -500)
    desk.account.ledger.funds.blocked(Decimal(-1))


def test_cnc_sells_of_holdings_block_nothing_and_nothing_is_sold_twice() -> None:
    desk = Desk()
    desk.place("BUY", 10, ltp=100, product="CNC")
    desk.at(2026, 7, 16, 9, 30)
    desk.account.settle(desk.now)
    assert desk.used == 1000
    desk.place("SELL", 4, ltp=120, product="CNC")
    assert (desk.position(product="CNC").quantity, desk.used) == (-4, 1000)
    assert desk.place("SELL", 7, ltp=120, product="CNC").refusal is not None
    desk.place("SELL", 6, product="CNC", pricetype="LIMIT", price=130)
    assert desk.used == 1000
    # buying back what was sold today reduces the position
    desk.place("BUY", 4, ltp=110, product="CNC")
    assert (desk.position(product="CNC").quantity, desk.used, desk.realised) == (0, 1000, 40)
