"""gateway.trade.writer on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from gateway.config import load_settings
from gateway.home import Home
from gateway.store.engine import make_engine
from gateway.store.migrate import open_store
from gateway.store.outbox import lock_outbox
from gateway.trade import books, commit, rows
from gateway.trade.writer import Writer
from tests.unit.trade.clerk import Clerk, running, same_books
from tests.unit.trade.values import EXAMPLES
from tests.unit.trade.writer_cases import WriterCases

_numbers = itertools.count()


@pytest.fixture
def engine(postgres_url: str, tmp_path: Path) -> Iterator[Engine]:
    name = f"writer_{next(_numbers)}"
    server = make_engine(load_settings(database_url=postgres_url).database_url)
    with server.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(f"CREATE DATABASE {name}"))
    server.dispose()
    url = load_settings(database_url=postgres_url.rsplit("/", 1)[0] + f"/{name}").database_url
    engine = open_store(url, Home(tmp_path))
    yield engine
    engine.dispose()


class TestOnPostgres(WriterCases):
    """The common cases."""


@pytest.mark.asyncio
async def test_connections_that_the_server_ends_are_made_anew(engine: Engine) -> None:
    async with running(engine) as writer:
        clerk = Clerk(writer)
        for _ in range(3):
            assert await clerk.submit(clerk.buy()) is None
            with engine.begin() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
    same_books(engine, clerk)


@pytest.mark.asyncio
async def test_a_lock_that_lasts_is_an_error_and_tried_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "LOCK_WAIT_MS", 50)
    tries: list[object] = []
    monkeypatch.setattr(Writer, "_before_sleep", lambda _, state: tries.append(state))
    async with running(engine) as writer:
        clerk = Clerk(writer)
        with engine.begin() as other:
            lock_outbox(other)
            future = clerk.submit(clerk.buy())
            await asyncio.sleep(0.5)
            assert not future.done()
            assert tries, "the database gave up waiting"
        assert await future is None
    same_books(engine, clerk)


def test_every_value_comes_back_equal(engine: Engine) -> None:
    for value, back in EXAMPLES:
        table = rows.TABLE_OF[type(value)]
        with engine.begin() as connection:
            connection.execute(table.__table__.insert(), [rows.fields_of("asha", value, 7)])  # type: ignore[attr-defined]
            assert books.read(connection, books.columns(table), back) == [("asha", value)]
            connection.execute(table.__table__.delete())  # type: ignore[attr-defined]
