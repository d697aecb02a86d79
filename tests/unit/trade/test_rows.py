"""gateway.trade.rows: every value comes back equal from the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from sqlalchemy import Engine

from gateway.home import Home
from gateway.store.migrate import open_store
from gateway.trade import books, rows
from gateway.trade.core.changes import Row
from tests.unit.trade.values import BACK, EXAMPLES, VALUES


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder: Path = tmp_path_factory.mktemp("rows")
    engine = open_store(f"sqlite:///{folder}/gateway.db", Home(folder))
    yield engine
    engine.dispose()


def there_and_back(engine: Engine, value: Row) -> list[tuple[str, Any]]:
    table = rows.TABLE_OF[type(value)]
    with engine.connect() as connection:
        connection.execute(table.__table__.insert(), [rows.fields_of("asha", value, 7)])  # type: ignore[attr-defined]
        found = books.read(connection, books.columns(table), BACK[type(value)])
        connection.rollback()
    return found


@settings(max_examples=300, deadline=None)
@given(value=VALUES)
def test_any_value_comes_back_equal(engine: Engine, value: Row) -> None:
    assert BACK[type(value)](rows.fields_of("asha", value)) == value
    assert there_and_back(engine, value) == [("asha", value)]


@pytest.mark.parametrize("value", [value for value, _ in EXAMPLES], ids=lambda value: type(value).__name__)
def test_an_example_of_each_kind(engine: Engine, value: Row) -> None:
    [(_, found)] = there_and_back(engine, value)
    assert found == value
    assert rows.fields_of("asha", value).keys() | {"number"} >= set(rows.TABLE_OF[type(value)].__table__.columns.keys())
    for name in ("at", "placed_at", "updated_at", "since"):
        if hasattr(found, name):
            assert getattr(found, name).utcoffset() == timedelta(0)
    for name in ("quantity", "realised", "margin"):
        if hasattr(found, name):
            assert isinstance(getattr(found, name), Decimal)
