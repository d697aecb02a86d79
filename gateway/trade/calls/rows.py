"""Rows of answers (rest-api): what the books hold, as clients read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from gateway.trade.core.calendar import IST
from gateway.trade.core.changes import Trade
from gateway.trade.core.gtt import Gtt
from gateway.trade.core.money import ZERO
from gateway.trade.core.orders import Action, Order, Status
from gateway.trade.events import shown


def stamp(at: datetime) -> str:
    """A time as answers show it: IST, `15-Jul-2026 10:00:00`."""
    return at.astimezone(IST).strftime("%d-%b-%Y %H:%M:%S")


def order_row(order: Order) -> dict[str, Any]:
    """One order of `orderbook` and `orderstatus`."""
    request = order.request
    row = {
        "orderid": order.orderid, "symbol": request.symbol, "exchange": request.exchange, "action": request.action,
        "quantity": request.quantity, "price": request.price, "trigger_price": request.trigger_price,
        "pricetype": request.pricetype, "product": request.product, "order_status": order.status,
        "average_price": shown(order.average_price), "timestamp": stamp(order.placed_at),
        "strategy": request.strategy,
    }  # fmt: skip
    return {**row, "rejection_reason": order.reason} if order.reason else row


def order_book(orders: Iterable[Order]) -> dict[str, Any]:
    """`data` of `orderbook`, newest first."""
    rows = sorted(orders, key=lambda order: order.orderid, reverse=True)
    counts = {
        "total_buy_orders": _count(rows, lambda order: order.request.action is Action.BUY),
        "total_sell_orders": _count(rows, lambda order: order.request.action is Action.SELL),
        "total_completed_orders": _count(rows, lambda order: order.status is Status.COMPLETE),
        "total_open_orders": _count(rows, lambda order: order.status.resting),
        "total_rejected_orders": _count(rows, lambda order: order.status is Status.REJECTED),
    }
    return {"orders": [order_row(order) for order in rows], "statistics": counts}


def _count(orders: Sequence[Order], which: Any) -> int:
    return sum(1 for order in orders if which(order))


def trade_row(trade: Trade) -> dict[str, Any]:
    """One fill of `tradebook`; `trade_value` in INR."""
    value = trade.price * trade.quantity * trade.contract_value
    return {
        "orderid": trade.orderid, "symbol": trade.key.symbol, "exchange": trade.key.exchange,
        "product": trade.key.product, "action": trade.action, "quantity": trade.quantity,
        "average_price": shown(trade.price), "trade_value": shown(value), "timestamp": stamp(trade.at),
    }  # fmt: skip


def gtt_row(gtt: Gtt) -> dict[str, Any]:
    """One GTT of `gttorderbook`."""
    request = gtt.request
    legs = [
        {"side": leg.side, "trigger": leg.trigger, "status": leg.status, "orderid": leg.orderid, "reason": leg.reason}
        for leg in gtt.legs
    ]
    return {
        "trigger_id": gtt.trigger_id, "trigger_type": request.trigger_type, "symbol": request.symbol,
        "exchange": request.exchange, "action": request.action, "product": request.product,
        "quantity": request.quantity, "pricetype": request.pricetype, "triggerprice_sl": request.triggerprice_sl,
        "triggerprice_tg": request.triggerprice_tg, "price": request.price, "stoploss": request.stoploss,
        "target": request.target, "status": gtt.status, "legs": legs, "placed_at": stamp(gtt.placed_at),
        "expires_at": stamp(gtt.expires_at),
    }  # fmt: skip


def percent(part: Decimal, whole: Decimal) -> Decimal:
    """`part` as a percentage of `whole`, 2 decimals; 0 where there is no whole."""
    return (part / whole * 100).quantize(Decimal("0.01")) if whole else ZERO


def rupees(value: Decimal) -> Decimal:
    """INR with 2 decimals."""
    return value.quantize(Decimal("0.01"))
