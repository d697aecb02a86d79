"""A revocation must be noticed; an idle database must not be asked."""

from __future__ import annotations

from pathlib import Path

from gateway.home import Home
from gateway.store.changes import change_detector
from gateway.store.keys import KeyStore
from gateway.store.migrate import open_store


def test_sqlite_tells_by_its_files(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    home = Home(tmp_path)
    engine = open_store(url, home)
    store = KeyStore(engine, home.key_secret())
    key = store.add("asha")
    changed = change_detector(url)
    assert changed(), "the first look must ask"
    assert not changed()
    user = store.verify(key)
    assert user is not None
    assert not changed(), "reading is no change"
    store.revoke(user.key_id)
    assert changed()
    assert not changed()
    engine.dispose()


def test_other_databases_are_always_asked() -> None:
    changed = change_detector("postgresql+psycopg://gateway@127.0.0.1/gateway")
    assert changed()
    assert changed()
