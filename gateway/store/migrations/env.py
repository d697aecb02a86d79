"""Run by Alembic for each command; the connection comes from `gateway.store.migrate`."""

from __future__ import annotations

from alembic import context

from gateway.store import relay_tables, trade_tables  # noqa: F401 - their tables belong to the same metadata
from gateway.store.tables import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
