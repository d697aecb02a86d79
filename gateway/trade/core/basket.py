"""Plans for calls that come to many orders: basket, split, close-all, cancel-all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from gateway.trade.core.errors import wrong
from gateway.trade.core.inputs import bounded
from gateway.trade.core.money import exact
from gateway.trade.core.orders import Action, Order, OrderRequest, PriceType
from gateway.trade.core.positions import Position

#: orders that one call may place
MOST = 100


def basket_order(requests: Sequence[OrderRequest]) -> list[int]:
    """In which order a basket is placed, as places in it: buys first, each side as given. Raises InvalidError."""
    check_many("orders", len(requests))
    return sorted(range(len(requests)), key=lambda place: requests[place].action is not Action.BUY)


def check_many(field: str, count: int) -> None:
    """A call has at least one order and at most MOST. Raises InvalidError."""
    if not 1 <= count <= MOST:
        raise wrong(field, f"a list of {count}", f"a list of 1 to {MOST} orders")


@exact
def split(quantity: Decimal, size: Decimal) -> list[Decimal]:
    """The quantities that a split order comes to: whole sizes, then what is left. Raises InvalidError."""
    if not bounded(size) or size <= 0:
        raise wrong("splitsize", size, "above 0")
    if not bounded(quantity) or quantity <= 0:
        raise wrong("quantity", quantity, "above 0")
    whole, rest = divmod(quantity, size)
    count = int(whole) + (1 if rest else 0)
    if not 1 <= count <= MOST:
        raise wrong("splitsize", size, f"a size that splits {quantity} into 1 to {MOST} orders (it makes {count})")
    return [size] * int(whole) + ([rest] if rest else [])


def close_all(positions: Iterable[Position], strategy: str = "") -> list[OrderRequest]:
    """The MARKET orders that close every open position; buys (which close shorts) first."""
    closing = [
        OrderRequest(
            symbol=position.key.symbol,
            exchange=position.key.exchange,
            action=Action.SELL if position.quantity > 0 else Action.BUY,
            quantity=abs(position.quantity),
            pricetype=PriceType.MARKET,
            product=position.key.product,
            strategy=strategy,
        )
        for position in positions
        if position.quantity
    ]
    return sorted(closing, key=lambda request: request.action is not Action.BUY)


def cancel_all(orders: Iterable[Order]) -> list[str]:
    """The ids of the orders that can be cancelled, oldest first."""
    return [order.orderid for order in sorted(orders, key=lambda o: o.placed_at) if order.status.resting]


def split_requests(request: OrderRequest, size: Decimal) -> list[OrderRequest]:
    """The orders of a split; each is checked when it is placed."""
    return [replace(request, quantity=quantity) for quantity in split(request.quantity, size)]
