"""Brings the database to the current schema, under a lock, from any process that opens it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from gateway.errors import StoreError
from gateway.home import Home
from gateway.store.engine import make_engine, store_errors

#: PostgreSQL advisory lock of migrations: any fixed number will do
ADVISORY_LOCK = 0x6F616777
LOCK_WAIT_SECONDS = 60.0


def open_store(url: str, home: Home) -> Engine:
    """The engine of a migrated database. Raises StoreError."""
    engine = make_engine(url)
    migrate(engine, home)
    return engine


def migrate(engine: Engine, home: Home) -> tuple[str | None, str]:
    """Upgrades to the newest revision; returns the revisions before and after. Raises StoreError."""
    home.prepare()
    newest = _head()
    with store_errors("opening it"), engine.connect() as connection:
        before = _revision(connection)
    if before == newest:
        return before, newest
    lock = home.lock("migrate", LOCK_WAIT_SECONDS) if engine.dialect.name == "sqlite" else nullcontext()
    with lock, store_errors("migrating it"), engine.connect() as connection, _one_at_a_time(connection):
        before = _revision(connection)
        _refuse_newer(before)
        _upgrade(connection)
    return before, newest


def status(engine: Engine) -> tuple[str | None, str]:
    """The revision the database is at (None: empty) and the newest one. Raises StoreError."""
    with store_errors("opening it"), engine.connect() as connection:
        return _revision(connection), _head()


def _upgrade(connection: Connection) -> None:
    """All migrations in one transaction: a crash leaves the database as it was."""
    if connection.dialect.name == "sqlite":
        # its driver would else commit each CREATE on its own
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _head() -> str:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def _revision(connection: Connection) -> str | None:
    revision: str | None = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    return revision


def _refuse_newer(revision: str | None) -> None:
    """A database that a newer gateway migrated is left alone."""
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreError(f"the database is at revision {revision} of a newer gateway; run that version")


@contextmanager
def _one_at_a_time(connection: Connection) -> Iterator[None]:
    """One migration at a time, over all machines, where the database is PostgreSQL."""
    if connection.dialect.name != "postgresql":
        yield
        return
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
        connection.commit()
