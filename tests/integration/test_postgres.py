"""The store on a real PostgreSQL."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, text

from gateway.config import load_settings
from gateway.errors import StoreError
from gateway.home import Home
from gateway.store import migrate
from gateway.store.credentials import CredentialStore
from gateway.store.engine import make_engine
from gateway.store.keys import KeyStore
from gateway.store.tables import Base


@pytest.fixture
def url(postgres_url: str, request: pytest.FixtureRequest) -> str:
    """A database of its own for each test."""
    name = re.sub(r"\W", "_", request.node.name).lower()
    server = make_engine(load_settings(database_url=postgres_url).database_url)
    with server.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(f"CREATE DATABASE {name}"))
    server.dispose()
    return load_settings(database_url=postgres_url.rsplit("/", 1)[0] + f"/{name}").database_url


@pytest.fixture
def engine(url: str, tmp_path: Path) -> Iterator[Engine]:
    engine = migrate.open_store(url, Home(tmp_path))
    yield engine
    engine.dispose()


def test_migrations_make_exactly_the_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_many_may_migrate_at_once(url: str, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gateway.home import Home\n"
        "from gateway.store.migrate import open_store\n"
        "open_store(sys.argv[1], Home(Path(sys.argv[2])))"
    )

    def one(number: int) -> int:
        arguments = [sys.executable, "-c", code, url, str(tmp_path / str(number))]
        return subprocess.run(arguments, check=False).returncode

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(4))) == [0] * 4
    engine = make_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM counters")).scalar_one() == 1
    engine.dispose()


def test_keys(engine: Engine) -> None:
    store = KeyStore(engine, b"s" * 32)
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda number: store.add(f"user{number % 2}"), range(16)))
    owners = [store.verify(key) for key in keys]
    assert [owner.user_id for owner in owners if owner] == [f"user{number % 2}" for number in range(16)]
    ids = [info.id for info in store.list()]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(store.revoke, ids))
    assert store.revoked_since(0) == (16, store.revoked_since(0)[1])
    assert sorted(store.revoked_since(0)[1]) == ids
    assert [store.verify(key) for key in keys] == [None] * 16
    created = store.list()[0].created_at
    assert created.utcoffset() is not None


def test_credentials(engine: Engine) -> None:
    store = CredentialStore(engine, b"s" * 32)
    store.put("zerodha", {"api_key": "k"})
    store.put("zerodha", {"access_token": "t"})
    assert store.get("zerodha") == {"api_key": "k", "access_token": "t"}


def test_a_server_that_is_away_is_a_store_error_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        migrate.open_store("postgresql+psycopg://joe:open-sesame@127.0.0.1:1/x", Home(tmp_path))
    assert "sesame" not in str(caught.value)
