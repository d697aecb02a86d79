"""Accounts whose commands go through a real writer into a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from gateway.trade import books, events
from gateway.trade.core.book import Account
from gateway.trade.core.changes import Changes
from gateway.trade.core.ledger import Ledger, Rules
from gateway.trade.core.margin import LeverageModel
from gateway.trade.core.orders import OrderRequest
from gateway.trade.ids import Ids
from gateway.trade.ports import Kept, OutEvent, StoredUser, Transaction, UserState
from gateway.trade.writer import Writer
from tests.unit.trade.desk import CALENDAR, CAPITAL, NOON, RECORDS, ask_for, quote

EVER = datetime(2000, 1, 1, tzinfo=UTC)
RULES = Rules(CALENDAR, LeverageModel(), CAPITAL)
IDS = Ids(0)


class Clerk:
    """One user: every command is a transaction; `future` results tell what became of it (None: committed)."""

    def __init__(self, writer: Writer, user: str = "asha", ids: Callable[[], str] = IDS) -> None:
        self.writer, self.user = writer, user
        self.account = Account(RULES, ids, NOON)
        self.state = UserState()
        self.generation = 0
        self.now = NOON

    @property
    def ledger(self) -> Ledger:
        return self.account.ledger

    def submit(self, changes: Changes, kept: Kept | None = None, *more: OutEvent) -> asyncio.Future[Any]:
        self.state, told = events.of_changes(self.user, self.state, changes.events)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        rows = list(changes.rows.values())
        self.writer.submit(
            Transaction(self.user, self.generation, self.now, rows, [*told, *more], self.state, kept, future.set_result)
        )
        return future

    def buy(self, quantity: object = 10, ltp: object = 100, action: str = "BUY", **fields: Any) -> Changes:
        request: OrderRequest = ask_for(action, quantity, **fields)
        return self.account.place(request, RECORDS[request.symbol], quote(ltp), self.now)

    def rest(self, quantity: object = 1, **fields: Any) -> Changes:
        return self.buy(quantity, pricetype="LIMIT", price=99, **fields)

    def take_back(self, changes: Changes, state: UserState) -> None:
        """What the desk does with a failure."""
        self.account.undo(changes)
        self.state = state
        self.generation += 1


@asynccontextmanager
async def running(engine: Engine, **options: Any) -> AsyncIterator[Writer]:
    writer = Writer(engine, **options)
    writer.start()
    try:
        yield writer
    finally:
        await asyncio.to_thread(writer.stop)


def loaded(engine: Engine, user: str = "asha") -> StoredUser:
    return next(one for one in books.load_users(engine, EVER) if one.user_id == user)


def same_books(engine: Engine, clerk: Clerk) -> None:
    """A restart finds the books of memory."""
    stored = loaded(engine, clerk.user)
    # nothing was blocked yet where there are no funds: they begin as they began in memory
    again = Account(RULES, IDS, NOON, stored.funds)
    again.load(stored.orders, stored.positions, stored.holdings, stored.gtts)
    for name in ("funds", "orders", "positions", "holdings", "gtts", "resting", "reserved"):
        assert getattr(again.ledger, name) == getattr(clerk.ledger, name), name
    assert stored.state == clerk.state


def doubled(changes: Changes) -> Changes:
    """The same fill once more."""
    return Changes(rows=dict(changes.rows))
