"""The SQL of the relay: reading the outbox in order, cursors, events set aside, pruning. Runs in worker threads."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, Select, delete, func, insert, select, update

from gateway.store.engine import store_errors
from gateway.store.relay_tables import OutboxCursorRow, OutboxPoisonRow
from gateway.store.trade_tables import OutboxRow
from publishers.base import Event

#: from so many on a backlog is not counted row by row
_COUNTED_MAX: Final = 100_000
_REASON_MAX: Final = 500
_COLUMNS: Final = (
    OutboxRow.id, OutboxRow.user_id, OutboxRow.event_type, OutboxRow.payload, OutboxRow.seq, OutboxRow.created
)  # fmt: skip


class Place(NamedTuple):
    """Where a publisher goes on."""

    #: the last event that counts as delivered
    cursor: int
    #: whether the publisher is new to this database
    new: bool
    #: lowest and highest event that were pruned before the publisher saw them; None: there are none
    gone: tuple[int, int] | None


class Backlog(NamedTuple):
    """What a publisher has not delivered yet."""

    rows: int
    #: when the oldest of them was committed
    oldest: datetime | None


class Outbox:
    """The outbox as relays see it. Every method raises StoreError and may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def place(self, publisher: str, now: datetime) -> Place:
        """Where `publisher` goes on; makes its cursor where it has none.

        A new publisher starts behind the furthest cursor of all: it delivers exactly the events that no publisher has
        delivered. Without any cursor it starts at the beginning of the outbox. One that was configured before goes on
        where it was.
        """
        with store_errors("finding a publisher's place"), self._engine.begin() as connection:
            found = connection.scalar(select(OutboxCursorRow.event_id).where(OutboxCursorRow.publisher == publisher))
            cursor = found
            if cursor is None:
                cursor = connection.scalar(select(func.max(OutboxCursorRow.event_id))) or 0
                row = {"publisher": publisher, "event_id": cursor, "updated": now}
                connection.execute(insert(OutboxCursorRow), row)
            oldest = connection.scalar(select(func.min(OutboxRow.id)))
            gone = (
                (cursor + 1, oldest - 1) if found is not None and oldest is not None and oldest > cursor + 1 else None
            )
            return Place(cursor, found is None, gone)

    def read(self, after: int, limit: int) -> list[Event]:
        """At most `limit` events behind number `after`, in order."""
        query = select(*_COLUMNS).where(OutboxRow.id > after).order_by(OutboxRow.id).limit(limit)
        return self._events("reading the outbox", query)

    def missed(self, user_id: str | None, after: int, limit: int) -> list[Event]:
        """The same of one user; None: of all."""
        query = select(*_COLUMNS).where(OutboxRow.id > after).order_by(OutboxRow.id).limit(limit)
        return self._events("reading missed events", query if user_id is None else query.filter_by(user_id=user_id))

    def save(self, publisher: str, cursor: int, now: datetime) -> None:
        """Moves a cursor."""
        with store_errors("moving a publisher's cursor"), self._engine.begin() as connection:
            _move(connection, publisher, cursor, now)

    def set_aside(self, publisher: str, event: Event, reason: str, tries: int, now: datetime) -> None:
        """Keeps an event that cannot be delivered and moves the cursor past it, in one transaction."""
        row = event._asdict() | {"publisher": publisher, "event_id": event.id, "payload": event.payload.decode()}
        del row["id"]
        row |= {"reason": reason[:_REASON_MAX], "tries": tries, "at": now}
        key = (OutboxPoisonRow.publisher == publisher) & (OutboxPoisonRow.event_id == event.id)
        with store_errors("setting an event aside"), self._engine.begin() as connection:
            # first the write: SQLite cannot make a writer of a reader once another has written
            _move(connection, publisher, event.id, now)
            connection.execute(delete(OutboxPoisonRow).where(key))
            connection.execute(insert(OutboxPoisonRow), row)

    def backlog(self, cursor: int) -> Backlog:
        """How much stands behind number `cursor`; above 100,000 an upper estimate."""
        with store_errors("counting the outbox"), self._engine.connect() as connection:
            ends = select(func.min(OutboxRow.id), func.max(OutboxRow.id)).where(OutboxRow.id > cursor)
            first, last = connection.execute(ends).one()
            if first is None:
                return Backlog(0, None)
            rows = last - first + 1
            if rows <= _COUNTED_MAX:
                rows = connection.scalar(select(func.count()).select_from(OutboxRow).where(OutboxRow.id > cursor)) or 0
            return Backlog(rows, connection.scalar(select(OutboxRow.created).where(OutboxRow.id == first)))

    def set_aside_count(self, publisher: str) -> int:
        """How many events of a publisher were set aside and not yet dealt with."""
        query = select(func.count()).select_from(OutboxPoisonRow).where(OutboxPoisonRow.publisher == publisher)
        with store_errors("counting events set aside"), self._engine.connect() as connection:
            return connection.scalar(query) or 0

    def prune(self, publishers: tuple[str, ...], before: datetime, limit: int) -> int:
        """Deletes at most `limit` of the oldest events that all `publishers` delivered and that are older than
        `before`; gives how many. A publisher without cursor keeps everything."""
        cursors = select(OutboxCursorRow.event_id).where(OutboxCursorRow.publisher.in_(publishers))
        with store_errors("pruning the outbox"), self._engine.begin() as connection:
            passed = connection.scalars(cursors).all()
            if not publishers or len(passed) < len(publishers):
                return 0
            # from the lower end only: nothing has to search the table for times
            query = select(OutboxRow.id, OutboxRow.created).where(OutboxRow.id <= min(passed))
            rows = connection.execute(query.order_by(OutboxRow.id).limit(limit)).all()
            last = None
            for row in rows:
                if row.created >= before:
                    break
                last = row.id
        if last is None:
            return 0
        with store_errors("pruning the outbox"), self._engine.begin() as connection:
            return connection.execute(delete(OutboxRow).where(OutboxRow.id <= last)).rowcount

    def _events(self, doing: str, query: Select[int, str, str, str, int | None, datetime]) -> list[Event]:
        with store_errors(doing), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [Event(row[0], row[1], row[2], row[3].encode(), row[4], row[5]) for row in rows]


def _move(connection: Connection, publisher: str, cursor: int, now: datetime) -> None:
    statement = update(OutboxCursorRow).where(OutboxCursorRow.publisher == publisher)
    connection.execute(statement.values(event_id=cursor, updated=now))
