"""A database for each test; Redis where one is asked for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from gateway.store.keys import KeyStore
from tests import redis_server
from tests.integration.publishers.site import database


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[tuple[Engine, KeyStore]]:
    engine, store = database(tmp_path)
    yield engine, store
    engine.dispose()


@pytest.fixture
def redis() -> Iterator[redis_server.Redis]:
    """A throw-away Redis. Skips where none is installed."""
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is not installed (Debian: apt-get install redis-server)")
    with redis_server.redis() as server:
        yield server
