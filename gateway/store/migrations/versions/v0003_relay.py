"""Cursors of the publishers, events set aside, and the index of events by user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Makes the tables of the relay."""
    op.create_table(
        "outbox_cursors",
        sa.Column("publisher", sa.String(32), nullable=False),
        sa.Column("event_id", _BIG, nullable=False),
        sa.Column("updated", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("publisher", name="pk_outbox_cursors"),
    )
    op.create_table(
        "outbox_poison",
        sa.Column("publisher", sa.String(32), nullable=False),
        sa.Column("event_id", _BIG, nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("event_type", sa.String(32), nullable=False),
        sa.Column("seq", _BIG, nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("publisher", "event_id", name="pk_outbox_poison"),
    )
    op.create_index("ix_outbox_user_id_id", "outbox", ["user_id", "id"])
