"""How far each publisher of order events has come, and the events that it could not deliver."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from gateway.store.tables import Base, UtcTime
from gateway.store.trade_tables import BIG, OutboxRow

#: a Socket.IO client that comes back asks for one user's events after an id
Index("ix_outbox_user_id_id", OutboxRow.user_id, OutboxRow.id)


class OutboxCursorRow(Base):
    """The last event of the outbox that a publisher delivered (or set aside)."""

    __tablename__ = "outbox_cursors"

    publisher: Mapped[str] = mapped_column(String(32), primary_key=True)
    event_id: Mapped[int] = mapped_column(BIG)
    updated: Mapped[datetime] = mapped_column(UtcTime)


class OutboxPoisonRow(Base):
    """An event that a publisher could not deliver, whole: the outbox forgets it after a day."""

    __tablename__ = "outbox_poison"

    publisher: Mapped[str] = mapped_column(String(32), primary_key=True)
    event_id: Mapped[int] = mapped_column(BIG, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64))
    event_type: Mapped[str] = mapped_column(String(32))
    seq: Mapped[int | None] = mapped_column(BIG)
    #: JSON object
    payload: Mapped[str] = mapped_column(Text)
    #: when it was committed
    created: Mapped[datetime] = mapped_column(UtcTime)
    reason: Mapped[str] = mapped_column(String(500))
    tries: Mapped[int] = mapped_column(Integer)
    #: when it was set aside
    at: Mapped[datetime] = mapped_column(UtcTime)
