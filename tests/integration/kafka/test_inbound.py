"""Commands from a real topic: performed once, also when their offsets were not committed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import Producer

from gateway.config import load_settings
from publishers.inbound import Inbound
from tests.kafka_server import Broker
from tests.unit.publishers.test_kafka_inbound import GOOD, Service

pytestmark = pytest.mark.asyncio


async def known(_name: str) -> bool:
    return True


async def reject(_user: str, _endpoint: str, _fields: Mapping[str, Any], _reason: str) -> None:
    """Nobody is told."""


def produce(broker: Broker, topic: str, *names: str) -> None:
    producer = Producer({"bootstrap.servers": broker.address})
    for name in names:
        producer.produce(topic, json.dumps({**GOOD, "event_id": name}), key="asha")
    assert producer.flush(30) == 0


async def until(one: Inbound, **counts: int) -> None:
    async with asyncio.timeout(60):
        while any(one.counts[name] < count for name, count in counts.items()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_commands_are_performed_once_and_none_is_missed_while_away(broker: Broker, topic: str) -> None:
    settings = load_settings(
        kafka_bootstrap_servers=broker.address, kafka_esb_events_topic=topic, kafka_consumer_group=topic
    )
    produce(broker, topic, "before the first start")
    service = Service()
    first = Inbound(settings, service, known, reject)
    await first.start()
    async with asyncio.timeout(60):
        while not first.anchored:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await first.stop()
    produce(broker, topic, "a", "b", "a")
    second = Inbound(settings, service, known, reject)
    await second.start()
    await until(second, executed=2, repeated=1)
    produce(broker, topic, "c", "b")
    await until(second, executed=3, repeated=2)
    await second.stop()
    assert len(service.calls) == 3
