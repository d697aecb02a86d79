"""A relay in its smallest form, in a process that may be killed: outbox in SQLite → KafkaPublisher → cursor."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from datetime import UTC, datetime

from gateway.config import load_settings
from publishers.base import Event, TransportDownError
from publishers.kafka import KafkaPublisher

SCHEMA = """
CREATE TABLE outbox (id INTEGER PRIMARY KEY, user_id TEXT, payload TEXT, created REAL);
CREATE TABLE cursor (at INTEGER);
INSERT INTO cursor VALUES (0);
"""


async def relay(file: str, address: str, topic: str) -> None:
    """Runs until it is killed."""
    settings = load_settings(
        kafka_bootstrap_servers=address, kafka_order_events_topic=topic, kafka_producer_request_timeout_ms=3000
    )
    publisher, database = KafkaPublisher(settings), sqlite3.connect(file, timeout=30, isolation_level=None)
    database.execute("PRAGMA synchronous=OFF")
    (cursor,) = database.execute("SELECT at FROM cursor").fetchone()
    while True:
        rows = database.execute(
            "SELECT id, user_id, payload, created FROM outbox WHERE id > ? ORDER BY id LIMIT 500", (cursor,)
        ).fetchall()
        events = [
            Event(number, user, "order_update", payload.encode(), None, datetime.fromtimestamp(created, UTC))
            for number, user, payload, created in rows
        ]
        if not events:
            await asyncio.sleep(0.005)
            continue
        try:
            done = await publisher.publish(events)
        except TransportDownError:
            await asyncio.sleep(0.1)
            continue
        cursor = events[done - 1].id
        # the moment between acknowledgement and commit, made long enough to be killed in
        await asyncio.sleep(0.02)
        database.execute("UPDATE cursor SET at = ?", (cursor,))


if __name__ == "__main__":
    asyncio.run(relay(*sys.argv[1:]))
