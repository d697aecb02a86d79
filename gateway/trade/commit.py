"""One physical transaction at a time: the rows of a batch, numbered, in the database whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Final

from sqlalchemy import Connection, Engine, Insert, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from gateway.errors import StoreError
from gateway.model import Instrument
from gateway.store.tables import Base
from gateway.store.trade_tables import IdempotencyRow, LastPriceRow, OutboxRow, TradeWriterRow
from gateway.trade.batch import INSERTED, UPSERTED, count_numbered, gather
from gateway.trade.ports import Transaction

#: a batch number is the number of its writer times this, plus its own
TERM: Final = 1 << 32
#: how long PostgreSQL waits for another writer of events before that is an error, ms; SQLite: see the engine
LOCK_WAIT_MS: Final = 5000

Price = tuple[Instrument, Decimal, datetime]


class SupersededError(StoreError):
    """Another trade process has begun to write to this database."""


def is_transient(error: BaseException) -> bool:
    """Whether the same statements may succeed later: a lock, a lost connection, a server that is away."""
    if isinstance(error, OperationalError | PoolTimeoutError):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


class Committer:
    """Writes batches on a connection of its own. Used by one thread; raises SQLAlchemyError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        self._connection: Connection | None = None
        self._term = 0
        self._batch = 0
        #: a commit was lost on its way: the batch may be in the database; `resolve` tells
        self.uncertain = False
        #: id of the newest event of the batch that was written last; None where it told nothing
        self.last: int | None = None

    def claim(self) -> None:
        """Makes this the one writer; one that wrote before is refused from now on. Raises StoreError."""
        connection = self._begun()
        found = connection.execute(_LOCK).scalar_one_or_none()
        if found is None:
            raise StoreError("the table trade_writer is empty; it must hold its one row with id 1")
        self._term = found // TERM + 1
        self._batch = self._term * TERM
        connection.execute(_ROW.values(batch=self._batch))
        connection.commit()

    def write(self, transactions: Sequence[Transaction]) -> None:
        """Commits the transactions together; `last` then tells the newest event. Raises SupersededError.

        Where `uncertain` is set after an error, nothing may be written before `resolve` has told the outcome.
        """
        connection = self._begun()
        numbers = count_numbered(transactions)
        batch, number = connection.execute(_NEXT, {"numbers": numbers}).one()
        self._still_ours(batch)
        rows = gather(transactions, number - numbers)
        for table in (*UPSERTED, *INSERTED):
            if rows[table]:
                connection.execute(self._statement(table), rows[table])
        self.last = connection.execute(_LAST_EVENT).scalar_one() if rows[OutboxRow] else None
        self.uncertain = True
        connection.commit()
        self._batch, self.uncertain = batch, False

    def resolve(self) -> bool:
        """Whether the batch whose commit was lost is in the database. Raises SupersededError."""
        connection = self._begun()
        # waits for the lost transaction where the server is still at it
        batch: int = connection.execute(_LOCK).scalar_one()
        connection.rollback()
        self._still_ours(batch)
        committed = batch > self._batch
        self._batch, self.uncertain = batch, False
        return committed

    def save_prices(self, prices: Sequence[Price]) -> None:
        """Keeps last prices."""
        connection = self._begun()
        rows = [{"exchange": i.exchange, "symbol": i.symbol, "ltp": ltp, "at": at} for i, ltp, at in prices]
        connection.execute(self._statement(LastPriceRow), rows)
        connection.commit()

    def tidy(self, before: datetime) -> None:
        """Forgets the answers kept under idempotency keys that are older than `before`."""
        connection = self._begun()
        connection.execute(delete(IdempotencyRow).where(IdempotencyRow.created < before))
        connection.commit()

    def recover(self) -> None:
        """After an error: gives up the transaction and its connection, whatever state they are in."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with suppress(SQLAlchemyError):
            connection.invalidate()
        with suppress(SQLAlchemyError):
            connection.close()

    close = recover

    def _still_ours(self, batch: int) -> None:
        if batch // TERM != self._term:
            raise SupersededError("another trade process has taken over this database; this one must end")

    def _begun(self) -> Connection:
        """The connection, at the start of a transaction that will write."""
        if self._connection is None:
            self._connection = self._engine.connect()
            if not self._sqlite:
                self._connection.exec_driver_sql(f"SET lock_timeout = {LOCK_WAIT_MS}")
                self._connection.commit()
        if self._sqlite:
            # waits its turn here; a reader that wants to write later could not
            self._connection.exec_driver_sql("BEGIN IMMEDIATE")
        return self._connection

    def _statement(self, table: type[Base]) -> Insert:
        if table in INSERTED:
            return _plain(table)
        return _upsert(table, self._engine.dialect.name)


_ROW: Final = update(TradeWriterRow).where(TradeWriterRow.id == 1)
#: takes the lock that orders all writers of events
_LOCK: Final = _ROW.values(batch=TradeWriterRow.batch).returning(TradeWriterRow.batch)
#: takes that lock, the next batch number, and numbers for fills
_NEXT: Final = _ROW.values(
    batch=TradeWriterRow.batch + 1, number=TradeWriterRow.number + bindparam("numbers")
).returning(TradeWriterRow.batch, TradeWriterRow.number)
_LAST_EVENT: Final = select(func.max(OutboxRow.id))


@cache
def _plain(table: type[Base]) -> Insert:
    return insert(table)


@cache
def _upsert(table: type[Base], dialect: str) -> Insert:
    """Inserts a row or makes the stored one equal to it."""
    stored = table.__table__
    assert isinstance(stored, Table)
    statement = postgresql.insert(stored) if dialect == "postgresql" else sqlite.insert(stored)
    keys = [column.name for column in stored.primary_key]
    new = {column.name: statement.excluded[column.name] for column in stored.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=new)
