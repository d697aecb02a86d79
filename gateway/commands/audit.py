"""`gateway audit`: every book, recomputed from the trades."""

from __future__ import annotations

from gateway.commands.common import emit, home_of, note, settings_for_command
from gateway.store.migrate import open_store
from gateway.trade.audit import audit as differences


def audit(as_json: bool) -> int:
    """Prints the differences; returns 1 where there is one. The gateway may run meanwhile."""
    settings = settings_for_command()
    engine = open_store(settings.database_url, home_of(settings))
    try:
        found = differences(engine)
    finally:
        engine.dispose()
    emit(["difference"], [{"difference": line} for line in found], as_json)
    note(f"{len(found)} differences" if found else "every book adds up")
    return 1 if found else 0
