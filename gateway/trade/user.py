"""One user at the desk: his account, what of it is not committed yet, and what the desk keeps beside."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.model import Instrument
from gateway.trade.core.book import Account
from gateway.trade.core.changes import Changes, Row, Trade, identity
from gateway.trade.core.gtt import Gtt
from gateway.trade.core.orders import Key, Order
from gateway.trade.core.positions import Position
from gateway.trade.ports import Kept, OutEvent, Transaction, UserState

#: what the matcher decided: ("fill", id, price), ("triggered", id) or ("gtt", id, side)
Decision = tuple[Any, ...]


@dataclass(slots=True)
class Submitted:
    """A transaction on its way, with what takes it back."""

    transaction: Transaction
    changes: Sequence[Changes]
    done: asyncio.Future[None]


@dataclass(slots=True)
class Entry:
    """One user. Everything here is touched by the event loop only."""

    user_id: str
    account: Account
    #: with what is on its way
    state: UserState = field(default_factory=UserState)
    #: as the database has it
    committed: UserState = field(default_factory=UserState)
    #: rises when a transaction failed
    generation: int = 0
    #: transactions on their way, oldest first
    submitted: deque[Submitted] = field(default_factory=deque)
    #: decisions of the matcher that are not carried out yet
    decisions: deque[Decision] = field(default_factory=deque)
    #: fills of the trading day that are committed, oldest first
    trades: list[Trade] = field(default_factory=list)
    #: what keeps instruments subscribed: identity of an order, GTT or position -> its instrument
    needs: dict[tuple[object, ...], Instrument] = field(default_factory=dict)

    async def settled(self) -> None:
        """Waits for what is on its way: an answer never tells what is not committed."""
        while self.submitted:
            await asyncio.wait([self.submitted[-1].done])


class Work:
    """One transaction being put together: commands on one account, the events they raise, the answer that is kept.

    Nothing may be awaited between the first `do` and `commit`.
    """

    def __init__(
        self,
        entry: Entry,
        at: datetime,
        submit: Callable[[Work], asyncio.Future[None]],
        abandon: Callable[[Work], None],
    ) -> None:
        self.entry = entry
        #: trading time
        self.at = at
        self.changes: list[Changes] = []
        self.events: list[OutEvent] = []
        self.kept: Kept | None = None
        self._submit = submit
        self._abandon = abandon
        self._over = False

    @property
    def account(self) -> Account:
        """The user's account."""
        return self.entry.account

    def do(self, changes: Changes) -> Changes:
        """Takes a command's outcome into the transaction."""
        self.changes.append(changes)
        return changes

    def tell(self, event_type: str, payload: bytes) -> None:
        """Adds an event that is no order update."""
        self.events.append(OutEvent(event_type, payload))

    @property
    def rows(self) -> list[Row]:
        """The newest version of each row."""
        rows: dict[tuple[object, ...], Row] = {}
        for changes in self.changes:
            rows |= changes.rows
        return list(rows.values())

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.events and not any(changes.rows for changes in self.changes)

    def commit(self) -> asyncio.Future[None]:
        """Submits it; the future ends once it is committed, or with StoreError. Raises CapacityError."""
        self._over = True
        return self._submit(self)

    def abandon(self) -> None:
        """Takes its commands back, unless it was submitted."""
        if not self._over:
            self._over = True
            self._abandon(self)


def need_of(row: Row) -> tuple[tuple[object, ...], Instrument | None] | None:
    """What a row says of subscriptions: its identity, and the instrument while it needs one. None: nothing."""
    match row:
        case Order():
            return identity(row), _instrument(row.key) if row.status.resting else None
        case Gtt():
            place = Instrument(row.request.exchange, row.request.symbol)
            return identity(row), place if row.active else None
        case Position():
            return identity(row), _instrument(row.key) if row.quantity else None
    return None


def _instrument(key: Key) -> Instrument:
    return Instrument(key.exchange, key.symbol)
