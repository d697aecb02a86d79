"""Whether a database may have changed, told without asking it where that is possible."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import make_url


def change_detector(url: str) -> Callable[[], bool]:
    """A function that is True when the database may have changed since its last call; at first always.

    An SQLite file and its write-ahead log tell by size and time, for some microseconds; any other database
    must be asked, so the answer is always True.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return lambda: True
    files = (parsed.database, parsed.database + "-wal")
    seen: list[tuple[int, int]] = []

    def changed() -> bool:
        now = [_mark(file) for file in files]
        if now == seen:
            return False
        seen[:] = now
        return True

    return changed


def _mark(file: str) -> tuple[int, int]:
    with suppress(OSError):
        status = os.stat(file)
        return status.st_mtime_ns, status.st_size
    return 0, 0
