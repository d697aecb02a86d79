"""The order matcher as plainly as the rules of the sandbox can be written: the oracle of the Rust matcher.

A list of everything that rests, a loop over it for every tick, `Decimal` for every price.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from gateway.model import Mode

STEP = Decimal("0.00000001")

Name = tuple[str, str]  # exchange, symbol
Decision = tuple[Any, ...]
Entry = tuple[str, Decimal | None]


@dataclass(frozen=True)
class Order:
    """An order at rest or about to be."""

    id: int
    sequence: int
    side: str
    pricetype: str
    price: Decimal | None
    trigger: Decimal | None
    name: Name = ("", "")
    #: an SL order whose trigger is spent
    triggered: bool = False

    @property
    def is_limit(self) -> bool:
        """A LIMIT order, from the start or by now."""
        return self.pricetype == "LIMIT" or (self.pricetype == "SL" and self.triggered)

    @property
    def state(self) -> str:
        return "open" if self.is_limit else "trigger pending"


@dataclass(frozen=True)
class Gtt:
    """A GTT with one leg or two."""

    id: int
    sequence: int
    sl: Decimal | None
    tg: Decimal | None
    name: Name = ("", "")


@dataclass(frozen=True)
class Quote:
    """The prices of a tick that may fill orders."""

    ltp: Decimal
    bid: Decimal | None
    ask: Decimal | None
    arrival: int

    def far_side(self, side: str) -> Decimal:
        far = self.ask if side == "BUY" else self.bid
        return self.ltp if far is None else far


def number(value: object) -> Decimal | None:
    """A price of a payload, to eight places; None for what is no number or zero."""
    if not isinstance(value, Decimal):
        return None
    return value.quantize(STEP, ROUND_HALF_EVEN) or None


def first_price(levels: list[dict[str, Any]]) -> Decimal | None:
    return number(levels[0].get("price")) if levels else None


def quote_of(data: dict[str, Any], arrival: int) -> Quote | None:
    """The quote of a tick; None where nothing may fill on it."""
    ltp, low, high = (number(data.get(key)) for key in ("ltp", "low", "high"))
    if ltp is None or (low is not None and ltp < low) or (high is not None and ltp > high):
        return None
    depth = data.get("depth", {})
    bid = number(data.get("bid")) or first_price(depth.get("buy", []))
    ask = number(data.get("ask")) or first_price(depth.get("sell", []))
    return Quote(ltp, bid, ask, arrival)


def limit_allows(order: Order, ltp: Decimal) -> bool:
    assert order.price is not None
    return ltp <= order.price if order.side == "BUY" else ltp >= order.price


def trigger_met(order: Order, ltp: Decimal) -> bool:
    assert order.trigger is not None
    return ltp >= order.trigger if order.side == "BUY" else ltp <= order.trigger


def no_worse(order: Order, price: Decimal) -> Decimal:
    assert order.price is not None
    return min(price, order.price) if order.side == "BUY" else max(price, order.price)


def judge(order: Order, quote: Quote, entering: bool) -> tuple[str, Decimal | None]:
    """`filled` with its price, `triggered`, or `waits`."""
    far = quote.far_side(order.side)
    if order.pricetype == "MARKET":
        return "filled", far
    if order.is_limit:
        if not limit_allows(order, quote.ltp):
            return "waits", None
        return "filled", no_worse(order, far) if entering else order.price
    if not trigger_met(order, quote.ltp):
        return "waits", None
    if order.pricetype == "SL-M":
        return "filled", far
    return ("filled", quote.ltp) if limit_allows(order, quote.ltp) else ("triggered", None)


def checked(order: Order) -> Order:
    """The order without fields that do not belong to its price type; ValueError where one is missing or bad."""
    needs_price, needs_trigger = order.pricetype in ("LIMIT", "SL"), order.pricetype in ("SL", "SL-M")
    order = replace(order, price=order.price if needs_price else None, trigger=order.trigger if needs_trigger else None)
    for needed, value in ((needs_price, order.price), (needs_trigger, order.trigger)):
        if needed and (value is None or value <= 0):
            raise ValueError
    return replace(order, triggered=order.triggered and order.pricetype == "SL")


@dataclass
class ReferenceMatcher:
    """Everything that rests, and the last prices."""

    orders: dict[int, Order] = field(default_factory=dict)
    gtts: dict[int, Gtt] = field(default_factory=dict)
    quotes: dict[Name, Quote] = field(default_factory=dict)
    last: dict[tuple[Name, Mode], tuple[bytes, int]] = field(default_factory=dict)

    def tick(self, name: Name, mode: Mode, payload: bytes, arrival: int, replay: bool) -> list[Decision]:
        data = json.loads(payload, parse_float=Decimal, parse_int=Decimal)
        priced = isinstance(data.get("ltp"), Decimal)
        if not priced and not (mode is Mode.DEPTH and any(data.get("depth", {}).values())):
            return []
        for served in Mode:
            if served == mode or (served < mode and priced):
                known = self.last.get((name, served))
                if not replay or known is None or known[1] <= arrival:
                    self.last[name, served] = (payload, arrival)
        quote = quote_of(data, arrival)
        if quote is None:
            return []
        if not replay or name not in self.quotes or self.quotes[name].arrival <= arrival:
            self.quotes[name] = quote
        return [] if replay else self._match(name, quote)

    def _match(self, name: Name, quote: Quote) -> list[Decision]:
        resting: list[Order | Gtt] = [*self.orders.values(), *self.gtts.values()]
        mine = [one for one in resting if one.name == name]
        decisions = []
        for one in sorted(mine, key=lambda one: (one.sequence, isinstance(one, Gtt), one.id)):
            decision = self._match_order(one, quote) if isinstance(one, Order) else self._match_gtt(one, quote)
            if decision is not None:
                decisions.append(decision)
        return decisions

    def _match_order(self, order: Order, quote: Quote) -> Decision | None:
        verdict, price = judge(order, quote, entering=False)
        if verdict == "filled":
            del self.orders[order.id]
            return ("fill", order.id, price)
        if verdict == "triggered":
            self.orders[order.id] = replace(order, triggered=True)
            return ("triggered", order.id)
        return None

    def _match_gtt(self, gtt: Gtt, quote: Quote) -> Decision | None:
        if gtt.sl is not None and quote.ltp <= gtt.sl:
            leg = "sl"
        elif gtt.tg is not None and quote.ltp >= gtt.tg:
            leg = "tg"
        else:
            return None
        del self.gtts[gtt.id]
        return ("gtt", gtt.id, leg)

    def enter(self, order: Order, now: int, max_age: int) -> Entry:
        order = replace(checked(order), triggered=False)
        if order.id in self.orders:
            raise ValueError
        return self._judged(order, now, max_age)

    def modify(self, new: Order, now: int, max_age: int) -> Entry:
        """The terms of `new` for the resting order of its id."""
        new = checked(new)
        old = self.orders[new.id]
        spent = old.triggered and new.pricetype == "SL"
        new = replace(new, sequence=old.sequence, side=old.side, name=old.name, triggered=spent)
        del self.orders[old.id]
        entry = self._judged(new, now, max_age)
        if entry[0] == "no price":
            self.orders[old.id] = old
        return entry

    def _judged(self, order: Order, now: int, max_age: int) -> Entry:
        quote = self.quotes.get(order.name)
        if quote is not None and now - quote.arrival <= max_age:
            verdict, price = judge(order, quote, entering=True)
            if verdict == "filled":
                return "filled", price
            order = replace(order, triggered=order.triggered or verdict == "triggered")
        elif order.pricetype == "MARKET":
            return "no price", None
        self.orders[order.id] = order
        return order.state, None

    def remove(self, order_id: int) -> Order | None:
        return self.orders.pop(order_id, None)

    def restore(self, order: Order) -> None:
        order = checked(order)
        if order.pricetype == "MARKET" or order.id in self.orders:
            raise ValueError
        self.orders[order.id] = order

    def add_gtt(self, gtt: Gtt) -> None:
        triggers = [trigger for trigger in (gtt.sl, gtt.tg) if trigger is not None]
        if not triggers or min(triggers) <= 0 or gtt.id in self.gtts:
            raise ValueError
        self.gtts[gtt.id] = gtt

    def modify_gtt(self, gtt_id: int, sl: Decimal | None, tg: Decimal | None) -> None:
        old = self.gtts.pop(gtt_id)
        try:
            self.add_gtt(replace(old, sl=sl, tg=tg))
        except ValueError:
            self.gtts[gtt_id] = old
            raise

    def remove_gtt(self, gtt_id: int) -> bool:
        return self.gtts.pop(gtt_id, None) is not None

    def clear(self) -> None:
        self.orders.clear()
        self.gtts.clear()
