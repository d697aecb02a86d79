"""`gateway kafka`: make the topics, look at the events (order-events, "Kafka")."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Final

import orjson

from gateway.commands.common import emit, note, settings_for_command
from gateway.config import Settings
from gateway.errors import StartError

if TYPE_CHECKING:
    from aiokafka.admin import AIOKafkaAdminClient

PARTITIONS: Final = 5
REPLICAS_MAX: Final = 3
_HOUR_MS: Final = 3_600_000
EVENTS_RETENTION_MS: Final = 7 * 24 * _HOUR_MS
INBOUND_RETENTION_MS: Final = 24 * _HOUR_MS
#: how long Kafka may take to answer a command, s
_ANSWER_S: Final = 30.0
_EXISTS: Final = 36


def create_topics(as_json: bool) -> None:
    """Makes both topics; one that is there already is left as it is. Raises StartError where Kafka cannot."""
    settings = settings_for_command()
    rows = asyncio.run(_create(settings))
    emit(("topic", "state", "partitions", "replicas", "retention_hours"), rows, as_json)


def tail(as_json: bool, from_beginning: bool) -> int:
    """Prints events until Ctrl-C: one JSON line each, or a line for people. Raises StartError where Kafka is away."""
    settings = settings_for_command()
    try:
        asyncio.run(_tail(settings, as_json, from_beginning))
    except KeyboardInterrupt:
        note("")
    return 0


async def _create(settings: Settings) -> list[dict[str, Any]]:
    from aiokafka.admin import AIOKafkaAdminClient

    from publishers.kafka_client import end, options

    admin = AIOKafkaAdminClient(**options(settings))
    try:
        await _or_away(settings, admin.start())
        found = await _or_away(settings, admin.describe_cluster())
        replicas = max(1, min(REPLICAS_MAX, len(found["brokers"])))
        return [
            await _one(settings, admin, settings.kafka_order_events_topic, replicas, EVENTS_RETENTION_MS),
            await _one(settings, admin, settings.kafka_esb_events_topic, replicas, INBOUND_RETENTION_MS),
        ]
    finally:
        await end(_Admin(admin))


class _Admin:
    """The admin client under the names that producers and consumers have."""

    def __init__(self, admin: AIOKafkaAdminClient) -> None:
        self._admin = admin
        self._client = admin._client

    async def stop(self) -> None:
        """Ends it."""
        await self._admin.close()


async def _one(
    settings: Settings, admin: AIOKafkaAdminClient, topic: str, replicas: int, retention_ms: int
) -> dict[str, Any]:
    from aiokafka.admin import NewTopic

    wanted = NewTopic(topic, PARTITIONS, replicas, topic_configs={"retention.ms": str(retention_ms)})
    answer = await _or_away(settings, admin.create_topics([wanted]))
    code, *said = next(code[1:] for code in answer.topic_errors if code[0] == topic)
    if code == _EXISTS:
        return {"topic": topic, "state": "there already"}
    if code:
        raise StartError(f"topic {topic} was not made: Kafka answers with error {code} {' '.join(map(str, said))}")
    hours = retention_ms // _HOUR_MS
    return {
        "topic": topic, "state": "made", "partitions": PARTITIONS, "replicas": replicas, "retention_hours": hours,
    }  # fmt: skip


async def _or_away(settings: Settings, work: Any) -> Any:
    from publishers.base import TransportDownError
    from publishers.kafka_client import within

    try:
        return await within(_ANSWER_S, "asking the broker", work)
    except TransportDownError as error:
        held = settings.kafka_bootstrap_servers
        raise StartError(f"{error}; KAFKA_BOOTSTRAP_SERVERS is {held!r}: does a broker run there?") from error


async def _tail(settings: Settings, as_json: bool, from_beginning: bool) -> None:
    from aiokafka import AIOKafkaConsumer

    from publishers.kafka_client import end, options, quiet

    quiet()
    consumer = AIOKafkaConsumer(
        settings.kafka_order_events_topic,
        **options(settings),
        group_id=None,
        auto_offset_reset="earliest" if from_beginning else "latest",
        fetch_max_wait_ms=100,
    )
    try:
        await _or_away(settings, consumer.start())
        note(f"reading {settings.kafka_order_events_topic}; Ctrl-C ends")
        async for message in consumer:
            sys.stdout.write(_line(message.value or b"", as_json) + "\n")
            sys.stdout.flush()
    finally:
        await end(consumer)


def _line(value: bytes, as_json: bool) -> str:
    """One event as JSON, or as words; what is no event is shown as text."""
    try:
        event = orjson.loads(value)
        if as_json:
            return orjson.dumps(event).decode()
        data = orjson.dumps(event["data"]).decode()
        return f"{event['timestamp']}  {event['user_id']}  {event['event_type']}  {data}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return orjson.dumps({"unreadable": value.decode("utf-8", "replace")}).decode()
