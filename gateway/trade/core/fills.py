"""A fill: the order completes, its margin moves to the position, what it closes is realised."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from gateway.trade.core.changes import Trade, What
from gateway.trade.core.checks import cover_problem
from gateway.trade.core.errors import FundsError
from gateway.trade.core.ledger import Ledger
from gateway.trade.core.margin import exposure_of, reducible
from gateway.trade.core.money import ZERO, share
from gateway.trade.core.orders import Action, Order, Product, Status
from gateway.trade.core.positions import Position, net_fill


def fill(ledger: Ledger, order: Order, price: Decimal, at: datetime) -> None:
    """Fills a resting order whole at `price` (INR).

    Where the position shrank while it rested, it opens more than margin was blocked for; the rest is blocked now, at
    the fill price, and an order that cannot pay for it is rejected instead of filled.
    """
    net, terms, request = ledger.position(order.key), order.terms, order.request
    excess = _excess(ledger, order)
    if excess and request.product is Product.CNC and request.action is Action.SELL:
        problem = cover_problem(request, net.quantity, ledger.held(order.key), ZERO)
        return reject(ledger, order, str(problem), at)
    margin = _moved(ledger, order, excess, price)
    signed = request.action.sign * request.quantity
    netted = net_fill(net, signed, price, margin, terms.contract_value)
    try:
        ledger.block(netted.net.margin - net.margin - order.margin)
    except FundsError as error:
        return reject(ledger, order, error.message, at)
    day = ledger.day(at)
    ledger.credit(netted.realised, day)
    done = order.advanced(Status.COMPLETE, at, average_price=price)
    ledger.put(done, What.FILLED)
    ledger.put(_trade(ledger, done, netted.realised, at))
    old = ledger.positions.get(order.key) or Position(order.key, terms, at, at, day)
    ledger.put(old.filled(netted, at, day))
    return None


def release(ledger: Ledger, order: Order, status: Status, what: What, reason: str, at: datetime) -> None:
    """Ends a resting order without a fill; what it blocked is free again."""
    ledger.block(-order.margin)
    ledger.put(order.advanced(status, at, reason=reason), what)


def reject(ledger: Ledger, order: Order, reason: str, at: datetime) -> None:
    """Rejects a resting order."""
    release(ledger, order, Status.REJECTED, What.REJECTED, reason, at)


def trigger(ledger: Ledger, order: Order, at: datetime) -> None:
    """Spends the trigger of an SL whose limit did not allow the fill: from now on it rests as a LIMIT."""
    ledger.put(replace(order.advanced(Status.OPEN, at), triggered=True), What.TRIGGERED)


def _excess(ledger: Ledger, order: Order) -> Decimal:
    """How much of the order opens something now, holdings counted for a CNC sell."""
    request, net = order.request, ledger.position(order.key)
    return max(ZERO, request.quantity - reducible(request.action, net.quantity, ledger.held(order.key)))


def _moved(ledger: Ledger, order: Order, excess: Decimal, price: Decimal) -> Decimal:
    """The margin that moves to the position: the order's, in proportion, and what was not blocked for."""
    covered = min(excess, order.blocked_quantity)
    margin = share(order.margin, covered, order.blocked_quantity) if covered else ZERO
    if excess > covered:
        missing = exposure_of(order.request, order.terms, excess - covered, price)
        margin += ledger.rules.margin.required(missing)
    return margin


def _trade(ledger: Ledger, order: Order, realised: Decimal, at: datetime) -> Trade:
    return Trade(
        orderid=order.orderid,
        key=order.key,
        action=order.request.action,
        quantity=order.request.quantity,
        price=order.average_price,
        contract_value=order.terms.contract_value,
        at=at,
        day=ledger.day(at),
        realised=realised,
        epoch=ledger.funds.epoch,
    )
