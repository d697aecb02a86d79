"""A database for each test; Node's packages and Redis once."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from gateway.store.keys import KeyStore
from tests import redis_server
from tests.integration.publishers.site import database

JS = Path(__file__).resolve().parents[2] / "js"


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[tuple[Engine, KeyStore]]:
    engine, store = database(tmp_path)
    yield engine, store
    engine.dispose()


@pytest.fixture(scope="session")
def node_script() -> Path:
    """`listen.mjs` with its packages beside it. Skips where Node is not installed."""
    if shutil.which("npm") is None:
        pytest.skip("Node is not installed (Debian: apt-get install nodejs npm)")
    installed = JS / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (JS / "package-lock.json").stat().st_mtime:
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=JS, capture_output=True, text=True, check=False, timeout=110)
        assert done.returncode == 0, done.stderr
    return JS / "listen.mjs"


@pytest.fixture
def redis() -> Iterator[redis_server.Redis]:
    """A throw-away Redis. Skips where none is installed."""
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is not installed (Debian: apt-get install redis-server)")
    with redis_server.redis() as server:
        yield server
