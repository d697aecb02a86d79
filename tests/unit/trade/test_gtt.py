"""GTT: checks, margin, firing, failing."""

# a Decimal equals an int, and a word of an enumeration its text
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from typing import Any

import pytest

from gateway.trade.core.changes import Changes
from gateway.trade.core.errors import InvalidError, OrderError, TerminalOrderError, UnknownOrderError
from gateway.trade.core.gtt import Gtt, LegStatus, Side
from tests.unit.trade.desk import FUT, RECORDS, Desk, ask_gtt, dec, quote

SINGLE: dict[str, Any] = {"trigger_type": "SINGLE", "triggerprice_sl": 90, "price": 89}
OCO: dict[str, Any] = {
    "trigger_type": "oco", "triggerprice_sl": 90, "triggerprice_tg": 110, "stoploss": 89, "target": 111,
}  # fmt: skip


def fire(desk: Desk, trigger_id: str, side: Side, ltp: object) -> tuple[Gtt, Changes]:
    symbol = desk.account.ledger.gtts[trigger_id].request.symbol
    changes = desk.account.fire_gtt(trigger_id, side, RECORDS[symbol], quote(ltp), desk.now)
    return desk.account.ledger.gtts[trigger_id], changes


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({**SINGLE, "triggerprice_sl": 0}, "triggerprice_sl is 0; it must be above 0 for GTT SINGLE"),
        ({**SINGLE, "triggerprice_tg": 110},
         "triggerprice_tg is 110; it must be 0 where triggerprice_sl is given: a GTT SINGLE has one trigger"),
        ({**SINGLE, "triggerprice_sl": "90.01"},
         "triggerprice_sl is 90.01; it must be a multiple of the tick size 0.05 of SBIN"),
        ({**SINGLE, "price": 0}, "price is 0; it must be above 0 for GTT SINGLE with LIMIT orders"),
        ({**SINGLE, "pricetype": "SL"}, "pricetype is 'SL'; it must be LIMIT or MARKET for a GTT"),
        ({**SINGLE, "product": "NRML"}, "product is 'NRML'; it must be MIS or CNC on NSE (NRML is for derivatives)"),
        ({**SINGLE, "quantity": "1.5"}, "quantity is 1.5; it must be a whole number on NSE (fractions are for CRYPTO)"),
        ({**SINGLE, "trigger_type": "TWO"}, "trigger_type is 'TWO'; it must be one of SINGLE, OCO"),
        ({**OCO, "triggerprice_tg": 0}, "triggerprice_tg is 0; it must be above 0 for GTT OCO"),
        ({**OCO, "triggerprice_sl": 110}, "triggerprice_sl is 110; it must be below triggerprice_tg (110)"),
        ({**OCO, "stoploss": 0}, "stoploss is 0; it must be above 0 for GTT OCO with LIMIT orders"),
        ({**OCO, "target": "111.03"}, "target is 111.03; it must be a multiple of the tick size 0.05 of SBIN"),
    ],
)  # fmt: skip
def test_checks(fields: dict[str, Any], message: str) -> None:
    desk = Desk()
    with pytest.raises(InvalidError) as caught:
        desk.gtt("BUY", fields.pop("quantity", 1), **fields)
    assert str(caught.value) == message
    assert not desk.account.ledger.gtts


@pytest.mark.parametrize(
    ("oco", "fields", "margin"),
    [("max", SINGLE, 890), ("max", {**SINGLE, "pricetype": "MARKET"}, 900), ("max", OCO, 1110), ("sum", OCO, 2000),
     ("sum", {**OCO, "pricetype": "MARKET"}, 2000), ("max", {**OCO, "product": "MIS"}, 222)],
)  # fmt: skip
def test_margin(oco: Any, fields: dict[str, Any], margin: int) -> None:
    desk = Desk(oco=oco)
    changes = desk.gtt("BUY", 10, **fields)
    assert [event.what for event in changes.events] == ["placed"]
    assert desk.used == margin
    desk.account.cancel_gtt(changes.orderid, desk.now)
    assert desk.used == 0


def test_legs_that_only_reduce_block_nothing() -> None:
    desk = Desk(oco="sum")
    desk.place("BUY", 10, ltp=100)
    assert desk.used == 200
    desk.gtt("SELL", 10, product="MIS", **OCO)
    assert desk.used == 200
    desk.gtt("SELL", 12, product="MIS", **OCO)
    assert desk.used == 200 + dec("35.6") + dec("44.4")


def test_firing_places_the_order_once_and_cancels_the_sibling() -> None:
    desk = Desk()
    desk.place("BUY", 10, ltp=100)
    trigger_id = desk.gtt("SELL", 10, product="MIS", **OCO).orderid
    gtt, changes = fire(desk, trigger_id, Side.TG, 110)
    assert (gtt.status, gtt.margin) == ("triggered", 0)
    assert [(leg.side, leg.status) for leg in gtt.legs] == [("sl", "cancelled"), ("tg", "fired")]
    child = desk.order(gtt.legs[1].orderid)
    assert (child.status, child.source, child.request.price, child.margin) == ("open", "gtt", 111, 0)
    assert [event.what for event in changes.events] == ["placed", "fired"]
    for side in Side:
        assert not fire(desk, trigger_id, side, 120)[1].rows


