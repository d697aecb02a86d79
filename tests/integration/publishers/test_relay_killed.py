"""kill -9 under load: every committed event is delivered, in order, none missing."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import Engine, func, select

from gateway.store.keys import KeyStore
from gateway.store.relay_tables import OutboxCursorRow
from gateway.store.trade_tables import OutboxRow
from tests.integration.publishers.site import commit

ROOT = Path(__file__).resolve().parents[3]
EVENTS = 3_000


def start(engine: Engine, file: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.integration.publishers.relay_child", str(engine.url), str(file)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def delivered(file: Path) -> list[int]:
    return [int(line) for line in file.read_bytes().split(b"\n")[:-1]] if file.exists() else []


def test_a_killed_relay_loses_nothing(stored: tuple[Engine, KeyStore], tmp_path: Path) -> None:
    engine, file, chance = stored[0], tmp_path / "delivered", random.Random(7)
    process = start(engine, file)
    try:
        written, kills, until = 0, 0, time.monotonic() + 100
        while written < EVENTS or (delivered(file) or [0])[-1] < EVENTS:
            assert time.monotonic() < until, (written, kills)
            if written < EVENTS:
                commit(engine, "asha", range(written, written + 30))
                written += 30
            progress = (delivered(file) or [0])[-1]
            if progress > (kills + 1) * EVENTS / 6 and kills < 5:
                time.sleep(chance.random() * 0.3)
                process.kill()
                process.wait()
                kills += 1
                process = start(engine, file)
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert kills == 5
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(OutboxRow)) == EVENTS
        committed = list(connection.scalars(select(OutboxRow.id).order_by(OutboxRow.id)))
        cursor = connection.scalar(select(OutboxCursorRow.event_id).where(OutboxCursorRow.publisher == "file"))
    got = delivered(file)
    assert sorted(set(got)) == committed
    # in order of first delivery, and a restart goes back, never ahead
    assert list(dict.fromkeys(got)) == committed
    assert cursor is not None
    assert cursor <= EVENTS
