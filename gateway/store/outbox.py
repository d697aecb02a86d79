"""Writing events into the outbox, so that their ids commit in order whoever writes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, insert, update

from gateway.store.trade_tables import OutboxRow, TradeWriterRow


class NewEvent(NamedTuple):
    """An event for the outbox (order-events)."""

    user_id: str
    event_type: str
    #: JSON object
    payload: str
    created: datetime


def lock_outbox(connection: Connection) -> None:
    """Waits until no other process writes events, and keeps them out until the transaction ends.

    A reader that follows the ids can then never see one before a lower one. Call it before anything is read in the
    transaction: SQLite cannot make a writer of a reader once another has written.
    """
    connection.execute(update(TradeWriterRow).where(TradeWriterRow.id == 1).values(batch=TradeWriterRow.batch))


def append_events(connection: Connection, events: Sequence[NewEvent]) -> None:
    """Adds events in order to the caller's transaction. They carry no order-event number."""
    lock_outbox(connection)
    if events:
        connection.execute(insert(OutboxRow), [event._asdict() for event in events])
