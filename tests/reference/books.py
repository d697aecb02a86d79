"""The books as plainly as they can be reckoned: from trades and deliveries alone, in fractions, with averages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from gateway.trade.core.changes import Settlement, Trade
from gateway.trade.core.orders import Key, Product

Place = tuple[str, str, str]


@dataclass
class Line:
    """A quantity with its average price and what it realised."""

    quantity: Fraction = Fraction(0)
    average: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)
    #: money in less money out, contract value included
    cash: Fraction = Fraction(0)

    def take(self, quantity: Fraction, price: Fraction, contract: Fraction) -> None:
        """One fill of signed `quantity`, unit by unit of sense: first what it closes, then what it opens."""
        self.cash -= quantity * price * contract
        if self.quantity * quantity < 0:
            closed = min(abs(self.quantity), abs(quantity)) * (1 if quantity > 0 else -1)
            self.realised += (self.average - price) * closed * contract
            self.quantity += closed
            quantity -= closed
        if quantity:
            total = abs(self.quantity) * self.average + abs(quantity) * price
            self.quantity += quantity
            self.average = total / abs(self.quantity)


@dataclass
class ReferenceBooks:
    """Positions and holdings of one user."""

    positions: dict[Key, Line] = field(default_factory=dict)
    holdings: dict[tuple[str, str], Line] = field(default_factory=dict)

    @property
    def realised(self) -> Fraction:
        """All realised PnL, INR."""
        return sum((line.realised for line in [*self.positions.values(), *self.holdings.values()]), Fraction(0))


def recompute(journal: Iterable[Trade | Settlement]) -> ReferenceBooks:
    """The books that trades and deliveries, in order, come to."""
    books = ReferenceBooks()
    for entry in journal:
        if isinstance(entry, Trade):
            line = books.positions.setdefault(entry.key, Line())
            line.take(Fraction(entry.signed_quantity), Fraction(entry.price), Fraction(entry.contract_value))
            continue
        key = Key(entry.exchange, entry.symbol, Product.CNC)
        moved = books.positions[key]
        holding = books.holdings.setdefault((entry.exchange, entry.symbol), Line())
        holding.take(moved.quantity, moved.average, Fraction(1))
        moved.quantity, moved.average = Fraction(0), Fraction(0)
    return books
