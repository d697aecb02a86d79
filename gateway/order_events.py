"""The payload of every event type (order-events, "Events"). Pure; used by whoever raises events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.trade.ports import OutEvent
from gateway.wire import encode

#: what a request's key is called, in any letter case and with any separator
_KEYS: Final = frozenset({"apikey", "xapikey"})
#: bounds of what is repeated of a request: nesting, characters of a text, fields of an object, rows of a list
_DEPTH, _TEXT, _FIELDS, _ROWS = 8, 256, 64, 100
ALREADY_MATCHED: Final = "Positions Already Matched. No Action needed."


def without_key(value: Any, depth: int = _DEPTH) -> Any:
    """A client's JSON value as it may be repeated.

    Without any field that is called `apikey`, `api_key`, `X-API-KEY`, … at any depth, without numbers that JSON
    readers choke on, and without long tails.
    """
    if isinstance(value, str):
        return value[:_TEXT]
    if isinstance(value, int) and abs(value) >= 2**53:
        return "a number of more than 15 digits"
    if isinstance(value, Mapping):
        names = [name for name in value if not _secret(name)][:_FIELDS]
        return {str(name)[:_TEXT]: without_key(value[name], depth - 1) for name in names} if depth else {}
    if isinstance(value, list | tuple):
        return [without_key(held, depth - 1) for held in value[:_ROWS]] if depth else []
    return value


def _secret(name: object) -> bool:
    return str(name).strip().lower().replace("-", "").replace("_", "").replace(" ", "") in _KEYS


def order_event(
    symbol: str,
    action: str,
    orderid: str,
    exchange: str,
    price_type: str,
    product_type: str,
    *,
    batch_order: bool | None = None,
    is_last_order: bool | None = None,
    **more: Any,
) -> OutEvent:
    """An order was placed with a broker. `more`: broker, quantity, price."""
    fields: dict[str, Any] = {
        "symbol": symbol, "action": action, "orderid": orderid, "exchange": exchange,
        "price_type": price_type, "product_type": product_type, "mode": "live",
    }  # fmt: skip
    if batch_order is not None:
        fields["batch_order"] = batch_order
    if is_last_order is not None:
        fields["is_last_order"] = is_last_order
    return _event("order_event", {**more, **fields})


def modify_order_event(status: str, orderid: str, **more: Any) -> OutEvent:
    """An order was modified at a broker. `more`: message."""
    return _event("modify_order_event", {"status": status, "orderid": orderid, "mode": "live", **more})


def cancel_order_event(status: str, orderid: str, **more: Any) -> OutEvent:
    """An order was cancelled at a broker; of many: message and counts."""
    return _event("cancel_order_event", {"status": status, "orderid": orderid, "mode": "live", **more})


def close_position_event(status: str, message: str, **more: Any) -> OutEvent:
    """Positions were squared off at a broker. `more`: orderid, counts."""
    return _event("close_position_event", {"status": status, "message": message, "mode": "live", **more})


def analyzer_update(request: Mapping[str, Any], response: Mapping[str, Any], api_type: str) -> OutEvent:
    """An order call was made in analyze mode."""
    answered = {"mode": "analyze", **without_key(response)}
    return _event("analyzer_update", {"request": {**without_key(request), "api_type": api_type}, "response": answered})


def order_notification(symbol: str, status: str = "info", message: str = ALREADY_MATCHED) -> OutEvent:
    """A smart order found nothing to do, or another message that changed no order."""
    return _event("order_notification", {"symbol": symbol, "status": status, "message": message})


def order_update(order: Mapping[str, Any], seq: int) -> OutEvent:
    """An order changed; `order` is the object of websocket-protocol, "Order updates"."""
    return OutEvent("order_update", encode({**order, "seq": seq}), seq)


def master_contract_download(broker: str, status: str, message: str) -> OutEvent:
    """An instrument master was loaded, or not. Belongs to user `admin`."""
    return _event("master_contract_download", {"broker": broker, "status": status, "message": message})


def password_change(user: str, status: str, message: str, ip_address: str = "", user_agent: str = "") -> OutEvent:
    """Credentials or an API key were changed."""
    fields = {"user": user, "status": status, "message": message, "ip_address": ip_address, "user_agent": user_agent}
    return _event("password_change", fields)


def _event(event_type: str, payload: Mapping[str, Any]) -> OutEvent:
    return OutEvent(event_type, encode(payload))
