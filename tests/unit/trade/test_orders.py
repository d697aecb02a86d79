"""Requests, their normalisation, the state machine."""

# a Decimal equals an int, and a word of an enumeration its text
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.trade.core.errors import InvalidError
from gateway.trade.core.inputs import parse_order
from gateway.trade.core.orders import NEXT, Kind, Status, Terms, expiry_of
from tests.unit.trade.desk import RECORDS, Desk, instrument

FIELDS: dict[str, object] = {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 1}


@pytest.mark.parametrize(
    ("pricetype", "price", "trigger"),
    [("MARKET", 0, 0), ("LIMIT", 10, 0), ("SL", 10, 11), ("SL-M", 0, 11)],
)
def test_fields_that_do_not_belong_to_a_price_type_are_dropped(pricetype: str, price: int, trigger: int) -> None:
    request = parse_order({**FIELDS, "pricetype": pricetype, "price": 10, "trigger_price": 11})
    assert (request.price, request.trigger_price) == (price, trigger)


def test_words_in_any_case_and_numbers_as_text() -> None:
    request = parse_order({"symbol": " sbin ", "exchange": "nse", "action": "sell", "quantity": "7", "product": "cnc",
                           "pricetype": "limit", "price": "10.05", "disclosed_quantity": ""})  # fmt: skip
    assert (request.symbol, request.exchange, request.action, request.product) == ("SBIN", "NSE", "SELL", "CNC")
    assert (request.quantity, request.price, request.pricetype) == (7, Decimal("10.05"), "LIMIT")


def test_a_float_means_what_it_shows() -> None:
    assert parse_order({**FIELDS, "pricetype": "LIMIT", "price": 0.1}).price == Decimal("0.1")


NUMBER = "a number from 0 to below 1000000000 with at most 8 decimals"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("quantity", "NaN", f"quantity is 'NaN'; it must be {NUMBER}"),
        ("quantity", float("nan"), f"quantity is nan; it must be {NUMBER}"),
        ("quantity", float("inf"), f"quantity is inf; it must be {NUMBER}"),
        ("quantity", -5, f"quantity is -5; it must be {NUMBER}"),
        ("quantity", 0, "quantity is 0; it must be a number above 0 and below 1000000000"),
        ("quantity", None, "quantity is missing; it must be a number above 0 and below 1000000000"),
        ("quantity", True, f"quantity is True; it must be {NUMBER}"),
        ("quantity", [1], f"quantity is [1]; it must be {NUMBER}"),
        ("quantity", 10**9, f"quantity is 1000000000; it must be {NUMBER}"),
        ("quantity", 10**4000, f"quantity is a number of more than 40 digits; it must be {NUMBER}"),
        ("quantity", "1e99999999", f"quantity is '1e99999999'; it must be {NUMBER}"),
        ("quantity", "0.000000001", f"quantity is '0.000000001'; it must be {NUMBER}"),
        ("quantity", "1_000", f"quantity is '1_000'; it must be {NUMBER}"),
        ("quantity", "٣", f"quantity is '٣'; it must be {NUMBER}"),
        ("price", "ten", f"price is 'ten'; it must be {NUMBER}"),
        ("price", -1, f"price is -1; it must be {NUMBER}"),
        ("trigger_price", "-inf", f"trigger_price is '-inf'; it must be {NUMBER}"),
        ("action", "HOLD", "action is 'HOLD'; it must be one of BUY, SELL"),
        ("action", None, "action is missing; it must be one of BUY, SELL"),
        ("action", 5, "action is 5; it must be one of BUY, SELL"),
        ("pricetype", "STOP", "pricetype is 'STOP'; it must be one of MARKET, LIMIT, SL, SL-M"),
        ("product", "BO", "product is 'BO'; it must be one of MIS, CNC, NRML"),
        ("symbol", "", "symbol is missing; it must be a text of 1 to 64 printable characters"),
        ("symbol", {"a": 1}, "symbol is {'a': 1}; it must be a text of 1 to 64 printable characters"),
        ("exchange", "N\x00SE", "exchange is 'N\\x00SE'; it must be a text of 1 to 64 printable characters"),
    ],
)
def test_each_wrong_field_has_its_message(field: str, value: object, message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_order({**FIELDS, field: value})
    assert (str(caught.value), caught.value.field, caught.value.status) == (message, field, 400)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "price", "trigger_price", "product", "pricetype", "strategy"]), _JSON))
def test_whatever_comes_is_a_request_or_an_invalid_error(fields: dict[str, object]) -> None:
    try:
        request = parse_order({**FIELDS, **fields})
    except InvalidError:
        return
    assert 0 < request.quantity < 10**9
    assert request.price.is_finite()


@pytest.mark.parametrize(("old", "new"), [(old, new) for old in Status for new in Status])
def test_the_state_machine(old: Status, new: Status) -> None:
    desk = Desk()
    order = replace(desk.order(desk.place("BUY", 1, pricetype="LIMIT", price=10).orderid), status=old)
    allowed = old.resting
    assert (new in NEXT[old]) == allowed
    if not allowed:
        with pytest.raises(ValueError, match=rf"from {old} to {new}"):
            order.advanced(new, order.placed_at)


def test_an_order_that_ends_blocks_nothing() -> None:
    desk = Desk()
    order = desk.order(desk.place("BUY", 1, pricetype="LIMIT", price=10).orderid)
    assert order.margin == 2
    assert order.advanced(Status.CANCELLED, order.placed_at).margin == 0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("EQ", Kind.EQUITY), ("SPOT", Kind.EQUITY), ("FUT", Kind.FUTURE), ("PERPFUT", Kind.FUTURE), ("CE", Kind.OPTION),
     ("PE", Kind.OPTION), ("MOVE", Kind.OPTION), ("SYNPE", Kind.OPTION)],
)  # fmt: skip
def test_kinds_of_instruments(kind: str, expected: Kind) -> None:
    assert Terms.of(instrument("CRYPTO", "X", instrumenttype=kind)).kind is expected


def test_terms_of_a_future() -> None:
    assert Terms.of(RECORDS["NIFTY28JUL26FUT"]) == Terms(Kind.FUTURE, Decimal(1), date(2026, 7, 28))
    assert expiry_of("") is None
