"""What is told of a change: the payloads of order-events, built where the change is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from gateway.trade.core.changes import Event, What
from gateway.trade.core.gtt import Gtt
from gateway.trade.core.money import ZERO, quotient, tidy
from gateway.trade.core.orders import Order
from gateway.trade.ports import OutEvent, UserState
from gateway.wire import encode

#: decimals of prices as they are shown; the books keep all
PLACES = 4
_SHOWN = Decimal(1).scaleb(-PLACES)
#: what a request's fields are never repeated by
_SECRET = frozenset({"apikey", "api_key", "x_api_key"})
#: bounds of what is repeated: characters of a text, fields of an object, rows of a list
_TEXT, _FIELDS, _ROWS = 256, 64, 100


def shown(price: Decimal) -> Decimal:
    """A price as answers and events show it, INR: at most 4 decimals, half-even."""
    exponent = price.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= -PLACES:
        return price
    return tidy(quotient(price, Decimal(1)).quantize(_SHOWN))


def order_update(user_id: str, order: Order, seq: int) -> bytes:
    """The object of an `order_update` (websocket-protocol, "Order updates")."""
    request, filled = order.request, order.filled_quantity
    return encode(
        {
            "type": "order_update", "user_id": user_id, "mode": "analyze", "broker": "sandbox",
            "orderid": order.orderid, "symbol": request.symbol, "exchange": request.exchange,
            "action": request.action, "quantity": request.quantity, "price": request.price,
            "trigger_price": request.trigger_price, "pricetype": request.pricetype, "product": request.product,
            "order_status": order.status, "filled_quantity": filled,
            "pending_quantity": request.quantity - filled if order.status.resting else ZERO,
            "average_price": shown(order.average_price), "rejection_reason": order.reason,
            "strategy": request.strategy, "seq": seq,
        }
    )  # fmt: skip


def of_changes(user_id: str, state: UserState, told: Iterable[Event]) -> tuple[UserState, list[OutEvent]]:
    """The outbox rows of what happened, numbered on from `state`; and the state after them."""
    seq, found = state.seq, list[OutEvent]()
    for what, row in told:
        if isinstance(row, Order):
            seq += 1
            found.append(OutEvent("order_update", order_update(user_id, row, seq), seq))
        elif isinstance(row, Gtt) and what in (What.FAILED, What.EXPIRED):
            reason = next((leg.reason for leg in row.legs if leg.reason), "its term has ended")
            message = f"GTT {row.trigger_id} {what}: {reason}"
            found.append(notification(row.request.symbol, "error" if what is What.FAILED else "info", message))
    return (replace(state, seq=seq) if found else state), found


def notification(symbol: str, status: str, message: str) -> OutEvent:
    """An `order_notification`."""
    return OutEvent("order_notification", encode({"symbol": symbol, "status": status, "message": message}))


def analyzer_update(endpoint: str, fields: Mapping[str, Any], response: Mapping[str, Any]) -> OutEvent:
    """The event of any order call in analyze mode: what was asked and what was answered, without the key."""
    request = {**bounded(fields), "api_type": endpoint}
    return OutEvent("analyzer_update", encode({"request": request, "response": {"mode": "analyze", **response}}))


def bounded(fields: Mapping[str, Any], depth: int = 3) -> dict[str, Any]:
    """A client's fields as they may be repeated: no key of his, no number that JSON readers choke on, no long tails."""
    names = [name for name in fields if name.lower().replace("-", "_") not in _SECRET][:_FIELDS]
    return {name[:_TEXT]: _bounded(fields[name], depth) for name in names}


def _bounded(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value[:_TEXT]
    if isinstance(value, bool | float | Decimal | None):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else "a number of more than 15 digits"
    if depth and isinstance(value, dict):
        return bounded(value, depth - 1)
    if depth and isinstance(value, list):
        return [_bounded(one, depth - 1) for one in value[:_ROWS]]
    return None
