"""One user's account: every command there is, each giving the changes for one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal, localcontext
from itertools import chain

from gateway.instruments.record import InstrumentRecord
from gateway.trade.core import day, entry, fills, gtt_book
from gateway.trade.core.changes import Changes, Row, What
from gateway.trade.core.day import Prices
from gateway.trade.core.funds import Funds
from gateway.trade.core.gtt import Gtt, GttRequest, Side
from gateway.trade.core.inputs import bounded
from gateway.trade.core.judge import Quote
from gateway.trade.core.ledger import Ledger, Rules
from gateway.trade.core.money import EXACT
from gateway.trade.core.orders import Order, OrderRequest, Status
from gateway.trade.core.positions import Holding, Position


class Account:
    """The books of one user and the commands on them.

    A command that raises OrderError has changed nothing. One that returns has changed the books in memory, so the next
    command (of the same transaction, too) sees them; `undo` takes the newest commands back where a commit failed.
    """

    def __init__(self, rules: Rules, new_id: Callable[[], str], at: datetime, funds: Funds | None = None) -> None:
        self.rules = rules
        self.ledger = Ledger(rules, funds or Funds.fresh(rules.capital, at), new_id)

    def load(
        self,
        orders: Iterable[Order] = (),
        positions: Iterable[Position] = (),
        holdings: Iterable[Holding] = (),
        gtts: Iterable[Gtt] = (),
    ) -> None:
        """Takes rows over from the database at start-up; resting orders are enough."""
        with self._command():
            for row in chain[Row](orders, positions, holdings, gtts):
                self.ledger.put(row)

    def place(
        self, request: OrderRequest, record: InstrumentRecord | None, quote: Quote | None, at: datetime
    ) -> Changes:
        """Places an order; `quote` is a fresh price of its instrument, or None. Raises OrderError.

        A CNC sell that is not covered and a MARKET order without a price are recorded as rejected: `refusal` is set.
        """
        with self._command() as changes:
            entry.place(self.ledger, request, record, quote, at)
        return changes

    def modify(
        self, orderid: str, request: OrderRequest, record: InstrumentRecord | None, quote: Quote | None, at: datetime
    ) -> Changes:
        """Modifies a resting order: checked as placing is, filled where it becomes marketable. Raises OrderError."""
        with self._command() as changes:
            entry.modify(self.ledger, orderid, request, record, quote, at)
        return changes

    def cancel(self, orderid: str, at: datetime, reason: str = "") -> Changes:
        """Cancels a resting order. Raises OrderError."""
        with self._command() as changes:
            order = entry.resting_order(self.ledger, orderid)
            changes.orderids.append(orderid)
            fills.release(self.ledger, order, Status.CANCELLED, What.CANCELLED, reason, at)
        return changes

    def fill(self, orderid: str, price: Decimal, at: datetime) -> Changes:
        """Fills a resting order at `price` (INR). Does nothing where the order is not resting: it fills once."""
        if not bounded(price) or price <= 0:
            raise ValueError(f"fill price {price} is not above 0")
        return self._resting(orderid, lambda order: fills.fill(self.ledger, order, price, at))

    def trigger(self, orderid: str, at: datetime) -> Changes:
        """Spends the trigger of an SL that could not fill on the tick. Does nothing where none is pending."""
        order = self.ledger.resting.get(orderid)
        if order is None or order.status is not Status.TRIGGER_PENDING:
            return Changes()
        return self._resting(orderid, lambda order: fills.trigger(self.ledger, order, at))

    def reject(self, orderid: str, reason: str, at: datetime) -> Changes:
        """Rejects a resting order. Does nothing where the order is not resting."""
        return self._resting(orderid, lambda order: fills.reject(self.ledger, order, reason, at))

    def square_off(self, at: datetime, prices: Prices) -> Changes:
        """Cancels MIS orders and closes MIS positions whose square-off has passed; `prices` are fresh LTPs, INR."""
        with self._command() as changes:
            day.square_off(self.ledger, at, prices)
        return changes

    def expire(self, at: datetime, prices: Prices) -> Changes:
        """Settles expired contracts at the last price and ends GTTs past their term."""
        with self._command() as changes:
            day.expire(self.ledger, at, prices)
        return changes

    def settle(self, at: datetime) -> Changes:
        """Moves CNC positions that are due (T+1) into holdings. Call it at each day start, before trades of the day."""
        with self._command() as changes:
            day.settle(self.ledger, at)
        return changes

    def reset(self, at: datetime, capital: Decimal | None = None) -> Changes:
        """Starts the books anew with `capital` INR (the rules' where None)."""
        with self._command() as changes:
            day.reset(self.ledger, at, self.rules.capital if capital is None else capital)
        return changes

    def place_gtt(self, request: GttRequest, record: InstrumentRecord | None, at: datetime) -> Changes:
        """Places a GTT. Raises OrderError."""
        with self._command() as changes:
            gtt_book.place(self.ledger, request, record, at)
        return changes

    def modify_gtt(
        self, trigger_id: str, request: GttRequest, record: InstrumentRecord | None, at: datetime
    ) -> Changes:
        """Modifies an active GTT. Raises OrderError."""
        with self._command() as changes:
            gtt_book.modify(self.ledger, trigger_id, request, record, at)
        return changes

    def cancel_gtt(self, trigger_id: str, at: datetime) -> Changes:
        """Cancels an active GTT. Raises OrderError."""
        with self._command() as changes:
            gtt_book.cancel(self.ledger, trigger_id, at)
        return changes

    def fire_gtt(
        self, trigger_id: str, side: Side, record: InstrumentRecord | None, quote: Quote, at: datetime
    ) -> Changes:
        """Fires one leg of a GTT on the tick `quote`. Does nothing where the leg is not waiting: it fires once."""
        with self._command() as changes:
            gtt_book.fire(self.ledger, trigger_id, side, record, quote, at)
        return changes

    def undo(self, changes: Changes) -> None:
        """Takes a command back whose transaction failed. Later commands must be taken back first."""
        with localcontext(EXACT):
            while changes.undo:
                changes.undo.pop()()

    def forget_ended(self, before: datetime) -> None:
        """Frees the memory of orders and GTTs that ended before a time; the database keeps them."""
        ended = [o.orderid for o in self.ledger.orders.values() if not o.status.resting and o.updated_at < before]
        for orderid in ended:
            del self.ledger.orders[orderid]
        past = [g.trigger_id for g in self.ledger.gtts.values() if not g.active and g.updated_at < before]
        for trigger_id in past:
            del self.ledger.gtts[trigger_id]

    def _resting(self, orderid: str, act: Callable[[Order], None]) -> Changes:
        with self._command() as changes:
            order = self.ledger.resting.get(orderid)
            if order is not None:
                changes.orderids.append(orderid)
                act(order)
        return changes

    @contextmanager
    def _command(self) -> Iterator[Changes]:
        """All or nothing: what raises inside is taken back."""
        changes = self.ledger.changes = Changes()
        with localcontext(EXACT):
            try:
                yield changes
            except BaseException:
                self.undo(changes)
                raise
