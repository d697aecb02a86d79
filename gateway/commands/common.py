"""What the commands share: settings, home, stores, and output for people or scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gateway import log
from gateway.config import Settings, load_settings
from gateway.home import Home

if TYPE_CHECKING:
    from gateway.store.credentials import CredentialStore
    from gateway.store.keys import KeyStore


def settings_for_command(warn: bool = True, **overrides: Any) -> Settings:
    """Settings, with logging set up after them; warnings about unknown variables go to standard error."""
    settings = load_settings(**overrides)
    log.configure(settings.log_level, settings.log_format)
    if warn:
        for line in settings.warnings:
            note(f"warning: {line}")
    return settings


def home_of(settings: Settings) -> Home:
    """GATEWAY_HOME, made where it is not there."""
    return Home(settings.gateway_home).prepare()


def key_store(settings: Settings) -> KeyStore:
    """The key store on a migrated database."""
    from gateway.store.keys import KeyStore
    from gateway.store.migrate import open_store

    home = home_of(settings)
    return KeyStore(open_store(settings.database_url, home), home.key_secret())


def credential_store(settings: Settings) -> CredentialStore:
    """The credential store on a migrated database."""
    from gateway.store.credentials import CredentialStore
    from gateway.store.migrate import open_store

    home = home_of(settings)
    return CredentialStore(open_store(settings.database_url, home), home.store_secret())


def note(text: str) -> None:
    """A line for people, on standard error."""
    print(text, file=sys.stderr, flush=True)


def emit(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Rows on standard output: JSON when asked for, a table on a terminal, tab-separated lines with a header else."""
    if as_json:
        print(json.dumps([{name: row.get(name) for name in columns} for row in rows], default=_plain, indent=2))
    elif sys.stdout.isatty():
        _table(columns, rows)
    else:
        print("\t".join(columns))
        for row in rows:
            print("\t".join(_text(row.get(name)) for name in columns))


def _table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*(name.replace("_", " ") for name in columns))
    for row in rows:
        table.add_row(*(Text(_text(row.get(name))) for name in columns))
    Console().print(table)


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else _plain(value)
    return text.replace("\t", " ").replace("\n", " ")


def _plain(value: Any) -> str:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)
