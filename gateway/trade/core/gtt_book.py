"""Commands on GTTs: place, modify, cancel, fire."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from gateway.instruments.record import InstrumentRecord
from gateway.trade.core import entry
from gateway.trade.core.changes import What
from gateway.trade.core.errors import OrderError, TerminalOrderError, UnknownOrderError, wrong
from gateway.trade.core.gtt import Gtt, GttRequest, GttStatus, Leg, LegStatus, Side, check_gtt
from gateway.trade.core.judge import Quote
from gateway.trade.core.ledger import Ledger
from gateway.trade.core.margin import exposure_of, reducible
from gateway.trade.core.money import ZERO
from gateway.trade.core.orders import Source, Terms


def place(ledger: Ledger, request: GttRequest, record: InstrumentRecord | None, at: datetime) -> None:
    """Places a GTT for one year. Placing fires nothing. Raises OrderError."""
    terms = check_gtt(request, record, ledger.rules.calendar, at)
    margin = gtt_margin(ledger, request, terms)
    ledger.block(margin)
    gtt = Gtt(ledger.new_id(), request, terms, _legs(request), at, at, year_later(at), margin=margin)
    ledger.changes.orderids.append(gtt.trigger_id)
    ledger.put(gtt, What.PLACED)


def modify(ledger: Ledger, trigger_id: str, request: GttRequest, record: InstrumentRecord | None, at: datetime) -> None:
    """Gives an active GTT new prices, quantity or type. Raises OrderError; then it keeps what it was."""
    gtt = active_gtt(ledger, trigger_id)
    for name in ("symbol", "exchange", "action", "product"):
        if getattr(request, name) != getattr(gtt.request, name):
            raise wrong(name, getattr(request, name), f"{getattr(gtt.request, name)} as in the GTT it modifies")
    terms = check_gtt(request, record, ledger.rules.calendar, at)
    margin = gtt_margin(ledger, request, terms)
    ledger.block(margin - gtt.margin)
    changed = replace(gtt, request=request, terms=terms, legs=_legs(request), updated_at=at, margin=margin)
    ledger.changes.orderids.append(trigger_id)
    ledger.put(changed, What.MODIFIED)


def cancel(ledger: Ledger, trigger_id: str, at: datetime) -> None:
    """Cancels an active GTT. Raises OrderError."""
    gtt = active_gtt(ledger, trigger_id)
    ledger.block(-gtt.margin)
    ledger.changes.orderids.append(trigger_id)
    ledger.put(gtt.ended(GttStatus.CANCELLED, at, LegStatus.CANCELLED), What.CANCELLED)


def fire(
    ledger: Ledger, trigger_id: str, side: Side, record: InstrumentRecord | None, quote: Quote, at: datetime
) -> None:
    """Fires a leg: its order is placed (and may fill on `quote`), the sibling is cancelled.

    A leg that is not waiting any more does nothing. Where the order is refused the leg and its GTT end as `failed`.
    """
    gtt = ledger.gtts.get(trigger_id)
    leg = gtt.leg(side) if gtt is not None and gtt.active else None
    if gtt is None or leg is None:
        return
    # the child needs what the GTT has kept for it
    ledger.block(-gtt.margin)
    ledger.put(replace(gtt, margin=ZERO))
    reason, orderid = "", ""
    try:
        entry.place(ledger, gtt.request.order(side), record, quote, at, Source.GTT)
    except OrderError as error:
        reason = error.message
    else:
        refusal, ledger.changes.refusal = ledger.changes.refusal, None
        reason, orderid = refusal.message if refusal else "", ledger.changes.orderids[-1]
    status = LegStatus.FAILED if reason else LegStatus.FIRED
    fired = replace(leg, status=status, orderid=orderid, reason=reason)
    end = GttStatus.FAILED if reason else GttStatus.TRIGGERED
    ledger.put(gtt.ended(end, at, LegStatus.CANCELLED, fired), What.FAILED if reason else What.FIRED)


def gtt_margin(ledger: Ledger, request: GttRequest, terms: Terms) -> Decimal:
    """The margin (INR) of a GTT: of its leg, or of an OCO's larger leg or both; what only reduces blocks nothing."""
    legs = [_leg_margin(ledger, request, terms, side) for side in request.sides]
    return sum(legs, ZERO) if ledger.rules.oco_margin == "sum" else max(legs)


def active_gtt(ledger: Ledger, trigger_id: str) -> Gtt:
    """The GTT, if it is active. Raises UnknownOrderError or TerminalOrderError."""
    gtt = ledger.gtts.get(trigger_id)
    if gtt is None:
        raise UnknownOrderError(f"trigger_id {trigger_id[:40]!r} is none of your GTTs", "trigger_id", trigger_id)
    if not gtt.active:
        raise TerminalOrderError(f"GTT {trigger_id} is {gtt.status} already", "trigger_id", trigger_id)
    return gtt


def year_later(at: datetime) -> datetime:
    """The same moment next year (28 February for a 29th)."""
    try:
        return at.replace(year=at.year + 1)
    except ValueError:
        return at.replace(year=at.year + 1, day=28)


def _legs(request: GttRequest) -> tuple[Leg, ...]:
    return tuple(Leg(side, request.trigger(side)) for side in request.sides)


def _leg_margin(ledger: Ledger, request: GttRequest, terms: Terms, side: Side) -> Decimal:
    order = request.order(side)
    reserved = ledger.reserved.get((order.key, order.action), ZERO)
    free = reducible(order.action, ledger.position(order.key).quantity, ledger.held(order.key), reserved)
    excess = order.quantity - min(order.quantity, free)
    if not excess:
        return ZERO
    return ledger.rules.margin.required(exposure_of(order, terms, excess, request.basis(side)))
