"""Placing and modifying: every check, the margin, and the verdict of the last price, in one step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from gateway.instruments.record import InstrumentRecord
from gateway.trade.core import fills
from gateway.trade.core.changes import What
from gateway.trade.core.checks import check_request, check_session, cover_problem
from gateway.trade.core.errors import NoPriceError, OrderError, TerminalOrderError, UnknownOrderError, wrong
from gateway.trade.core.judge import Quote, Verdict, judge
from gateway.trade.core.ledger import Ledger
from gateway.trade.core.margin import basis, exposure_of, reducible
from gateway.trade.core.money import ZERO
from gateway.trade.core.orders import (
    Action,
    Order,
    OrderRequest,
    PriceType,
    Product,
    Source,
    Status,
    Terms,
    resting_status,
)


@dataclass(frozen=True, slots=True)
class Assessed:
    """What the books and the last price say of a request that is well-formed."""

    #: what it would open, in units; margin is blocked for that
    excess: Decimal
    #: INR
    margin: Decimal
    #: what the last price does to it at once
    verdict: Verdict | None


def place(
    ledger: Ledger,
    request: OrderRequest,
    record: InstrumentRecord | None,
    quote: Quote | None,
    at: datetime,
    source: Source = Source.USER,
) -> None:
    """Places an order; `quote` is a fresh price or None. Raises OrderError where nothing is to be recorded."""
    request = request.normalised()
    terms = check_request(request, record, ledger.rules.calendar, at)
    try:
        assessed = assess(ledger, request, terms, quote, at)
    except Recorded as refused:
        _record_rejected(ledger, request, terms, refused.error, at, source)
        return
    ledger.block(assessed.margin)
    order = Order(
        ledger.new_id(), request, terms, resting_status(request.pricetype), at, at,
        assessed.margin, assessed.excess, source=source,
    )  # fmt: skip
    ledger.changes.orderids.append(order.orderid)
    ledger.put(order, What.PLACED)
    _perform(ledger, order, assessed.verdict, at)


def modify(
    ledger: Ledger,
    orderid: str,
    request: OrderRequest,
    record: InstrumentRecord | None,
    quote: Quote | None,
    at: datetime,
) -> None:
    """Modifies a resting order; it is checked as a new one, and keeps what it was where that raises."""
    order = resting_order(ledger, orderid)
    request = replace(request.normalised(), strategy=order.request.strategy)
    for name in ("symbol", "exchange", "action", "product"):
        if getattr(request, name) != getattr(order.request, name):
            raise wrong(name, getattr(request, name), f"{getattr(order.request, name)} as in the order it modifies")
    terms = check_request(request, record, ledger.rules.calendar, at)
    # a spent trigger stays spent while the order stays an SL
    triggered = order.triggered and request.pricetype is PriceType.SL
    try:
        assessed = assess(ledger, request, terms, quote, at, order, triggered)
    except Recorded as refused:
        raise refused.error from None
    ledger.block(assessed.margin - order.margin)
    changed = order.advanced(
        resting_status(request.pricetype, triggered), at, request=request, terms=terms,
        margin=assessed.margin, blocked_quantity=assessed.excess, triggered=triggered,
    )  # fmt: skip
    ledger.changes.orderids.append(orderid)
    ledger.put(changed, What.MODIFIED)
    _perform(ledger, changed, assessed.verdict, at)


class Recorded(Exception):  # noqa: N818 - a message between two functions of this module, not an error
    """Placing is refused in a way that leaves a `rejected` order behind."""

    def __init__(self, error: OrderError) -> None:
        super().__init__(error.message)
        self.error = error


def assess(
    ledger: Ledger,
    request: OrderRequest,
    terms: Terms,
    quote: Quote | None,
    at: datetime,
    order: Order | None = None,
    triggered: bool = False,
) -> Assessed:
    """The checks that need the books; `order` is the one that the request modifies. Raises OrderError or Recorded."""
    usable = quote if quote is not None and quote.usable else None
    if request.pricetype is PriceType.MARKET and usable is None:
        raise Recorded(NoPriceError(f"no fresh price of {request.symbol} on {request.exchange} is known", "symbol"))
    reserved = ledger.reserved.get((request.key, request.action), ZERO) - (order.reserved_quantity if order else ZERO)
    position, held = ledger.position(request.key).quantity, ledger.held(request.key)
    if request.product is Product.CNC and request.action is Action.SELL:
        problem = cover_problem(request, position, held, reserved)
        if problem is not None:
            raise Recorded(problem)
    verdict = judge(request, usable, triggered, entry=True) if usable else None
    # what fills at once comes before everything that rests
    ahead = ZERO if verdict is not None and verdict.price is not None else reserved
    excess = max(ZERO, request.quantity - reducible(request.action, position, held, ahead))
    check_session(request, excess, ledger.rules.calendar, at)
    return Assessed(excess, required(ledger, request, terms, excess, usable, triggered), verdict)


def required(
    ledger: Ledger, request: OrderRequest, terms: Terms, excess: Decimal, quote: Quote | None, triggered: bool = False
) -> Decimal:
    """The margin (INR) of a request that opens `excess`; none where it opens nothing."""
    if not excess:
        return ZERO
    price = request.price if triggered else basis(request, quote.ltp if quote else None)
    return ledger.rules.margin.required(exposure_of(request, terms, excess, price))


def resting_order(ledger: Ledger, orderid: str) -> Order:
    """The order, if it still rests. Raises UnknownOrderError or TerminalOrderError."""
    order = ledger.orders.get(orderid)
    if order is None:
        raise UnknownOrderError(f"orderid {orderid[:40]!r} is none of your orders", "orderid", orderid)
    if not order.status.resting:
        raise TerminalOrderError(f"order {orderid} is {order.status} already", "orderid", orderid)
    return order


def _perform(ledger: Ledger, order: Order, verdict: Verdict | None, at: datetime) -> None:
    if verdict is None:
        return
    if verdict.price is None:
        fills.trigger(ledger, order, at)
    else:
        fills.fill(ledger, order, verdict.price, at)


def _record_rejected(
    ledger: Ledger, request: OrderRequest, terms: Terms, error: OrderError, at: datetime, source: Source
) -> None:
    orderid = ledger.new_id()
    order = Order(orderid, request, terms, Status.REJECTED, at, at, reason=error.message, source=source)
    ledger.put(order, What.REJECTED)
    error.orderid = orderid
    ledger.changes.orderids.append(orderid)
    ledger.changes.refusal = error
