"""What the calendar does to the books: square-off, expiry, delivery at T+1, reset. Each may come late (catch-up)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from gateway.model import Instrument
from gateway.trade.core import fills
from gateway.trade.core.changes import Settlement, What
from gateway.trade.core.funds import Funds
from gateway.trade.core.gtt import GttStatus, LegStatus
from gateway.trade.core.ledger import Ledger
from gateway.trade.core.money import ZERO
from gateway.trade.core.orders import Action, Key, Order, OrderRequest, PriceType, Product, Source, Status, Terms
from gateway.trade.core.positions import FLAT, Holding, Position, net_value

Prices = Mapping[Instrument, Decimal]


def square_off(ledger: Ledger, at: datetime, prices: Prices) -> None:
    """Cancels MIS orders and closes MIS positions whose square-off time has passed since they began.

    `prices` holds fresh LTPs; a position without one waits for the next call.
    """
    calendar = ledger.rules.calendar
    for order in list(ledger.resting.values()):
        due = calendar.next_square_off(order.key.exchange, order.placed_at) if _intraday(order.key) else None
        if due is not None and due <= at:
            fills.release(ledger, order, Status.CANCELLED, What.CANCELLED, "MIS square-off time", at)
    for position in list(ledger.positions.values()):
        if not position.quantity or not _intraday(position.key):
            continue
        due = calendar.next_square_off(position.key.exchange, position.opened_at)
        if due is not None and due <= at:
            _close(ledger, position, prices, at, Source.SQUARE_OFF)


def expire(ledger: Ledger, at: datetime, prices: Prices) -> None:
    """Settles expired contracts at the last price, cancels their orders and GTTs, and ends GTTs past their own term.

    `prices` holds the last known prices, however old; a position without one waits.
    """
    for order in list(ledger.resting.values()):
        if _expired(ledger, order.key, order.terms, at):
            fills.release(ledger, order, Status.CANCELLED, What.CANCELLED, "the contract has expired", at)
    for gtt in list(ledger.gtts.values()):
        key = Key(gtt.request.exchange, gtt.request.symbol, gtt.request.product)
        if gtt.active and (at >= gtt.expires_at or _expired(ledger, key, gtt.terms, at)):
            ledger.block(-gtt.margin)
            ledger.put(gtt.ended(GttStatus.EXPIRED, at, LegStatus.EXPIRED), What.EXPIRED)
    for position in list(ledger.positions.values()):
        if position.quantity and _expired(ledger, position.key, position.terms, at):
            _close(ledger, position, prices, at, Source.EXPIRY)


def settle(ledger: Ledger, at: datetime) -> None:
    """Moves CNC positions into holdings at the start of the trading day after their last trade (T+1)."""
    for position in list(ledger.positions.values()):
        if position.key.product is not Product.CNC or not position.quantity:
            continue
        if ledger.rules.calendar.settlement(position.key.exchange, position.traded_on) <= at:
            _deliver(ledger, position, at)


def reset(ledger: Ledger, at: datetime, capital: Decimal) -> None:
    """Capital and books start anew: orders and GTTs are cancelled, positions and holdings are gone."""
    for order in list(ledger.resting.values()):
        ledger.put(order.advanced(Status.CANCELLED, at, reason="the books were reset"), What.CANCELLED)
    for gtt in list(ledger.gtts.values()):
        if gtt.active:
            ledger.put(gtt.ended(GttStatus.CANCELLED, at, LegStatus.CANCELLED), What.CANCELLED)
    for position in list(ledger.positions.values()):
        ledger.put(replace(position, net=FLAT, realised=ZERO, realised_on_day=ZERO, updated_at=at))
        ledger.drop(position)
    for holding in list(ledger.holdings.values()):
        ledger.put(replace(holding, net=FLAT, realised=ZERO, updated_at=at))
        ledger.drop(holding)
    ledger.put(Funds.fresh(capital, at, ledger.funds.epoch + 1), What.RESET)


def _intraday(key: Key) -> bool:
    return key.product is Product.MIS


def _expired(ledger: Ledger, key: Key, terms: Terms, at: datetime) -> bool:
    return terms.expiry is not None and at >= ledger.rules.calendar.expires(key.exchange, terms.expiry)


def _close(ledger: Ledger, position: Position, prices: Prices, at: datetime, source: Source) -> None:
    """Closes a position by an order of the gateway's own, at the price given."""
    key, price = position.key, prices.get(Instrument(position.key.exchange, position.key.symbol))
    # an option may settle at nothing, but nothing is squared off at nothing
    if price is None or price < 0 or (price == 0 and source is not Source.EXPIRY):
        ledger.changes.waiting.append(key)
        return
    action = Action.SELL if position.quantity > 0 else Action.BUY
    request = OrderRequest(key.symbol, key.exchange, action, abs(position.quantity), PriceType.MARKET, key.product)
    order = Order(ledger.new_id(), request, position.terms, Status.OPEN, at, at, reason=str(source), source=source)
    ledger.changes.orderids.append(order.orderid)
    fills.fill(ledger, order, price, at)


def _deliver(ledger: Ledger, position: Position, at: datetime) -> None:
    """Nets a CNC position into its holding. A sale out of holdings realises its gain here."""
    key, net = position.key, position.net
    holding = ledger.holdings.get((key.exchange, key.symbol))
    if holding is None:
        holding = Holding(key.exchange, key.symbol, position.terms, at)
    netted = net_value(holding.net, net.quantity, net.cost, net.margin, position.terms.contract_value)
    ledger.block(netted.net.margin - holding.net.margin - net.margin)
    day = ledger.day(at)
    ledger.credit(netted.realised, day)
    ledger.put(replace(position, net=FLAT, updated_at=at))
    realised = holding.realised + netted.realised
    ledger.put(replace(holding, net=netted.net, realised=realised, updated_at=at), What.SETTLED)
    ledger.put(
        Settlement(
            key.exchange, key.symbol, net.quantity, net.cost, at, day, netted.realised, ledger.funds.epoch
        )
    )  # fmt: skip
