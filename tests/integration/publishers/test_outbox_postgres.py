"""The relay's SQL on PostgreSQL, with writers that overlap."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete

from gateway.home import Home
from gateway.store.migrate import open_store
from gateway.store.relay_tables import OutboxCursorRow, OutboxPoisonRow
from gateway.store.trade_tables import OutboxRow
from publishers.base import PoisonError
from publishers.cursors import Outbox
from publishers.relays import Relays
from tests.integration.publishers.site import commit
from tests.unit.publishers.recorder import Recorder, until


@pytest.fixture
def engine(postgres_url: str, tmp_path: Path) -> Iterator[Engine]:
    engine = open_store(postgres_url.replace("postgresql:", "postgresql+psycopg:"), Home(tmp_path / "home").prepare())
    with engine.begin() as connection:
        for table in (OutboxRow, OutboxCursorRow, OutboxPoisonRow):
            connection.execute(delete(table))
    yield engine
    engine.dispose()


@pytest.mark.asyncio
async def test_overlapping_writers_poison_and_pruning(engine: Engine) -> None:
    commit(engine, "asha", [0])
    outbox = Outbox(engine)
    bad = outbox.read(0, 1)[0].id + 50

    def act(events: object) -> int:
        assert isinstance(events, list)
        if events[0].id == bad:
            raise PoisonError("no", bad)
        return next((index for index, event in enumerate(events) if event.id == bad), len(events))

    publisher = Recorder(act=act)
    relays = Relays(outbox, [publisher])
    relays.start()

    def write(user: str) -> None:
        for number in range(40):
            commit(engine, user, range(number))

    threads = [threading.Thread(target=write, args=(user,)) for user in ("asha", "ravi", "uma")]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    total = 1 + 3 * sum(range(40))
    await until(lambda: len(publisher.got) + relays.relays[0].poisoned == total, 60)
    await relays.stop()
    assert publisher.got == sorted(set(publisher.got))
    assert bad not in publisher.got
    assert relays.relays[0].poisoned == 1
    assert outbox.set_aside_count("recorder") == 1
    assert await asyncio.to_thread(outbox.prune, ("recorder",), datetime.now(UTC) + timedelta(hours=1), 1_000) == 1_000
