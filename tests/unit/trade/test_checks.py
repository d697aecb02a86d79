"""One case per rule at entry, with the whole message."""

# a Decimal equals an int, and a word of an enumeration its text
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gateway.trade.core.errors import (
    FundsError,
    InvalidError,
    NoPriceError,
    OrderError,
    TerminalOrderError,
    UnknownOrderError,
)
from gateway.trade.core.orders import Status
from tests.unit.trade.desk import FUT, NOON, RECORDS, Desk, ask_for

LIMIT: dict[str, Any] = {"pricetype": "LIMIT", "price": "100"}

RULES: list[tuple[str, str, object, str, dict[str, Any], str, str]] = [
    ("lot", "BUY", 74, FUT, {"product": "NRML", **LIMIT}, "quantity",
     f"quantity is 74; it must be a multiple of the lot size 75 of {FUT}"),
    ("lot, commodity", "BUY", 150, "CRUDEOIL20AUG26FUT", {"product": "NRML", **LIMIT}, "quantity",
     "quantity is 150; it must be a multiple of the lot size 100 of CRUDEOIL20AUG26FUT"),
    ("fraction", "BUY", "1.5", "SBIN", LIMIT, "quantity",
     "quantity is 1.5; it must be a whole number on NSE (fractions are for CRYPTO)"),
    ("fraction, F&O", "BUY", "37.5", FUT, LIMIT, "quantity",
     "quantity is 37.5; it must be a whole number on NFO (fractions are for CRYPTO)"),
    ("disclosed", "BUY", 5, "SBIN", {**LIMIT, "disclosed_quantity": 6}, "disclosed_quantity",
     "disclosed_quantity is 6; it must be from 0 to the quantity 5"),
    ("price missing", "BUY", 1, "SBIN", {"pricetype": "LIMIT"}, "price",
     "price is 0; it must be above 0 for LIMIT orders"),
    ("SL price missing", "BUY", 1, "SBIN", {"pricetype": "SL", "trigger_price": 100}, "price",
     "price is 0; it must be above 0 for SL orders"),
    ("SL trigger missing", "BUY", 1, "SBIN", {"pricetype": "SL", "price": 100}, "trigger_price",
     "trigger_price is 0; it must be above 0 for SL orders"),
    ("SL-M trigger missing", "BUY", 1, "SBIN", {"pricetype": "SL-M"}, "trigger_price",
     "trigger_price is 0; it must be above 0 for SL-M orders"),
    ("price off tick", "BUY", 1, "SBIN", {"pricetype": "LIMIT", "price": "100.03"}, "price",
     "price is 100.03; it must be a multiple of the tick size 0.05 of SBIN"),
    ("trigger off tick", "BUY", 1, "SBIN", {"pricetype": "SL-M", "trigger_price": "100.01"}, "trigger_price",
     "trigger_price is 100.01; it must be a multiple of the tick size 0.05 of SBIN"),
    ("off a fine tick", "BUY", 1, "USDINR29JUL26FUT", {"pricetype": "LIMIT", "price": "83.051"}, "price",
     "price is 83.051; it must be a multiple of the tick size 0.0025 of USDINR29JUL26FUT"),
    ("CNC on F&O", "BUY", 75, FUT, {"product": "CNC", **LIMIT}, "product",
     "product is 'CNC'; it must be MIS or NRML on NFO (CNC is for NSE and BSE)"),
    ("NRML on NSE", "BUY", 1, "SBIN", {"product": "NRML", **LIMIT}, "product",
     "product is 'NRML'; it must be MIS or CNC on NSE (NRML is for derivatives)"),
    ("funds", "BUY", 1_000_000, "SBIN", {"product": "CNC", **LIMIT}, "quantity",
     "insufficient funds: 100000000.00 INR of margin needed, 10000000.00 INR available"),
]  # fmt: skip


@pytest.mark.parametrize(("action", "quantity", "symbol", "fields", "field", "message"), [r[1:] for r in RULES],
                         ids=[r[0] for r in RULES])  # fmt: skip
def test_a_rule_and_its_message(
    action: str, quantity: object, symbol: str, fields: dict[str, Any], field: str, message: str
) -> None:
    desk = Desk()
    with pytest.raises(OrderError) as caught:
        desk.place(action, quantity, symbol, **fields)
    assert (str(caught.value), caught.value.field, caught.value.status) == (message, field, 400)
    assert not desk.account.ledger.orders
    assert (desk.available, desk.used) == (10_000_000, 0)


