"""Square-off, expiry, delivery at T+1, reset; each also when it comes late."""

# a Decimal equals an int, and a word of an enumeration its text
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from decimal import Decimal

from gateway.model import Instrument
from gateway.trade.core.audit import check_ledger
from gateway.trade.core.changes import Settlement, Trade
from gateway.trade.core.orders import Key, Product, Status
from tests.unit.trade.desk import CALL, FUT, Desk, dec

SBIN, NIFTY = Instrument("NSE", "SBIN"), Instrument("NFO", FUT)


def test_square_off_closes_mis_and_cancels_its_orders_at_the_exchanges_time() -> None:
    desk = Desk()
    desk.place("BUY", 10, ltp=100)
    desk.place("SELL", 100, "CRUDEOIL20AUG26FUT", ltp=5000)
    resting = desk.place("SELL", 10, pricetype="LIMIT", price=120).orderid
    kept = desk.place("BUY", 10, product="CNC", pricetype="LIMIT", price=90).orderid
    prices = {SBIN: dec(103), Instrument("MCX", "CRUDEOIL20AUG26FUT"): dec(4990)}
    desk.at(2026, 7, 15, 15, 14)
    assert not desk.account.square_off(desk.now, prices).rows
    desk.at(2026, 7, 15, 15, 15)
    changes = desk.account.square_off(desk.now, prices)
    assert (desk.order(resting).status, desk.order(resting).reason) == (Status.CANCELLED, "MIS square-off time")
    assert desk.order(kept).status is Status.OPEN
    closing = desk.order(changes.orderid)
    assert (closing.status, closing.source, closing.average_price) == (Status.COMPLETE, "square off", 103)
    assert (desk.position().quantity, desk.realised) == (0, 30)
    assert desk.position("CRUDEOIL20AUG26FUT").quantity == -100
    desk.at(2026, 7, 15, 23, 30)
    desk.account.square_off(desk.now, prices)
    assert (desk.position("CRUDEOIL20AUG26FUT").quantity, desk.realised, desk.used) == (0, 1030, 900)
    assert check_ledger(desk.account.ledger) == []


def test_a_square_off_that_was_missed_is_caught_up_with_a_fresh_price_only() -> None:
    desk = Desk()
    desk.place("BUY", 10, ltp=100)
    desk.at(2026, 7, 17, 11, 0)
    changes = desk.account.square_off(desk.now, {})
    assert changes.waiting == [Key("NSE", "SBIN", Product.MIS)]
    assert not changes.rows
    desk.account.square_off(desk.now, {SBIN: dec(90)})
    assert (desk.position().quantity, desk.realised, desk.used) == (0, -100, 0)


def test_crypto_mis_is_never_squared_off() -> None:
    desk = Desk()
    desk.place("BUY", 1, "BTCUSDFUT", ltp=100_000)
    desk.later(days=3)
    assert not desk.account.square_off(desk.now, {Instrument("CRYPTO", "BTCUSDFUT"): dec(1)}).rows


def test_expired_contracts_settle_at_the_last_price_and_their_orders_end() -> None:
    desk = Desk()
    desk.place("BUY", 75, FUT, ltp=25_000, product="NRML")
    desk.place("SELL", 75, CALL, ltp=100, product="NRML")
    resting = desk.place("BUY", 75, FUT, product="NRML", pricetype="LIMIT", price=24_000).orderid
    gtt = desk.gtt("SELL", 75, FUT, product="NRML", triggerprice_sl=20_000, price=20_000).orderid
    prices = {NIFTY: dec(25_100), Instrument("NFO", CALL): dec(0)}
    desk.at(2026, 7, 28, 15, 29)
    assert not desk.account.expire(desk.now, prices).rows
    desk.at(2026, 7, 29, 9, 0)
    assert desk.account.expire(desk.now, {}).waiting
    changes = desk.account.expire(desk.now, prices)
    assert (desk.order(resting).status, desk.order(resting).reason) == (Status.CANCELLED, "the contract has expired")
    assert desk.account.ledger.gtts[gtt].status == "expired"
    # the option expired worthless: its seller keeps the premium
    assert (desk.realised, desk.used) == (7500 + 7500, 0)
    assert len([row for row in changes.rows.values() if isinstance(row, Trade)]) == 2
    assert check_ledger(desk.account.ledger) == []


def test_cnc_positions_become_holdings_on_the_next_trading_day() -> None:
    desk = Desk()
    desk.at(2026, 7, 17, 10, 0)
    desk.place("BUY", 3, ltp="100.05", product="CNC")
    desk.place("BUY", 4, ltp="33.35", product="CNC")
    desk.at(2026, 7, 20, 2, 59)
    assert not desk.account.settle(desk.now).rows
    desk.at(2026, 7, 20, 3, 0)
    changes = desk.account.settle(desk.now)
    holding = desk.account.ledger.holdings["NSE", "SBIN"]
    assert (holding.quantity, holding.net.cost, holding.net.margin) == (7, dec("433.55"), dec("433.55"))
    assert (desk.position(product="CNC").quantity, desk.used, desk.realised) == (0, dec("433.55"), 0)
    assert [row.quantity for row in changes.rows.values() if isinstance(row, Settlement)] == [7]
    assert not desk.account.settle(desk.now).rows
    assert holding.unrealised(dec(100)) == dec("266.45")


def test_a_sale_out_of_holdings_is_realised_when_it_is_delivered() -> None:
    desk = Desk()
    desk.place("BUY", 10, ltp=100, product="CNC")
    desk.at(2026, 7, 16, 10, 0)
    desk.account.settle(desk.now)
    desk.place("SELL", 4, ltp=120, product="CNC")
    assert (desk.realised, desk.used) == (0, 1000)
    desk.at(2026, 7, 17, 3, 0)
    desk.account.settle(desk.now)
    holding = desk.account.ledger.holdings["NSE", "SBIN"]
    assert (holding.quantity, holding.realised, desk.realised, desk.used) == (6, 80, 80, 600)
    desk.place("SELL", 6, ltp=90, product="CNC")
    desk.later(days=3)
    desk.account.settle(desk.now)
    assert (desk.used, desk.realised, desk.available) == (0, 20, 10_000_020)
    assert check_ledger(desk.account.ledger) == []


def test_reset_starts_the_books_anew() -> None:
    desk = Desk()
    desk.place("BUY", 10, ltp=100, product="CNC")
    desk.later(days=1)
    desk.account.settle(desk.now)
    desk.place("BUY", 10, ltp=100)
    desk.place("SELL", 10, ltp=50)
    resting = desk.place("BUY", 10, pricetype="LIMIT", price=100).orderid
    gtt = desk.gtt("BUY", 10, triggerprice_sl=80, price=80).orderid
    changes = desk.account.reset(desk.now, Decimal(5000))
    ledger = desk.account.ledger
    assert (desk.available, desk.used, desk.realised, ledger.funds.epoch) == (5000, 0, 0, 1)
    assert not ledger.positions
    assert not ledger.holdings
    assert not ledger.resting
    assert (desk.order(resting).status, ledger.gtts[gtt].status) == ("cancelled", "cancelled")
    assert check_ledger(ledger) == []
    desk.account.undo(changes)
    assert (desk.used, desk.realised, len(ledger.positions)) == (1200 + 800, -500, 2)
    assert check_ledger(ledger) == []
