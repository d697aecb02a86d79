"""A broker for the tests of this folder, topics of their own, and an independent reader."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.kafka_server import Broker, kafka

_numbers = itertools.count(1)


class Read(NamedTuple):
    """One record as librdkafka sees it."""

    partition: int
    key: str
    event: dict[str, Any]
    headers: dict[str, bytes]


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One broker for all tests; who kills it starts it again."""
    with kafka() as found:
        yield found


@pytest.fixture
def new_topic(broker: Broker) -> Callable[..., str]:
    """Makes a topic nobody else uses."""
    return lambda **config: make_topic(broker.address, config)


@pytest.fixture
def topic(new_topic: Callable[..., str]) -> str:
    """A topic with 5 partitions."""
    return new_topic()


def make_topic(address: str, config: dict[str, str]) -> str:
    name = f"events-{next(_numbers)}-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": address})
    for done in admin.create_topics([NewTopic(name, 5, 1, config=config)]).values():
        done.result(30)
    return name


def read_all(address: str, topic: str) -> list[Read]:
    """Everything the topic holds now, in order within each partition."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "reader", "auto.offset.reset": "earliest"})
    try:
        partitions = [TopicPartition(topic, number, 0) for number in range(5)]
        ends = {one.partition: consumer.get_watermark_offsets(one, timeout=30)[1] for one in partitions}
        consumer.assign(partitions)
        found: list[Read] = []
        until = time.monotonic() + 60
        while len(found) < sum(ends.values()):
            assert time.monotonic() < until, (len(found), ends)
            for message in consumer.consume(10_000, 0.5):
                assert message.error() is None, message.error()
                number, key, value = message.partition(), message.key(), message.value()
                assert number is not None
                assert key is not None
                assert value is not None
                pairs: Any = message.headers() or []
                headers = {name: held for name, held in pairs if isinstance(held, bytes)}
                found.append(Read(number, key.decode(), json.loads(value), headers))
        return found
    finally:
        consumer.close()
