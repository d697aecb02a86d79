"""Broker and publisher die under load: the topic holds every committed event, each once, in order per user."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.kafka.child import SCHEMA
from tests.integration.kafka.conftest import make_topic, read_all
from tests.kafka_server import kafka

RATE, SECONDS, DEATHS = 300, 14.0, 6


def write(file: Path, committed: list[tuple[int, str]], stop: threading.Event) -> None:
    database = sqlite3.connect(file, timeout=30, isolation_level=None)
    database.execute("PRAGMA synchronous=OFF")
    number = 0
    while not stop.is_set():
        database.execute("BEGIN IMMEDIATE")
        for _ in range(RATE // 20):
            number += 1
            user = f"user{number % 13}"
            database.execute("INSERT INTO outbox VALUES (?, ?, ?, ?)", (number, user, f'{{"n":{number}}}', time.time()))
            committed.append((number, user))
        database.execute("COMMIT")
        time.sleep(0.05)
    database.close()


@contextlib.contextmanager
def child(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with Path(arguments[0]).with_suffix(".log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "tests.integration.kafka.child", *arguments], stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_is_lost_or_doubled_when_broker_and_publisher_die(tmp_path: Path) -> None:
    file, stop, committed = tmp_path / "outbox.db", threading.Event(), list[tuple[int, str]]()
    database = sqlite3.connect(file, timeout=30, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.executescript(SCHEMA)
    chance = random.Random(5)
    with kafka() as broker:
        topic = make_topic(broker.address, {})
        writer = threading.Thread(target=write, args=(file, committed, stop), daemon=True)
        writer.start()
        began, killed, back = time.monotonic(), False, False
        while time.monotonic() - began < SECONDS:
            with child(str(file), broker.address, topic) as process:
                until = time.monotonic() + SECONDS / DEATHS + chance.random()
                while time.monotonic() < until:
                    passed = time.monotonic() - began
                    if passed > 4 and not killed:
                        broker.kill()
                        killed = True
                    if passed > 8 and not back:
                        broker.start()
                        back = True
                    assert process.poll() is None, file.with_suffix(".log").read_text()[-2000:]
                    time.sleep(0.01)
        stop.set()
        writer.join()
        with child(str(file), broker.address, topic):
            until = time.monotonic() + 60
            while database.execute("SELECT at FROM cursor").fetchone()[0] < len(committed):
                assert time.monotonic() < until
                time.sleep(0.05)
        read = read_all(broker.address, topic)
    database.close()
    assert killed
    assert back
    per_user: dict[str, list[int]] = defaultdict(list)
    for one in read:
        per_user[one.key].append(one.event["data"]["n"])
    expected: dict[str, list[int]] = defaultdict(list)
    for number, user in committed:
        expected[user].append(number)
    assert len(committed) > RATE * SECONDS / 4
    assert per_user == expected
    assert len({one.event["event_id"] for one in read}) == len(read)