def test_a_fired_child_may_fill_on_the_same_tick() -> None:
    desk = Desk()
    trigger_id = desk.gtt("BUY", 10, **{**SINGLE, "price": 91}).orderid
    gtt, changes = fire(desk, trigger_id, Side.SL, 90)
    child = desk.order(gtt.legs[0].orderid)
    assert (child.status, child.average_price) == ("complete", 90)
    assert [event.what for event in changes.events] == ["placed", "filled", "fired"]
    assert desk.used == 910


def test_a_market_child_fills_on_its_tick() -> None:
    desk = Desk()
    trigger_id = desk.gtt("BUY", 75, FUT, product="NRML", pricetype="MARKET", triggerprice_tg=25_000).orderid
    gtt, _ = fire(desk, trigger_id, Side.TG, 25_001)
    assert desk.order(gtt.legs[0].orderid).average_price == 25_001


def test_the_child_may_use_what_the_gtt_had_blocked() -> None:
    desk = Desk(capital=dec(900))
    trigger_id = desk.gtt("BUY", 10, **{**SINGLE, "price": 90}).orderid
    assert desk.available == 0
    gtt, _ = fire(desk, trigger_id, Side.SL, 89)
    assert (gtt.status, desk.used) == ("triggered", 900)


def test_a_refused_child_fails_the_leg_with_its_reason() -> None:
    desk = Desk()
    trigger_id = desk.gtt("BUY", 10, **{**OCO, "product": "MIS"}).orderid
    desk.at(2026, 7, 15, 16, 0)
    gtt, changes = fire(desk, trigger_id, Side.SL, 90)
    assert (gtt.status, gtt.legs[0].status, gtt.legs[1].status) == ("failed", "failed", "cancelled")
    assert gtt.legs[0].reason.startswith("product is 'MIS'; it must be another product at Wed 16:00 IST")
    assert [event.what for event in changes.events] == ["failed"]
    assert desk.used == 0
    assert not fire(desk, trigger_id, Side.TG, 120)[1].rows


def test_an_uncovered_cnc_sell_fails_with_the_rejected_order() -> None:
    desk = Desk()
    trigger_id = desk.gtt("SELL", 10, **SINGLE).orderid
    gtt, changes = fire(desk, trigger_id, Side.SL, 90)
    assert (gtt.status, changes.refusal) == ("failed", None)
    assert desk.order(gtt.legs[0].orderid).status == "rejected"
    assert gtt.legs[0].reason == desk.order(gtt.legs[0].orderid).reason != ""


def test_modify_and_errors() -> None:
    desk = Desk()
    trigger_id = desk.gtt("BUY", 10, **SINGLE).orderid
    desk.account.modify_gtt(trigger_id, ask_gtt("BUY", 20, **OCO), RECORDS["SBIN"], desk.now)
    assert (desk.used, len(desk.account.ledger.gtts[trigger_id].legs)) == (2220, 2)
    before = desk.account.ledger.gtts[trigger_id]
    other, dear = ask_gtt("SELL", 20, **OCO), ask_gtt("BUY", 10_000_000, **OCO)
    for bad in (other, dear, ask_gtt("BUY", 1, **{**OCO, "target": 0})):
        with pytest.raises(OrderError):
            desk.account.modify_gtt(trigger_id, bad, RECORDS["SBIN"], desk.now)
    assert desk.account.ledger.gtts[trigger_id] == before
    desk.account.cancel_gtt(trigger_id, desk.now)
    with pytest.raises(TerminalOrderError, match=r"^GTT o1 is cancelled already$"):
        desk.account.cancel_gtt(trigger_id, desk.now)
    with pytest.raises(UnknownOrderError, match=r"^trigger_id 'x' is none of your GTTs$"):
        desk.account.cancel_gtt("x", desk.now)


def test_a_gtt_lasts_a_year() -> None:
    desk = Desk()
    desk.at(2028, 2, 29, 12, 0)
    trigger_id = desk.gtt("BUY", 10, **SINGLE).orderid
    desk.at(2029, 2, 28, 11, 59)
    assert not desk.account.expire(desk.now, {}).rows
    desk.at(2029, 2, 28, 12, 0)
    desk.account.expire(desk.now, {})
    gtt = desk.account.ledger.gtts[trigger_id]
    assert (gtt.status, gtt.legs[0].status, desk.used) == ("expired", LegStatus.EXPIRED, 0)


@pytest.mark.parametrize(
    ("side", "ltp", "fires"),
    [
        (Side.SL, 90, True),
        (Side.SL, "90.05", False),
        (Side.SL, 0, False),
        (Side.TG, 110, True),
        (Side.TG, "109.95", False),
    ],
)
def test_sl_fires_on_a_fall_and_tg_on_a_rise_inclusive(side: Side, ltp: object, fires: bool) -> None:
    for action in ("BUY", "SELL"):
        desk = Desk()
        desk.place("BUY", 1, ltp=100, product="CNC")
        gtt = desk.account.ledger.gtts[desk.gtt(action, 1, **OCO).orderid]
        leg = gtt.leg(side)
        assert leg is not None
        assert leg.reached(dec(ltp)) is fires
