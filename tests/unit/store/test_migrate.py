"""gateway.store.migrate: history and tables agree, migrations are whole and one at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from gateway.errors import StoreError
from gateway.home import Home
from gateway.store import migrate
from gateway.store.engine import make_engine
from gateway.store.keys import KeyStore
from gateway.store.tables import Base


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return make_engine(f"sqlite:///{tmp_path}/gateway.db")


def test_migrations_make_exactly_the_tables(engine: Engine, tmp_path: Path) -> None:
    before, after = migrate.migrate(engine, Home(tmp_path))
    assert before is None
    assert migrate.migrate(engine, Home(tmp_path)) == (after, after)
    assert migrate.status(engine) == (after, after)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"


def test_many_may_migrate_at_once(tmp_path: Path) -> None:
    def one(_: int) -> str:
        engine = make_engine(f"sqlite:///{tmp_path}/gateway.db")
        return migrate.migrate(engine, Home(tmp_path))[1]

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(one, range(8)))) == 1
    assert KeyStore(make_engine(f"sqlite:///{tmp_path}/gateway.db"), b"x").add("asha")


def test_a_migration_that_breaks_leaves_nothing_behind(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic import op

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(op, "create_index", broken)
        with pytest.raises(RuntimeError, match="power cut"):
            migrate.migrate(engine, Home(tmp_path))
    engine.dispose()
    assert inspect(make_engine(str(engine.url))).get_table_names() == []
    migrate.migrate(engine, Home(tmp_path))


def test_a_newer_database_is_left_alone(engine: Engine, tmp_path: Path) -> None:
    migrate.migrate(engine, Home(tmp_path))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="9999 of a newer gateway"):
        migrate.migrate(engine, Home(tmp_path))
