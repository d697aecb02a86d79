"""Opening the database: SQLite in WAL mode by default, any SQLAlchemy URL else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from gateway.errors import StoreError

#: how long a statement waits for another writer of SQLite, ms
BUSY_TIMEOUT_MS = 5000


def make_engine(url: str) -> Engine:
    """An engine for `url`. Connects at first use. Raises StoreError where no driver can serve the URL."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            engine = create_engine(parsed)
            event.listen(engine, "connect", _sqlite_pragmas)
            return engine
        return create_engine(parsed, pool_pre_ping=True, pool_size=5, connect_args=_connect_args(parsed.drivername))
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise StoreError(f"DATABASE_URL cannot be used: {error}") from None


def _connect_args(driver: str) -> dict[str, Any]:
    """A database that is away is an error within seconds, not minutes; text is UTF-8 whatever the server keeps."""
    return {"connect_timeout": 5, "client_encoding": "utf8"} if driver == "postgresql+psycopg" else {}


def _sqlite_pragmas(connection: Any, _record: object) -> None:
    """WAL lets readers and one writer work at once; FULL keeps an answered write over a power cut."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turns the database's errors into StoreError, without the statement's values (they may be secret)."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or type(error).__name__
        raise StoreError(f"database: {doing} failed: {str(cause).strip()}") from None
