"""Netting: what a fill does to a position, in five cases, without losing a paisa to rounding.

A position keeps the value it was opened at (`cost`), not its average: the average is a quotient and may never end,
the cost is exact. What a reduction takes out of cost and margin leaves the rest as the difference, so after a close
realised PnL is exactly what was sold for less what was bought for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from gateway.trade.core.money import ZERO, exact, quotient, share
from gateway.trade.core.orders import Key, Terms


class Case(StrEnum):
    """The five cases of netting."""

    OPEN = "open"
    ADD = "add"
    REDUCE = "reduce"
    CLOSE = "close"
    REVERSE = "reverse"


class Net(NamedTuple):
    """A signed quantity with what it was opened for."""

    #: units of the instrument; negative when short
    quantity: Decimal = ZERO
    #: INR per unit of contract value: Σ price × quantity of what is open, never negative
    cost: Decimal = ZERO
    #: INR blocked for it
    margin: Decimal = ZERO


FLAT = Net()


class Netted(NamedTuple):
    """What a fill made of a `Net`."""

    net: Net
    case: Case
    #: INR, contract value included
    realised: Decimal
    #: how much of the fill opened something
    opened: Decimal


@exact
def net_fill(net: Net, quantity: Decimal, price: Decimal, margin: Decimal, contract_value: Decimal) -> Netted:
    """Nets a fill of signed `quantity` at `price` into `net`; `margin` is what the fill brings for what it opens."""
    return net_value(net, quantity, abs(quantity) * price, margin, contract_value)


@exact
def net_value(net: Net, quantity: Decimal, value: Decimal, margin: Decimal, contract_value: Decimal) -> Netted:
    """As `net_fill`, with the value of the whole fill (INR per unit of contract value) instead of a price."""
    after, size = net.quantity + quantity, abs(quantity)
    if not net.quantity or (net.quantity > 0) == (quantity > 0):
        case = Case.ADD if net.quantity else Case.OPEN
        return Netted(Net(after, net.cost + value, net.margin + margin), case, ZERO, size)
    closed = min(size, abs(net.quantity))
    cost_out = share(net.cost, closed, abs(net.quantity))
    value_out = share(value, closed, size)
    gain = (value_out - cost_out) * (1 if net.quantity > 0 else -1) * contract_value
    if not after:
        return Netted(FLAT, Case.CLOSE, gain, ZERO)
    if (after > 0) == (net.quantity > 0):
        kept = net.margin - share(net.margin, closed, abs(net.quantity))
        return Netted(Net(after, net.cost - cost_out, kept), Case.REDUCE, gain, ZERO)
    return Netted(Net(after, value - value_out, margin), Case.REVERSE, gain, size - closed)


@dataclass(frozen=True, slots=True)
class Position:
    """One position of one user, at one moment; a closed one stays with quantity 0 and what it realised."""

    key: Key
    terms: Terms
    #: since when it is open on this side; square-off counts from here
    opened_at: datetime
    updated_at: datetime
    #: trading day of the last fill; T+1 counts from here
    traded_on: date
    net: Net = FLAT
    #: INR, since the books began
    realised: Decimal = ZERO
    #: INR realised on `day`
    realised_on_day: Decimal = ZERO
    day: date = date.min

    @property
    def quantity(self) -> Decimal:
        """Signed, in units of the instrument."""
        return self.net.quantity

    @property
    def average_price(self) -> Decimal:
        """INR, volume-weighted, to 18 decimals; 0 when flat."""
        return average(self.net)

    def realised_today(self, day: date) -> Decimal:
        """INR realised on trading day `day`."""
        return self.realised_on_day if day == self.day else ZERO

    @exact
    def unrealised(self, ltp: Decimal) -> Decimal:
        """INR that closing at `ltp` would realise."""
        return unrealised(self.net, ltp, self.terms.contract_value)

    @exact
    def filled(self, netted: Netted, at: datetime, day: date) -> Position:
        """The position after a fill on trading day `day`."""
        fresh = netted.case in (Case.OPEN, Case.REVERSE)
        return replace(
            self,
            net=netted.net,
            opened_at=at if fresh else self.opened_at,
            updated_at=at,
            traded_on=day,
            realised=self.realised + netted.realised,
            realised_on_day=self.realised_today(day) + netted.realised,
            day=day,
        )


@dataclass(frozen=True, slots=True)
class Holding:
    """Delivered shares: what CNC positions become at T+1. Its margin is the money paid for it."""

    exchange: str
    symbol: str
    terms: Terms
    updated_at: datetime
    net: Net = FLAT
    #: INR realised by sales out of it
    realised: Decimal = ZERO

    @property
    def quantity(self) -> Decimal:
        """Units held; never negative while sells are covered."""
        return self.net.quantity

    @property
    def average_price(self) -> Decimal:
        """INR, volume-weighted; 0 when nothing is held."""
        return average(self.net)

    @exact
    def unrealised(self, ltp: Decimal) -> Decimal:
        """INR that selling at `ltp` would realise."""
        return unrealised(self.net, ltp, self.terms.contract_value)


def average(net: Net) -> Decimal:
    """INR per unit, to 18 decimals; 0 when flat."""
    return quotient(net.cost, abs(net.quantity)) if net.quantity else ZERO


def unrealised(net: Net, ltp: Decimal, contract_value: Decimal) -> Decimal:
    """INR that closing at `ltp` would realise; call it in the exact context."""
    sign = 1 if net.quantity > 0 else -1
    return (ltp * abs(net.quantity) - net.cost) * sign * contract_value
