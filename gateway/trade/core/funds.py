"""A user's money: capital, what is blocked, what was realised. The rest is available."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from gateway.trade.core.errors import FundsError
from gateway.trade.core.money import ZERO, exact, text


@dataclass(frozen=True, slots=True)
class Funds:
    """One user's funds at one moment, INR. `available` is kept, not derived, so that it can be checked."""

    capital: Decimal
    available: Decimal
    #: since when these books count (the last reset)
    since: datetime
    used: Decimal = ZERO
    realised: Decimal = ZERO
    #: INR realised on trading day `day`
    realised_on_day: Decimal = ZERO
    day: date = date.min
    #: how often the books were reset; trades belong to one epoch
    epoch: int = 0

    @classmethod
    def fresh(cls, capital: Decimal, at: datetime, epoch: int = 0) -> Funds:
        """The funds of a user who has not traded yet."""
        return cls(capital=capital, available=capital, since=at, epoch=epoch)

    def realised_today(self, day: date) -> Decimal:
        """INR realised on trading day `day`."""
        return self.realised_on_day if day == self.day else ZERO

    @exact
    def blocked(self, amount: Decimal) -> Funds:
        """With `amount` more blocked (less, where it is negative). Raises FundsError where it is not there."""
        if amount > self.available and amount > 0:
            raise FundsError(
                f"insufficient funds: {text(amount)} INR of margin needed, {text(self.available)} INR available",
                "quantity",
            )
        return replace(self, available=self.available - amount, used=self.used + amount)

    @exact
    def credited(self, realised: Decimal, day: date) -> Funds:
        """With `realised` (of either sign) booked on trading day `day`."""
        return replace(
            self,
            available=self.available + realised,
            realised=self.realised + realised,
            realised_on_day=self.realised_today(day) + realised,
            day=day,
        )
