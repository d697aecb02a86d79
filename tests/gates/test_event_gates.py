"""What the gateway promises of order events: Socket.IO within 100 ms, Kafka within 200 ms of the commit (p95, 100/s).

Counted from before the order call is sent to the event in its reader's hands, so call and commit are in it.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import socketio
from confluent_kafka import Consumer

from tests.integration.trade.test_kafka_events import TOPIC, create_topics, settings
from tests.integration.trade.venue import Trader, Venue, eventually, venue
from tests.kafka_server import Broker, kafka

#: orders, each of which raises two events, and pause between them, s
ORDERS, PAUSE_S, ROUNDS = 150, 0.02, 3


class Times:
    """When orders were sent and when their events came, by price, which is unique."""

    def __init__(self) -> None:
        self.sent: dict[float, float] = {}
        self.came: dict[float, float] = {}

    def saw(self, data: dict[str, Any]) -> None:
        price = data.get("price")
        if isinstance(price, int | float):
            self.came.setdefault(float(price), time.monotonic())

    def p95(self) -> float:
        """Of what was sent, s."""
        took = sorted(self.came[price] - at for price, at in self.sent.items())
        return took[int(len(took) * 0.95)]


def place(trader: Trader, times: Times, start: int) -> None:
    """Orders at a steady pace, each at a price of its own."""
    for number in range(start, start + ORDERS):
        price = round(10 + number * 0.05, 2)
        times.sent[price] = time.monotonic()
        trader.limit("BUY", price)
        time.sleep(PAUSE_S)


def median_p95(running: Venue, watch: Callable[[Times], Callable[[], None]]) -> float:
    """The median of some rounds."""
    found = []
    for number in range(ROUNDS):
        times = Times()
        stop = watch(times)
        place(running.trader, times, number * ORDERS)
        eventually(lambda times=times: times.sent.keys() <= times.came.keys(), 20)  # type: ignore[misc]
        stop()
        found.append(times.p95())
    return sorted(found)[ROUNDS // 2]


def _ending(over: threading.Event, thread: threading.Thread) -> Callable[[], None]:
    def stop() -> None:
        over.set()
        thread.join(10)

    return stop


def socket_io(running: Venue, times: Times) -> Callable[[], None]:
    """A python-socketio client in a thread of its own."""
    ready, over = threading.Event(), threading.Event()

    async def listen() -> None:
        client = socketio.AsyncClient(reconnection=False)
        client.on("order_update", times.saw)
        await client.connect(running.gateway.api_url, auth={"apikey": running.key}, transports=["websocket"])
        ready.set()
        while not over.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)
        await client.disconnect()

    thread = threading.Thread(target=lambda: asyncio.run(listen()), daemon=True)
    thread.start()
    assert ready.wait(20)
    return _ending(over, thread)


def consumer(broker: Broker, times: Times) -> Callable[[], None]:
    """A consumer of another make, from the topic's end."""
    over, ready = threading.Event(), threading.Event()

    def read() -> None:
        reader = Consumer(
            {
                "bootstrap.servers": broker.address,
                "group.id": f"gate{time.monotonic_ns()}",
                "auto.offset.reset": "latest",
            }
        )
        reader.subscribe([TOPIC], on_assign=lambda *_: ready.set())
        while not over.is_set():
            message = reader.poll(0.05)
            if message is not None and message.error() is None:
                value = message.value()
                assert value is not None
                times.saw(json.loads(value)["data"])
        reader.close()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    assert ready.wait(60)
    time.sleep(1)
    return _ending(over, thread)


@pytest.mark.gate
@pytest.mark.timeout(200)
def test_order_events_come_in_time(tmp_path: Path) -> None:
    with kafka() as broker, venue(tmp_path, **settings(broker, "BOTH")) as running:
        create_topics(running.gateway)
        running.price(100)
        to_browser = median_p95(running, lambda times: socket_io(running, times))
        to_kafka = median_p95(running, lambda times: consumer(broker, times))
        print(f"order call to Socket.IO client p95 {to_browser * 1e3:.1f} ms, to Kafka {to_kafka * 1e3:.1f} ms")
        assert to_browser < 0.1
        assert to_kafka < 0.2