# a modify cannot change the product, so its rules are not met there
MODIFY = [rule for rule in RULES if rule[5] != "product"]


@pytest.mark.parametrize(("action", "quantity", "symbol", "fields", "field", "message"), [r[1:] for r in MODIFY],
                         ids=[r[0] for r in MODIFY])  # fmt: skip
def test_the_same_rules_hold_for_modify(
    action: str, quantity: object, symbol: str, fields: dict[str, Any], field: str, message: str
) -> None:
    desk = Desk()
    product = fields.get("product", "MIS")
    lot = RECORDS[symbol].lotsize
    orderid = desk.place(action, lot, symbol, pricetype="LIMIT", price=80, product=product).orderid
    before = desk.order(orderid), desk.account.ledger.funds
    with pytest.raises(OrderError) as caught:
        desk.modify(orderid, quantity, **fields)
    assert caught.value.field == field
    assert field == "quantity" or str(caught.value) == message
    assert (desk.order(orderid), desk.account.ledger.funds) == before


def test_unknown_instruments() -> None:
    desk, request = Desk(), ask_for("BUY", 1, **LIMIT)
    with pytest.raises(InvalidError, match=r"^symbol is 'SBIN'; it must be a symbol of the instrument master of NSE$"):
        desk.account.place(request, None, None, NOON)
    with pytest.raises(InvalidError, match=r"^exchange is 'NSE_INDEX'; it must be one of NSE, BSE, NFO, "):
        desk.account.place(replace(request, exchange="NSE_INDEX"), None, None, NOON)
    with pytest.raises(InvalidError, match=r"^symbol is 'SBIN'"):
        desk.account.place(request, RECORDS["INFY"], None, NOON)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1", "1e9", "0", "sNaN"])
def test_a_request_built_without_parsing_is_checked_too(value: str) -> None:
    desk, request = Desk(), ask_for("BUY", 1, **LIMIT)
    for field in ("quantity", "price"):
        changed: dict[str, Any] = {field: Decimal(value)}
        with pytest.raises(InvalidError, match=rf"^{field} is "):
            desk.account.place(replace(request, **changed), RECORDS["SBIN"], None, NOON)


def test_fractions_are_for_crypto_and_lots_are_not() -> None:
    desk = Desk()
    assert desk.place("BUY", "0.5", "SOLUSDT", product="NRML", **LIMIT).orderid
    assert desk.place("BUY", 3, "SBIN", **LIMIT).orderid


def test_an_expired_contract() -> None:
    desk = Desk()
    desk.at(2026, 7, 28, 15, 30)
    with pytest.raises(InvalidError, match=r"it must be a contract that has not expired \(it did on 28-Jul-2026\)"):
        desk.place("BUY", 75, FUT, product="NRML", **LIMIT)
    desk.at(2026, 7, 28, 15, 29)
    assert desk.place("BUY", 75, FUT, product="NRML", **LIMIT).orderid


@pytest.mark.parametrize(
    ("symbol", "hour", "minute", "allowed"),
    [("SBIN", 8, 59, False), ("SBIN", 9, 0, True), ("SBIN", 15, 14, True), ("SBIN", 15, 15, False),
     ("INFY", 15, 15, False), (FUT, 15, 14, True), (FUT, 15, 15, False),
     ("USDINR29JUL26FUT", 16, 44, True), ("USDINR29JUL26FUT", 16, 45, False),
     ("CRUDEOIL20AUG26FUT", 23, 29, True), ("CRUDEOIL20AUG26FUT", 23, 30, False), ("CRUDEOIL20AUG26FUT", 8, 59, False),
     ("BTCUSDFUT", 3, 0, True), ("BTCUSDFUT", 23, 59, True)],
)  # fmt: skip
def test_mis_hours(symbol: str, hour: int, minute: int, allowed: bool) -> None:
    desk, lot = Desk(), RECORDS[symbol].lotsize
    desk.at(2026, 7, 15, hour, minute)
    if allowed:
        assert desk.place("BUY", lot, symbol, **LIMIT).orderid
    else:
        with pytest.raises(
            InvalidError, match=r"^product is 'MIS'; it must be another product at Wed \d\d:\d\d IST, or"
        ):
            desk.place("BUY", lot, symbol, **LIMIT)


