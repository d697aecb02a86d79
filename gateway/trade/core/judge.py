"""What one price does to one order (sandbox, "Order life"): fills it, fires its trigger, or nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from gateway.trade.core.money import ZERO
from gateway.trade.core.orders import Action, Order, OrderRequest, PriceType


class Quote(NamedTuple):
    """A fresh price of one instrument, INR; 0 where a number is unknown."""

    ltp: Decimal
    bid: Decimal = ZERO
    ask: Decimal = ZERO
    low: Decimal = ZERO
    high: Decimal = ZERO

    @property
    def usable(self) -> bool:
        """Whether anything may fill on it: ltp positive and, where a day range is known, within it."""
        below, above = self.low > 0 and self.ltp < self.low, 0 < self.high < self.ltp
        return self.ltp > 0 and not below and not above

    def far(self, action: Action) -> Decimal:
        """The price a marketable order meets: ask for BUY, bid for SELL, ltp where that side is unknown."""
        side = self.ask if action is Action.BUY else self.bid
        return side if side > 0 else self.ltp


class Verdict(NamedTuple):
    """What is to happen: a fill at `price`, or with `price` None a trigger that leaves the order open."""

    price: Decimal | None


def judge_order(order: Order, quote: Quote, entry: bool = False) -> Verdict | None:
    """What `quote` does to a resting order; None for nothing. See `judge`."""
    return judge(order.request, quote, order.triggered, entry) if order.status.resting else None


def judge(request: OrderRequest, quote: Quote, triggered: bool = False, entry: bool = False) -> Verdict | None:
    """What `quote` does to an order that just arrived (`entry`: placed or modified) or rests; None for nothing."""
    if not quote.usable:
        return None
    kind, action = request.pricetype, request.action
    if kind is PriceType.MARKET:
        return Verdict(quote.far(action))
    if kind is PriceType.LIMIT or triggered:
        if not within(action, quote.ltp, request.price):
            return None
        return Verdict(better(action, quote.far(action), request.price) if entry else request.price)
    if not reached(action, quote.ltp, request.trigger_price):
        return None
    if kind is PriceType.SL_M:
        return Verdict(quote.far(action))
    return Verdict(quote.ltp if within(action, quote.ltp, request.price) else None)


def within(action: Action, price: Decimal, limit: Decimal) -> bool:
    """Whether `limit` allows a trade at `price`."""
    return price <= limit if action is Action.BUY else price >= limit


def reached(action: Action, ltp: Decimal, trigger: Decimal) -> bool:
    """Whether a stop's trigger is met: BUY on a rise to it, SELL on a fall, inclusive."""
    return ltp >= trigger if action is Action.BUY else ltp <= trigger


def better(action: Action, price: Decimal, limit: Decimal) -> Decimal:
    """`price`, but never worse than the limit."""
    return min(price, limit) if action is Action.BUY else max(price, limit)
