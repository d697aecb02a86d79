"""gateway.store.keys, on SQLite; the same cases run on PostgreSQL in tests/integration/test_postgres.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from gateway.errors import StoreError
from gateway.home import Home
from gateway.store.keys import KeyStore
from gateway.store.migrate import open_store

SECRET = b"s" * 32


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_store(f"sqlite:///{tmp_path}/gateway.db", Home(tmp_path))


@pytest.fixture
def store(engine: Engine) -> KeyStore:
    return KeyStore(engine, SECRET)


def test_key_is_random_and_verifies_to_its_owner(store: KeyStore) -> None:
    first, second = store.add("asha"), store.add("asha")
    assert first != second
    assert len(first) >= 43
    user = store.verify(first)
    assert user is not None
    assert (user.user_id, user.key_id) == ("asha", 1)
    other = store.verify(second)
    assert other is not None
    assert (other.user_id, other.key_id) == ("asha", 2)


@pytest.mark.parametrize("key", ["", "x", "y" * 43, "z" * 100_000, "é" * 43, "\ud800" * 43, "\x00" * 43])
def test_foreign_keys_are_nobodys(store: KeyStore, key: str) -> None:
    store.add("asha")
    assert store.verify(key) is None


def test_only_the_hmac_is_kept(store: KeyStore, engine: Engine, tmp_path: Path) -> None:
    key = store.add("asha")
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM api_keys")).mappings().one()
    assert len(row["digest"]) == 64
    assert key not in str(dict(row))
    assert row["ending"] == key[-4:]
    assert all(key.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_another_secret_knows_no_key(store: KeyStore, engine: Engine) -> None:
    key = store.add("asha")
    assert KeyStore(engine, b"t" * 32).verify(key) is None


def test_taking_over_an_existing_key(store: KeyStore) -> None:
    key = "0123456789abcdef" * 4
    assert store.add("ben", f"  {key}\n") == key
    assert store.verify(key) is not None
    with pytest.raises(StoreError, match="already"):
        store.add("asha", key)
    with pytest.raises(StoreError, match="16 to 256"):
        store.add("asha", "short")
    assert [info.user for info in store.list()] == ["ben"]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "new\nline"])
def test_user_names(store: KeyStore, name: str) -> None:
    with pytest.raises(StoreError, match="is no name"):
        store.add(name)


def test_revocation_ends_the_key_and_counts_up(store: KeyStore) -> None:
    keys = [store.add(user) for user in ("asha", "ben", "chitra")]
    assert store.last_revocation() == 0
    assert store.revoked_since(0) == (0, [])
    assert store.revoke(3)
    assert store.revoke(1)
    assert not store.revoke(3)
    assert [store.verify(key) is None for key in keys] == [True, False, True]
    assert store.revoked_since(0)[1] == [3, 1]
    newest, fresh = store.revoked_since(1)
    assert fresh == [1]
    assert newest == store.last_revocation()
    assert store.revoked_since(newest) == (newest, [])
    with pytest.raises(StoreError, match="no key has id 9"):
        store.revoke(9)
    assert [info.revoked_at is None for info in store.list()] == [False, True, False]
    with pytest.raises(StoreError, match="revoked"):
        store.add("asha", keys[0])


def test_many_at_once(store: KeyStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda number: store.add(f"user{number % 3}"), range(24)))
        owners = list(pool.map(store.verify, keys))
        list(pool.map(store.revoke, range(1, 25)))
    assert [owner.user_id for owner in owners if owner] == [f"user{number % 3}" for number in range(24)]
    newest, ids = store.revoked_since(0)
    assert sorted(ids) == list(range(1, 25))
    assert newest == 24


def test_a_database_that_is_away_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        open_store("sqlite:////nonexistent/gateway.db", Home(tmp_path))
    with pytest.raises(StoreError, match="DATABASE_URL"):
        open_store("nosuchdb://x/y", Home(tmp_path))
