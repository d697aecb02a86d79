"""What is told of a change: the payloads of order-events, built where the change is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from gateway import order_events
from gateway.trade.core.changes import Event, What
from gateway.trade.core.gtt import Gtt
from gateway.trade.core.money import ZERO, quotient, tidy
from gateway.trade.core.orders import Order
from gateway.trade.ports import OutEvent, UserState

#: decimals of prices as they are shown; the books keep all
PLACES = 4
_SHOWN = Decimal(1).scaleb(-PLACES)


def shown(price: Decimal) -> Decimal:
    """A price as answers and events show it, INR: at most 4 decimals, half-even."""
    exponent = price.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= -PLACES:
        return price
    return tidy(quotient(price, Decimal(1)).quantize(_SHOWN))


def order_update(user_id: str, order: Order, seq: int) -> OutEvent:
    """An `order_update` (websocket-protocol, "Order updates")."""
    request, filled = order.request, order.filled_quantity
    return order_events.order_update(
        {
            "type": "order_update", "user_id": user_id, "mode": "analyze", "broker": "sandbox",
            "orderid": order.orderid, "symbol": request.symbol, "exchange": request.exchange,
            "action": request.action, "quantity": request.quantity, "price": request.price,
            "trigger_price": request.trigger_price, "pricetype": request.pricetype, "product": request.product,
            "order_status": order.status, "filled_quantity": filled,
            "pending_quantity": request.quantity - filled if order.status.resting else ZERO,
            "average_price": shown(order.average_price), "rejection_reason": order.reason,
            "strategy": request.strategy,
        },
        seq,
    )  # fmt: skip


def of_changes(user_id: str, state: UserState, told: Iterable[Event]) -> tuple[UserState, list[OutEvent]]:
    """The outbox rows of what happened, numbered on from `state`; and the state after them."""
    seq, found = state.seq, list[OutEvent]()
    for what, row in told:
        if isinstance(row, Order):
            seq += 1
            found.append(order_update(user_id, row, seq))
        elif isinstance(row, Gtt) and what in (What.FAILED, What.EXPIRED):
            reason = next((leg.reason for leg in row.legs if leg.reason), "its term has ended")
            message = f"GTT {row.trigger_id} {what}: {reason}"
            status = "error" if what is What.FAILED else "info"
            found.append(order_events.order_notification(row.request.symbol, status, message))
    return (replace(state, seq=seq) if found else state), found
