"""`gateway migrate` and `gateway keys …`."""

from __future__ import annotations

import sys

from gateway.commands.common import emit, home_of, key_store, note, settings_for_command


def migrate() -> None:
    """Brings the database to the current schema."""
    from gateway.store import migrate as migrations
    from gateway.store.engine import make_engine

    settings = settings_for_command()
    before, after = migrations.migrate(make_engine(settings.database_url), home_of(settings))
    note(f"database at revision {after}" + ("" if before == after else f" (was: {before or 'empty'})"))


def add(user: str, key: str | None) -> None:
    """Prints the new key, alone, on standard output."""
    if key == "-":
        key = sys.stdin.readline().strip()
    print(key_store(settings_for_command()).add(user, key))
    note(f"key of {user}: shown this once only, keep it safe")


def show(as_json: bool) -> None:
    """Lists all keys."""
    rows = [
        {**info._asdict(), "status": "revoked" if info.revoked_at else "active"}
        for info in key_store(settings_for_command()).list()
    ]
    emit(("id", "user", "status", "ending", "created_at", "revoked_at"), rows, as_json)


def revoke(key_id: int) -> None:
    """Revokes a key; doing it twice is no error."""
    done = key_store(settings_for_command()).revoke(key_id)
    note(f"key {key_id} revoked, its connections end within a second" if done else f"key {key_id} was revoked before")
