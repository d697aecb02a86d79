"""The state of one user's books, with one way to change it: `put`, which records how to take the change back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from gateway.trade.core.calendar import Calendar
from gateway.trade.core.changes import Changes, Event, Row, What, identity
from gateway.trade.core.funds import Funds
from gateway.trade.core.gtt import Gtt
from gateway.trade.core.margin import MarginModel
from gateway.trade.core.money import ZERO
from gateway.trade.core.orders import Action, Key, Order, Product
from gateway.trade.core.positions import FLAT, Holding, Net, Position

OcoMode = Literal["max", "sum"]


@dataclass(frozen=True)
class Rules:
    """What the books of all users are kept by."""

    calendar: Calendar
    margin: MarginModel
    #: INR (SANDBOX_STARTING_CAPITAL)
    capital: Decimal
    #: SANDBOX_GTT_OCO_MARGIN_MODE
    oco_margin: OcoMode = "max"


@dataclass
class Ledger:
    """One user's rows. Read freely; change only through `put` (which journals) within a command."""

    rules: Rules
    funds: Funds
    #: makes the id of a new order or GTT; ids never repeat
    new_id: Callable[[], str]
    orders: dict[str, Order] = field(default_factory=dict)
    positions: dict[Key, Position] = field(default_factory=dict)
    #: by exchange and symbol
    holdings: dict[tuple[str, str], Holding] = field(default_factory=dict)
    gtts: dict[str, Gtt] = field(default_factory=dict)
    #: orders that can still fill
    resting: dict[str, Order] = field(default_factory=dict)
    #: quantity of resting orders that was to reduce a position (or sell a holding), so nothing counts on it twice
    reserved: dict[tuple[Key, Action], Decimal] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)

    def put(self, row: Row, what: What | None = None) -> None:
        """Makes `row` the newest version of itself, journals it, and tells `what` happened where it is given."""
        match row:
            case Order():
                self._restore_order(row.orderid, row)
            case Position():
                self._set(self.positions, row.key, row)
            case Holding():
                self._set(self.holdings, (row.exchange, row.symbol), row)
            case Gtt():
                self._set(self.gtts, row.trigger_id, row)
            case Funds():
                old = self.funds
                self.funds = row
                self.changes.undo.append(lambda: setattr(self, "funds", old))
        self.changes.rows[identity(row)] = row
        if what is not None:
            self.changes.events.append(Event(what, row))

    def drop(self, row: Position | Holding) -> None:
        """Forgets a row that a reset emptied; the emptied row itself was put before."""
        if isinstance(row, Position):
            self._set(self.positions, row.key, None)
        else:
            self._set(self.holdings, (row.exchange, row.symbol), None)

    def _set(self, rows: dict, key: object, row: Row | None) -> None:  # type: ignore[type-arg]
        old = rows.get(key)
        _replace(rows, key, row)
        self.changes.undo.append(lambda: _replace(rows, key, old))

    def _restore_order(self, orderid: str, row: Order | None, journal: bool = True) -> None:
        """Sets one order and what is counted of it; None removes it."""
        old = self.orders.get(orderid)
        for order, sign in ((old, -1), (row, 1)):
            if order is not None and order.reserved_quantity:
                side = (order.key, order.request.action)
                left = self.reserved.get(side, ZERO) + sign * order.reserved_quantity
                _replace(self.reserved, side, left or None)
        _replace(self.orders, orderid, row)
        _replace(self.resting, orderid, row if row is not None and row.status.resting else None)
        if journal:
            self.changes.undo.append(lambda: self._restore_order(orderid, old, journal=False))

    def position(self, key: Key) -> Net:
        """What is open under `key`; nothing where there is no position."""
        found = self.positions.get(key)
        return found.net if found else FLAT

    def held(self, key: Key) -> Decimal:
        """Holdings that a CNC sell under `key` may count on; 0 for other products."""
        found = self.holdings.get((key.exchange, key.symbol)) if key.product is Product.CNC else None
        return found.quantity if found else ZERO

    def block(self, amount: Decimal) -> None:
        """Blocks `amount` INR more (less, where negative). Raises FundsError where it is not there."""
        if amount:
            self.put(self.funds.blocked(amount))

    def credit(self, realised: Decimal, day: date) -> None:
        """Books realised PnL, INR."""
        if realised:
            self.put(self.funds.credited(realised, day))

    def day(self, at: datetime) -> date:
        """The trading day of `at`."""
        return self.rules.calendar.trading_day(at)


def _replace(rows: dict, key: object, row: object | None) -> None:  # type: ignore[type-arg]
    if row is None:
        rows.pop(key, None)
    else:
        rows[key] = row
