"""The writer thread: commits what is queued, many transactions in one commit, and tells the event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeVar

import structlog
import tenacity
from sqlalchemy import Engine

from gateway.errors import CapacityError, StoreError
from gateway.log import limited
from gateway.model import Instrument
from gateway.store.engine import store_errors
from gateway.trade.commit import Committer, Price, SupersededError, is_transient
from gateway.trade.ports import Transaction

T = TypeVar("T")
log = structlog.get_logger(__name__)

#: transactions in one commit: some ten ms of work
BATCH_MAX: Final = 1_000
#: between two tries, s
_FIRST_WAIT, _LONGEST_WAIT = 0.01, 0.5

Outcome = tuple[Transaction, Exception | None]
#: what became of transactions, by their `id()`
Outcomes = dict[int, Exception | None]


class Writer:
    """Commits transactions in order of submission. `submit`, `save_prices` and `tidy` belong to the event loop.

    What waits while a commit is on its way is written together in the next one (group commit). A transaction that the
    database refuses fails alone, and with it what its user submitted on top of it. `on_commit` gets the id of the
    last event of the outbox, on the event loop, after each commit that wrote some.
    """

    def __init__(
        self,
        engine: Engine,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        most_waiting: int = 20_000,
        patience_s: float = 5.0,
        on_commit: Callable[[int], None] | None = None,
    ) -> None:
        self._committer = Committer(engine)
        self._loop = loop
        self._most_waiting = most_waiting
        self._on_commit = on_commit
        self._queue: deque[Transaction] = deque()
        #: prices that wait; a newer one of the same instrument takes the place of an older
        self._prices: dict[Instrument, Price] = {}
        self._tidy: datetime | None = None
        self._chores = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        #: nobody waits any longer: tries end
        self._abandoned = threading.Event()
        #: the generation up to which a user's transactions fail
        self._failed: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="trade-writer", daemon=True)
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_transient),
            stop=lambda state: self._enough(state, patience_s),
            wait=tenacity.wait_exponential(_FIRST_WAIT, max=_LONGEST_WAIT),
            sleep=self._pause,
            before_sleep=self._before_sleep,
            reraise=True,
        )
        self._resolving = self._retrying.copy(stop=tenacity.stop_when_event_set(self._abandoned))
        #: whether the last batch is in the database is not known: nothing may build on it
        self._blind = False
        #: commits, transactions that committed, and transactions that did not
        self.batches = 0
        self.transactions = 0
        self.failures = 0
        #: how long the last commit took, s
        self.last_commit_s = 0.0
        #: whether the database took what was written last
        self.healthy = True
        #: another process writes to this database; everything fails from now on
        self.superseded = False

    @property
    def waiting(self) -> int:
        """Transactions that wait; those of the commit on its way are not counted."""
        return len(self._queue)

    def start(self) -> None:
        """Makes this process the one writer and starts the thread. Blocks; raises StoreError."""
        with store_errors("claiming the trade writer"):
            try:
                self._committer.claim()
            except BaseException:
                self._committer.recover()
                raise
            # SQLite wants a connection to stay in its thread
            self._committer.close()
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> bool:
        """Commits what is queued and ends the thread; after `timeout` s what is left fails. Whether all was tried."""
        self._stopping = True
        self._wake.set()
        if not self._thread.ident:
            return True
        self._thread.join(timeout)
        in_time = not self._thread.is_alive()
        self._abandoned.set()
        if not in_time:
            self._thread.join(1.0)
        return in_time

    def submit(self, transaction: Transaction) -> None:
        """Queues it. Raises CapacityError where too many wait, and after `stop`."""
        if len(self._queue) >= self._most_waiting:
            raise CapacityError(f"{self._most_waiting} transactions wait for the database", self._most_waiting)
        if self._stopping:
            raise CapacityError("the trade process is stopping", 0)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._queue.append(transaction)
        self._wake.set()

    def save_prices(self, rows: Sequence[tuple[Instrument, Decimal, datetime]]) -> None:
        """Keeps last prices (INR), soon; lost where the database fails, until the next call."""
        with self._chores:
            self._prices.update((row[0], row) for row in rows)
        self._wake.set()

    def tidy(self, before: datetime) -> None:
        """Forgets, soon, the answers kept under idempotency keys that are older than `before`."""
        with self._chores:
            self._tidy = before
        self._wake.set()

    def _run(self) -> None:
        """The thread: nothing ends it but `stop`."""
        while True:
            self._wake.wait()
            self._wake.clear()
            # read before the queue: what was submitted before the stop is then seen
            stopping = self._stopping
            while self._queue:
                self._turn()
                self._do_chores()
            self._do_chores()
            if stopping:
                break
        self._committer.close()

    def _turn(self) -> None:
        """One batch from the queue to its outcomes on the event loop."""
        taken = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
        outcomes: Outcomes = {}
        last: int | None = None
        try:
            last = self._commit(taken, outcomes)
        except Exception as error:
            # a fault of this module: nobody may wait for ever
            limited(log, "writer fault").exception("the writer failed")
            self._committer.recover()
            self._refuse([one for one in taken if id(one) not in outcomes], error, outcomes)
        self._tell([(one, outcomes[id(one)]) for one in taken], last)

    def _commit(self, batch: Sequence[Transaction], outcomes: Outcomes) -> int | None:
        """Commits a batch, in halves where the database refuses something in it; gives the last event's id."""
        ready = self._without_doomed(batch, outcomes)
        if not ready:
            return None
        begun = time.monotonic()
        try:
            if self._blind:
                raise StoreError("database: it is not known whether earlier changes were written")
            self._retrying(self._write, ready)
        except Exception as error:
            if not (self._committer.uncertain and self._resolved()):
                if len(ready) == 1 or self._hopeless(error):
                    self._refuse(ready, error, outcomes)
                    return None
                middle = len(ready) // 2
                found = [self._commit(half, outcomes) for half in (ready[:middle], ready[middle:])]
                return max((one for one in found if one is not None), default=None)
        self.last_commit_s = time.monotonic() - begun
        self.batches += 1
        self.transactions += len(ready)
        self.healthy = True
        outcomes.update((id(one), None) for one in ready)
        return self._committer.last

    def _resolved(self) -> bool:
        """Whether a batch whose commit was lost is in the database; asks until it answers: books depend on it."""
        try:
            found: bool = self._resolving(self._guarded, self._committer.resolve)
            return found
        except Exception as error:
            self._blind = True
            log.error("it is not known whether a batch was written; nothing more is", reason=_kind(error))
            return False

    def _write(self, batch: Sequence[Transaction]) -> None:
        """One try."""
        if self._committer.uncertain and self._guarded(self._committer.resolve):
            return
        self._guarded(lambda: self._committer.write(batch))

    def _guarded(self, act: Callable[[], T]) -> T:
        """Leaves no transaction open behind an error."""
        try:
            return act()
        except BaseException:
            self._committer.recover()
            raise

    def _without_doomed(self, batch: Sequence[Transaction], outcomes: Outcomes) -> list[Transaction]:
        """Fails what was built on a transaction that failed; gives the others."""
        ready = []
        for one in batch:
            failed = self._failed.get(one.user_id)
            if failed is not None and one.generation <= failed:
                self.failures += 1
                outcomes[id(one)] = StoreError("database: an earlier change of the same user was not written")
                continue
            if failed is not None:
                del self._failed[one.user_id]
            ready.append(one)
        return ready

    def _hopeless(self, error: Exception) -> bool:
        """Whether smaller batches would fail the same way."""
        return is_transient(error) or isinstance(error, StoreError) or self._blind or self._abandoned.is_set()

    def _refuse(self, batch: Sequence[Transaction], error: Exception, outcomes: Outcomes) -> None:
        self.superseded = self.superseded or isinstance(error, SupersededError)
        self.healthy = not (is_transient(error) or isinstance(error, StoreError))
        reason = str(error) if isinstance(error, StoreError) else f"database: writing failed ({_kind(error)})"
        limited(log, "not written").error("not written", reason=reason, transactions=len(batch))
        self.failures += len(batch)
        for one in batch:
            self._failed[one.user_id] = max(one.generation, self._failed.get(one.user_id, 0))
            outcomes[id(one)] = StoreError(reason)

    def _enough(self, state: tenacity.RetryCallState, patience_s: float) -> bool:
        return self._abandoned.is_set() or (state.seconds_since_start or 0.0) >= patience_s

    def _pause(self, seconds: float) -> None:
        self._abandoned.wait(seconds)

    def _before_sleep(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        limited(log, "try again").warning(
            "the database is away or locked; trying again", reason=_kind(error), tries=state.attempt_number
        )

    def _tell(self, outcomes: Sequence[Outcome], last: int | None) -> None:
        """Hands the outcomes to the event loop, in order of submission."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._deliver, outcomes, last)
        except RuntimeError:
            log.warning("the event loop is closed; outcomes are lost", transactions=len(outcomes))

    def _deliver(self, outcomes: Sequence[Outcome], last: int | None) -> None:
        for one, error in outcomes:
            try:
                one.done(error)
            except Exception:
                limited(log, "done").exception("the outcome of a transaction was not taken", user=one.user_id)
        if last is None or self._on_commit is None:
            return
        try:
            self._on_commit(last)
        except Exception:
            limited(log, "on commit").exception("the newest event was not taken")

    def _do_chores(self) -> None:
        """What may fail without harm, once nothing else waits."""
        if not self._prices and self._tidy is None:
            return
        with self._chores:
            prices, self._prices = list(self._prices.values()), {}
            before, self._tidy = self._tidy, None
        try:
            if prices:
                self._committer.save_prices(prices)
            if before is not None:
                self._committer.tidy(before)
        except Exception as error:
            self._committer.recover()
            limited(log, "chores").warning("last prices or old answers were not written", reason=_kind(error))


def _kind(error: BaseException | None) -> str:
    """What kind of error it was, without the values it speaks of."""
    return type(getattr(error, "orig", None) or error).__name__
