"""Events of real trading in a real Kafka: broker and trade process die, modes change, nothing is lost or doubled.

GATEWAY_TEST_OUTAGE (s) and GATEWAY_TEST_KILLS make it as long as one likes; the defaults fit into the suite.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from tests.harness import Gateway
from tests.integration.kafka.conftest import read_all
from tests.integration.trade.venue import OPEN, RefusedError, Trader, Venue, eventually, venue
from tests.kafka_server import Broker, kafka

OUTAGE_S = float(os.environ.get("GATEWAY_TEST_OUTAGE", "6"))
KILLS = int(os.environ.get("GATEWAY_TEST_KILLS", "3"))
TOPIC = "from_openalgo_order_events"
INBOUND = "from_esb_order_events"


def committed(home: Path) -> list[tuple[int, str]]:
    """Number and user of every event, in order."""
    database = sqlite3.connect(f"file:{home}/gateway.db?mode=ro", uri=True)
    try:
        return database.execute("SELECT id, user_id FROM outbox ORDER BY id").fetchall()
    finally:
        database.close()


def cursor(home: Path, publisher: str) -> int:
    """How far a publisher came."""
    database = sqlite3.connect(f"file:{home}/gateway.db?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT event_id FROM outbox_cursors WHERE publisher = ?", (publisher,)).fetchall()
        return int(rows[0][0]) if rows else 0
    finally:
        database.close()


def in_kafka(broker: Broker) -> list[tuple[int, str]]:
    """The same of what the topic holds, in order per user."""
    return [(int(one.headers["outbox_id"]), one.key) for one in read_all(broker.address, TOPIC)]


def per_user(events: Sequence[tuple[int, str]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for number, user in events:
        found[user].append(number)
    return dict(found)


class Load:
    """A trader who raises some 100 events a second, whatever dies; `worst` is the longest call, s."""

    def __init__(self, running: Venue, user: str) -> None:
        self._trader = Trader(running.gateway.api_url, running.gateway.add_key(user))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.calls = 0
        self.times: list[float] = []
        self._thread.start()

    def _run(self) -> None:
        order: dict[str, Any] = {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 1}
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._trader.ask("placeorder", **order, pricetype="LIMIT", price=50)
                self._trader.ask("cancelallorder")
            except (httpx.TransportError, RefusedError):
                time.sleep(0.05)
                continue
            self.calls += 2
            self.times.append((time.monotonic() - began) / 2)
            self._stop.wait(0.06 - (time.monotonic() - began))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(15)
        self._trader.close()


def settings(broker: Broker, mode: str) -> dict[str, str]:
    return {"ORDER_EVENT_MODE": mode, "KAFKA_BOOTSTRAP_SERVERS": broker.address}


def create_topics(running: Gateway) -> None:
    done = running.command("kafka", "create-topics")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(240 + 4 * OUTAGE_S)
def test_broker_and_trade_process_die_under_load(tmp_path: Path) -> None:
    with kafka() as broker, venue(tmp_path, **settings(broker, "KAFKA")) as running:
        create_topics(running.gateway)
        running.price(100)
        loads = [Load(running, user) for user in ("asha", "ravi", "mina")]
        time.sleep(2)
        quick = sorted(one for load in loads for one in load.times)
        broker.kill()
        for load in loads:
            load.times.clear()
        for _ in range(KILLS):
            time.sleep(OUTAGE_S / (KILLS + 1))
            pid = running.gateway.kill_child("trade")
            running.gateway.child_pid("trade", other_than=pid)
        time.sleep(OUTAGE_S / (KILLS + 1))
        slow = sorted(one for load in loads for one in load.times)
        broker.start()
        time.sleep(2)
        for load in loads:
            load.stop()
        running.tick(100)
        everything = committed(running.gateway.home)
        eventually(lambda: cursor(running.gateway.home, "kafka") >= everything[-1][0], 60 + OUTAGE_S)
        assert per_user(in_kafka(broker)) == per_user(everything)
        assert len(everything) > 100 * OUTAGE_S / 2
        print(
            f"{len(everything)} events, {sum(load.calls for load in loads)} calls; median call "
            f"{quick[len(quick) // 2] * 1e3:.1f} ms with Kafka, {slow[len(slow) // 2] * 1e3:.1f} ms without"
        )
        running.audit()
        held = str([one.event for one in read_all(broker.address, TOPIC)]) + running.gateway.log
        assert running.key not in held


def reached(running: Venue, publisher: str, number: int) -> None:
    """Waits until a publisher has delivered an event."""
    eventually(lambda: cursor(running.gateway.home, publisher) >= number, 30)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_modes_change_without_loss(tmp_path: Path) -> None:
    with kafka() as broker:
        told: dict[str, set[int]] = defaultdict(set)
        for mode in ("SOCKETIO", "KAFKA", "BOTH", "SOCKETIO"):
            began = time.monotonic()
            with venue(tmp_path, **settings(broker, mode), **OPEN) as running:
                assert time.monotonic() - began < 60
                if mode == "KAFKA":
                    create_topics(running.gateway)
                running.price(100)
                first = committed(running.gateway.home)[-1][0]
                for _ in range(5):
                    running.trader.order("BUY")
                last = committed(running.gateway.home)[-1][0]
                for publisher in ("socketio", "kafka") if mode == "BOTH" else (mode.lower(),):
                    reached(running, publisher, last)
                    told[publisher] |= set(range(first + 1, last + 1))
        numbers = [number for number, _ in in_kafka(broker)]
        assert len(numbers) == len(set(numbers)), "none twice"
        assert told["kafka"] <= set(numbers), "none missing of what was raised while Kafka was chosen"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_commands_of_another_system(tmp_path: Path) -> None:
    with kafka() as broker, venue(tmp_path, **settings(broker, "BOTH"), KAFKA_INBOUND="true") as running:
        create_topics(running.gateway)
        running.price(100)
        order = {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 3, "pricetype": "LIMIT", "price": 90}
        eventually(lambda: "kafka inbound connected" in running.gateway.log, 60)

        def send(kind: str, name: str, data: dict[str, Any]) -> None:
            envelope = {"event_type": kind, "version": "1.0", "user_id": "asha", "event_id": name, "data": data}
            producer.produce(INBOUND, json.dumps(envelope).encode(), "asha")
            producer.flush(10)

        def book() -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = running.trader.ask("orderbook")["data"]["orders"]
            return rows

        producer = Producer({"bootstrap.servers": broker.address})

        # the reader begins at the end of the topic, whenever it has found it
        def sent_again() -> bool:
            send("place_order", "p1", order)
            return bool(book())

        eventually(sent_again, 60)
        for _ in range(3):
            send("place_order", "p1", order)
        send("place_order", "p2", {**order, "quantity": "none"})
        (row,) = book()
        send("cancel_order", "c1", {"orderid": row["orderid"]})
        eventually(lambda: book()[0]["order_status"] == "cancelled", 30)
        assert len(book()) == 1, "the same event places nothing twice"
        refused = "quantity is 'none'"
        eventually(lambda: any(refused in json.dumps(one.event) for one in read_all(broker.address, TOPIC)), 30)


def test_a_kafka_mode_needs_its_settings(tmp_path: Path) -> None:
    gateway = Gateway("--feed", "none", home=tmp_path)
    for name, value in (("ORDER_EVENT_MODE", "PIGEON"), ("KAFKA_BOOTSTRAP_SERVERS", "nowhere:port")):
        wrong: dict[str, Any] = {"ORDER_EVENT_MODE": "KAFKA", name: value}
        refused = Gateway("--feed", "none", home=gateway.home, **wrong).command("serve")
        assert refused.returncode == 2
        assert f"{name} is '{value}'" in refused.stderr
