"""The desk: every account in memory, the matcher beside them, and one way out of it: committed transactions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import Final, Protocol

import structlog

from gateway.errors import CapacityError, StoreError
from gateway.instruments.record import InstrumentRecord
from gateway.log import limited
from gateway.model import Instrument
from gateway.trade import events
from gateway.trade.core.book import Account
from gateway.trade.core.changes import Changes, Row, Trade
from gateway.trade.core.gtt import Gtt, Side
from gateway.trade.core.ledger import Rules
from gateway.trade.core.orders import Order
from gateway.trade.core.positions import Position
from gateway.trade.holds import Holds
from gateway.trade.matching import Matching, to_price
from gateway.trade.ports import Prices, StoredUser, StreamTick, Transaction, TransactionWriter, Updates
from gateway.trade.user import Decision, Entry, Submitted, Work

log = structlog.get_logger(__name__)

#: decisions carried out per turn of the event loop: some ms, then requests get their share
SLICE: Final = 32


class Masters(Protocol):
    """Instrument records by name."""

    def find(self, exchange: str, symbol: str) -> InstrumentRecord | None:
        """The record; None for an unknown instrument."""


class Desk:
    """Applies commands and fills to the accounts and submits what they change.

    Books in memory run ahead of the database by what is on its way. A transaction that fails takes everything of its
    user back that built on it. `now` is trading time.
    """

    def __init__(
        self,
        matching: Matching,
        writer: TransactionWriter,
        prices: Prices,
        masters: Masters,
        rules: Rules,
        ids: Callable[[], str],
        now: Callable[[], datetime],
        updates: Updates,
    ) -> None:
        self.matching = matching
        self.rules = rules
        self.now = now
        self.holds = Holds(prices)
        self.users: dict[str, Entry] = {}
        #: decisions that could not be carried out
        self.faults = 0
        self.fills = 0
        self._writer = writer
        self._prices = prices
        self._masters = masters
        self._ids = ids
        self._updates = updates
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Entry] = deque()
        self._planned: asyncio.Handle | None = None

    def load(self, stored: Iterable[StoredUser]) -> None:
        """Takes users over from the database at start-up. What rests fills on ticks to come only."""
        for one in stored:
            account = Account(self.rules, self._ids, self.now(), one.funds)
            account.load(one.orders, one.positions, one.holdings, one.gtts)
            entry = Entry(one.user_id, account, one.state, one.state, trades=list(one.trades))
            self.users[one.user_id] = entry
            self.holds.renew(entry)
            self.matching.rebuild(entry)

    def entry(self, user_id: str) -> Entry:
        """The user; new ones start with the capital of the rules."""
        found = self.users.get(user_id)
        if found is None:
            found = self.users[user_id] = Entry(user_id, Account(self.rules, self._ids, self.now()))
        return found

    def work(self, entry: Entry) -> Work:
        """A new transaction of a user, on top of everything the matcher has decided for him so far."""
        while entry.decisions:
            self._decide(entry, entry.decisions.popleft())
        return Work(entry, self.now(), self._submit, self._abandon)

    def on_ticks(self, ticks: Sequence[StreamTick]) -> None:
        """Matches ticks in order; what they fill is carried out now, or soon where it is much."""
        for entry, decision in self.matching.ingest(ticks):
            self._plan(entry, decision)
        if self._ready and self._planned is None:
            self._carry_out()

    def _plan(self, entry: Entry, decision: Decision) -> None:
        if not entry.decisions:
            self._ready.append(entry)
        entry.decisions.append(decision)

    def _carry_out(self) -> None:
        self._planned = None
        for _ in range(SLICE):
            while self._ready and not self._ready[0].decisions:
                self._ready.popleft()
            if not self._ready:
                return
            entry = self._ready[0]
            self._decide(entry, entry.decisions.popleft())
        self._planned = self._loop.call_soon(self._carry_out)

    def _decide(self, entry: Entry, decision: Decision) -> None:
        """Carries out one decision of the matcher, as a transaction of its own."""
        try:
            changes = self._perform(entry, decision)
            if changes.rows:
                work = Work(entry, self.now(), self._submit, self._abandon)
                work.do(changes)
                work.commit()
        except CapacityError:
            limited(log, "full").error("the writer is full: a fill was put off to the next tick", user=entry.user_id)
        except Exception:
            self.faults += 1
            limited(log, "fault").exception("a decision of the matcher was not carried out", user=entry.user_id)

    def _perform(self, entry: Entry, decision: Decision) -> Changes:
        account, now, name = entry.account, self.now(), str(decision[1])
        if decision[0] == "fill":
            self.fills += 1
            return account.fill(name, to_price(decision[2]), now)
        if decision[0] == "triggered":
            return account.trigger(name, now)
        gtt = account.ledger.gtts[name]
        instrument = Instrument(gtt.request.exchange, gtt.request.symbol)
        quote = self.matching.quote(instrument)
        assert quote is not None, "it fired on a price"
        return account.fire_gtt(name, Side(decision[2]), self._masters.find(*instrument), quote, now)

    def _submit(self, work: Work) -> asyncio.Future[None]:
        """Hands a transaction to the writer; where that fails its commands are taken back, and the error goes on."""
        entry, before = work.entry, work.entry.state
        try:
            item = self._prepared(work)
            self._writer.submit(item.transaction)
        except BaseException:
            entry.state = before
            self._abandon(work)
            raise
        entry.submitted.append(item)
        self.holds.follow(entry, item.transaction.rows)
        for row in item.transaction.rows:
            self._leave(row)
        return item.done

    def _prepared(self, work: Work) -> Submitted:
        entry = work.entry
        told = chain.from_iterable(changes.events for changes in work.changes)
        entry.state, updates = events.of_changes(entry.user_id, entry.state, told)
        transaction = Transaction(
            entry.user_id, entry.generation, work.at, work.rows, [*work.events, *updates], entry.state, work.kept
        )
        item = Submitted(transaction, work.changes, self._loop.create_future())
        transaction.done = lambda error: self._done(entry, item, error)
        item.done.add_done_callback(_seen)
        return item

    def _abandon(self, work: Work) -> None:
        """Takes back the commands of a transaction that was never submitted."""
        self._undo(work.entry, [work.changes])

    def _leave(self, row: Row) -> None:
        """What has ended leaves the matcher at once; what rests enters it after its commit."""
        if isinstance(row, Order) and not row.status.resting:
            self.matching.take(row.orderid)
        elif isinstance(row, Gtt) and not row.active:
            self.matching.take_gtt(row.trigger_id)

    def _done(self, entry: Entry, item: Submitted, error: Exception | None) -> None:
        """The outcome of a transaction; outcomes come in order of submission."""
        transaction = item.transaction
        if error is not None:
            if transaction.generation == entry.generation:
                self._fail(entry, error)
            if not item.done.done():
                item.done.set_exception(error if isinstance(error, StoreError) else StoreError(str(error)))
            return
        entry.submitted.popleft()
        entry.committed = transaction.user
        try:
            self._committed(entry, transaction)
        except Exception:
            # it is in the database, so the caller gets its answer
            self.faults += 1
            limited(log, "committed").exception("what was committed was not followed up", user=entry.user_id)
        if not item.done.done():
            item.done.set_result(None)

    def _committed(self, entry: Entry, transaction: Transaction) -> None:
        """Tells of what was committed and lets rest what rests."""
        entry.trades.extend(row for row in transaction.rows if isinstance(row, Trade))
        for event in transaction.events:
            if event.seq is not None:
                self._updates.publish(entry.user_id, event.payload)
        self._enter(entry, transaction.rows)

    def _enter(self, entry: Entry, rows: Iterable[Row]) -> None:
        """Committed orders and GTTs that still stand as they were committed go into the matcher."""
        ledger = entry.account.ledger
        for row in rows:
            if isinstance(row, Order) and ledger.resting.get(row.orderid) is row:
                if self._prices.fresh(Instrument(row.key.exchange, row.key.symbol)) is None:
                    # what the matcher remembers is older than may count at entry
                    self.matching.restore(entry, row)
                elif (decision := self.matching.enter(entry, row)) is not None:
                    self._plan(entry, decision)
            elif isinstance(row, Gtt) and row.active and ledger.gtts.get(row.trigger_id) is row:
                self.matching.add_gtt(entry, row)
        if self._ready and self._planned is None:
            self._planned = self._loop.call_soon(self._carry_out)

    def _fail(self, entry: Entry, error: Exception) -> None:
        """Takes back everything of the user that is on its way: it all built on what has failed."""
        limited(log, "failed").error("a transaction failed", user=entry.user_id, reason=str(error))
        items = list(entry.submitted)
        entry.submitted.clear()
        entry.generation += 1
        entry.state = entry.committed
        entry.decisions.clear()
        self._undo(entry, [item.changes for item in items])

    def _undo(self, entry: Entry, done: Sequence[Sequence[Changes]]) -> None:
        for transaction in reversed(done):
            for changes in reversed(transaction):
                entry.account.undo(changes)
        self.holds.renew(entry)
        self.matching.rebuild(entry)

    def positions_of(self, instrument: Instrument) -> list[tuple[str, Position]]:
        """Open positions of an instrument, with their owners."""
        return self.holds.positions_of(instrument)

    def seq_of(self, user_id: str) -> int:
        """The number of the user's last committed order event."""
        found = self.users.get(user_id)
        return found.committed.seq if found else 0


def _seen(future: asyncio.Future[None]) -> None:
    """Nobody waits for a fill; its failure is logged where it is taken back."""
    if not future.cancelled():
        future.exception()
