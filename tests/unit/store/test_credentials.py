"""gateway.store.credentials."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from gateway.errors import StoreError
from gateway.home import Home
from gateway.store.credentials import CredentialStore
from gateway.store.migrate import open_store


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_store(f"sqlite:///{tmp_path}/gateway.db", Home(tmp_path))


def test_put_get_merge_remove(engine: Engine) -> None:
    store = CredentialStore(engine, b"s" * 32)
    assert store.get("zerodha") == {}
    store.put("zerodha", {"api_key": "a-key", "access_token": "one"})
    store.put("zerodha", {"access_token": "two", "user_id": "AB1234"})
    assert store.get("zerodha") == {"api_key": "a-key", "access_token": "two", "user_id": "AB1234"}
    assert [(info.broker, info.fields) for info in store.list()] == [
        ("zerodha", ("access_token", "api_key", "user_id"))
    ]
    store.put("zerodha", {"user_id": ""})
    assert "user_id" not in store.get("zerodha")
    assert store.remove("zerodha")
    assert not store.remove("zerodha")


def test_nothing_readable_is_on_disk(engine: Engine, tmp_path: Path) -> None:
    CredentialStore(engine, b"s" * 32).put("zerodha", {"access_token": "very-secret-token"})
    assert all(b"very-secret-token" not in path.read_bytes() for path in tmp_path.iterdir())


def test_another_homes_secret_is_told_how_to_mend_it(engine: Engine) -> None:
    CredentialStore(engine, b"s" * 32).put("zerodha", {"access_token": "t"})
    with pytest.raises(StoreError, match="gateway brokers add zerodha"):
        CredentialStore(engine, b"t" * 32).get("zerodha")


def test_unknown_field(engine: Engine) -> None:
    with pytest.raises(StoreError, match="pin"):
        CredentialStore(engine, b"s" * 32).put("zerodha", {"pin": "1234"})