def test_mis_on_a_holiday_and_at_a_weekend() -> None:
    desk = Desk()
    for day in ((2026, 12, 25), (2026, 7, 18)):
        desk.at(*day, 12, 0)
        with pytest.raises(InvalidError, match=r"^product is 'MIS'"):
            desk.place("BUY", 1, **LIMIT)
        assert desk.place("BUY", 1, product="CNC", **LIMIT).orderid


def test_mis_that_reduces_is_taken_at_any_time() -> None:
    desk = Desk()
    desk.place("BUY", 100, ltp=100)
    desk.at(2026, 7, 15, 15, 20)
    with pytest.raises(InvalidError, match=r"^product is 'MIS'"):
        desk.place("SELL", 101, ltp=100)
    resting = desk.place("SELL", 60, pricetype="LIMIT", price=110).orderid
    with pytest.raises(InvalidError, match=r"^product is 'MIS'"):
        desk.place("SELL", 41, pricetype="LIMIT", price=110)
    # an order that fills at once comes before what rests
    assert desk.order(desk.place("SELL", 100, ltp=100).orderid).status is Status.COMPLETE
    desk.cancel(resting)


def test_a_cnc_sell_that_is_not_covered_is_recorded_as_rejected() -> None:
    desk = Desk()
    desk.place("BUY", 10, ltp=100, product="CNC")
    desk.place("SELL", 4, product="CNC", pricetype="LIMIT", price=110)
    changes = desk.place("SELL", 7, ltp=100, product="CNC")
    assert changes.refusal is not None
    order = desk.order(changes.refusal.orderid)
    assert (order.status, order.margin, changes.refusal.status) == (Status.REJECTED, 0, 400)
    assert str(changes.refusal) == order.reason == (
        "quantity is 7; it must be at most 6 for a CNC sell (position 10, holdings 0, pending sells 4)"
    )  # fmt: skip
    assert [event.what for event in changes.events] == ["rejected"]
    assert desk.place("SELL", 6, ltp=100, product="CNC").refusal is None


def test_a_modify_to_an_uncovered_cnc_sell_changes_nothing() -> None:
    desk = Desk()
    desk.place("BUY", 10, ltp=100, product="CNC")
    orderid = desk.place("SELL", 4, product="CNC", pricetype="LIMIT", price=110).orderid
    with pytest.raises(InvalidError, match=r"at most 10 for a CNC sell"):
        desk.modify(orderid, 11, pricetype="LIMIT", price=110)
    assert desk.order(orderid).request.quantity == 4
    assert len(desk.account.ledger.orders) == 2
    assert desk.modify(orderid, 10, pricetype="LIMIT", price=110)


def test_a_market_order_without_a_fresh_price_is_recorded_as_rejected() -> None:
    desk = Desk()
    for ltp in (None, 0):
        changes = desk.place("BUY", 1, ltp=ltp)
        assert isinstance(changes.refusal, NoPriceError)
        assert str(changes.refusal) == "no fresh price of SBIN on NSE is known"
        assert desk.order(changes.refusal.orderid).status is Status.REJECTED


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("action", "SELL", "action is 'SELL'; it must be BUY as in the order it modifies"),
     ("product", "CNC", "product is 'CNC'; it must be MIS as in the order it modifies")],
)  # fmt: skip
def test_what_a_modify_cannot_change(field: str, value: str, message: str) -> None:
    desk = Desk()
    orderid = desk.place("BUY", 1, **LIMIT).orderid
    with pytest.raises(InvalidError) as caught:
        desk.modify(orderid, 1, **{**LIMIT, field: value})
    assert str(caught.value) == message


def test_orders_that_are_unknown_or_ended() -> None:
    desk = Desk()
    orderid = desk.place("BUY", 1, ltp=100).orderid
    with pytest.raises(TerminalOrderError, match=r"^order o1 is complete already$") as ended:
        desk.cancel(orderid)
    with pytest.raises(UnknownOrderError, match=r"^orderid 'nil' is none of your orders$") as unknown:
        desk.cancel("nil")
    assert (ended.value.status, unknown.value.status) == (409, 404)
    with pytest.raises(TerminalOrderError):
        desk.modify(orderid, 2, **LIMIT)


def test_funds_count_what_is_blocked_already() -> None:
    desk = Desk(capital=Decimal(1000))
    desk.place("BUY", 40, **LIMIT)
    with pytest.raises(FundsError, match=r"^insufficient funds: 400.00 INR of margin needed, 200.00 INR available$"):
        desk.place("BUY", 20, **LIMIT)
