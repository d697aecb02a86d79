"""KafkaPublisher against a real broker, read with librdkafka."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.config import load_settings
from publishers.base import Event, PoisonError, TransportDownError
from publishers.kafka import KafkaPublisher
from publishers.kafka_envelope import event_id
from tests.integration.kafka.conftest import read_all
from tests.kafka_server import Broker

pytestmark = pytest.mark.asyncio
AT = datetime(2026, 1, 29, 10, 30, 45, 123456, UTC)


def events(count: int, first: int = 1, size: int = 200, at: datetime = AT) -> list[Event]:
    payload = json.dumps({"symbol": "SBIN-EQ", "note": "y" * size}).encode()
    return [Event(number, f"user{number % 7}", "order_update", payload, number, at) for number in
            range(first, first + count)]  # fmt: skip


def publisher(broker: Broker, topic: str, **more: Any) -> KafkaPublisher:
    return KafkaPublisher(load_settings(kafka_bootstrap_servers=broker.address, kafka_order_events_topic=topic, **more))


async def publish_all(one: KafkaPublisher, what: list[Event]) -> None:
    done = 0
    while done < len(what):
        done += await one.publish(what[done:])


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_every_codec_brings_every_event_once_in_order_per_user(broker: Broker, topic: str, codec: str) -> None:
    one, sent = publisher(broker, topic, kafka_producer_compression=codec), events(3000)
    assert await one.resume(0) == 0
    await publish_all(one, sent)
    await one.stop()
    read = read_all(broker.address, topic)
    got, wanted = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for each in read:
        got[each.key].append(each.event["event_id"])
    for event in sent:
        wanted[event.user_id].append(event_id(event))
    assert got == wanted


async def test_envelope(broker: Broker, topic: str) -> None:
    one = publisher(broker, topic)
    assert await one.publish([Event(41, "asha", "order_event", b'{"price":850.50}', None, AT)]) == 1
    await one.stop()
    (read,) = read_all(broker.address, topic)
    name = event_id(Event(41, "asha", "order_event", b"{}", None, AT))
    assert read.key == "asha"
    assert read.headers == {"outbox_id": b"41", "event_id": name.encode()}
    assert read.event == {
        "event_type": "order_event", "timestamp": "2026-01-29T10:30:45.123456Z", "user_id": "asha",
        "source": "openalgo", "version": "1.0", "event_id": name, "data": {"price": 850.5},
    }  # fmt: skip


async def test_what_the_topic_holds_is_not_sent_again(broker: Broker, topic: str) -> None:
    first, sent = publisher(broker, topic), events(2500)
    await publish_all(first, sent)
    await first.stop()
    second, more = publisher(broker, topic), sent[2000:] + events(10, first=2501)
    await second.resume(2000)
    await publish_all(second, more)
    await second.stop()
    assert len(read_all(broker.address, topic)) == 2510


async def test_a_new_database_that_counts_from_one_again_loses_nothing(broker: Broker, topic: str) -> None:
    for at in (AT, datetime(2026, 2, 1, tzinfo=UTC)):
        one = publisher(broker, topic)
        await one.resume(0)
        await publish_all(one, events(50, at=at))
        await one.stop()
    assert len(read_all(broker.address, topic)) == 100


async def test_an_event_too_large_is_poison_and_holds_nothing_else_back(
    broker: Broker, new_topic: Callable[..., str]
) -> None:
    topic = new_topic(**{"max.message.bytes": "20000"})
    one = publisher(broker, topic, kafka_producer_compression="none", kafka_producer_batch_size=10_000)
    user = "asha"
    sent = [Event(n, user, "order_update", b'{"x":"%b"}' % (b"y" * (30_000 if n == 3 else 10)), n, AT)
            for n in range(1, 6)]  # fmt: skip
    left, poison = list(sent), []
    for _ in range(10):
        if not left:
            break
        try:
            left = left[await one.publish(left) :]
        except PoisonError:
            poison.append(left.pop(0).id)
        except TransportDownError:
            continue
    with pytest.raises(PoisonError, match="event 9 has"):
        await one.publish([Event(9, user, "order_update", b'{"x":"%b"}' % (b"y" * 1_100_000), 9, AT)])
    await one.stop()
    assert poison == [3]
    assert [each.headers["outbox_id"] for each in read_all(broker.address, topic)] == [b"1", b"2", b"4", b"5"]


async def test_a_broker_that_is_away_is_said_and_stop_is_bounded() -> None:
    one = KafkaPublisher(load_settings(kafka_bootstrap_servers="127.0.0.1:1", kafka_sasl_password="open-sesame-42"))
    await one.start()
    with pytest.raises(TransportDownError, match="Kafka: connecting failed"):
        await one.publish(events(1))
    began = time.monotonic()
    await one.stop()
    assert time.monotonic() - began < 5
    assert "sesame" not in repr(one)
