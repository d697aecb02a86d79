"""Fixtures that more than one test module uses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a throw-away PostgreSQL server that lives as long as the test run."""
    with servers.postgres() as url:
        yield url


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No setting in the environment, no `.env`: an empty working directory, which is returned."""
    from gateway.config import Settings
    from gateway.settings import brokers
    from gateway.settings.fields import describe
    from gateway.settings.load import PREFIXES

    known = {name for about in describe(Settings).values() for name in (about.variable, *about.aliases)}
    for name in list(os.environ):
        ours = name in known or name.startswith(PREFIXES)
        if ours or name.startswith(tuple(f"{broker.upper()}_" for broker in brokers.NAMES)):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path
