"""What a topic already holds of the events after a place in the outbox: read backwards from its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from publishers.kafka_client import end
from publishers.kafka_envelope import EVENT_ID, OUTBOX_ID

#: first look back, records of a partition; each further one is four times as long
_STEP: Final = 1_000
#: furthest look back; more than the events that can be sent before the cursor is committed
BACK_MAX: Final = 50_000
#: the end must hold still so long: what a dead producer sent may still be on its way through the broker, s
SETTLE_S: Final = 0.25
_POLL_MS: Final = 500
#: the broker may hold an answer back so long where there is nothing to read
_WAIT_MS: Final = 50
_STOP_S: Final = 2.0


async def held_after(options: dict[str, Any], topic: str, partitions: Iterable[int], cursor: int) -> dict[str, int]:
    """`event_id` → outbox number of every event in the topic whose number is above `cursor`.

    One partition holds the events of a database in rising order, so looking back ends at the first number that is not
    above. Raises aiokafka's errors; does not return while the broker is away (the caller bounds it).
    """
    consumer = AIOKafkaConsumer(
        **options,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=_STEP,
        fetch_max_wait_ms=_WAIT_MS,
    )
    try:
        await consumer.start()
        return await _read(consumer, [TopicPartition(topic, number) for number in partitions], cursor)
    finally:
        # bounded, because its stop() may hang
        await end(consumer, _STOP_S)


async def _read(consumer: AIOKafkaConsumer, partitions: list[TopicPartition], cursor: int) -> dict[str, int]:
    consumer.assign(partitions)
    begin = await consumer.beginning_offsets(partitions)
    high = await _settled_end(consumer, partitions)
    lowest = {one: max(begin[one], high[one] - BACK_MAX) for one in partitions}
    found: dict[str, int] = {}
    step = _STEP
    while high:
        low = {one: max(lowest[one], until - step) for one, until in high.items()}
        passed = await _window(consumer, low, high, cursor, found)
        high = {one: low[one] for one in high if one not in passed and low[one] > lowest[one]}
        step *= 4
    return found


async def _settled_end(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
    last: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    while True:
        await asyncio.sleep(SETTLE_S)
        again: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        if again == last:
            return last
        last = again


async def _window(
    consumer: AIOKafkaConsumer,
    low: dict[TopicPartition, int],
    high: dict[TopicPartition, int],
    cursor: int,
    found: dict[str, int],
) -> set[TopicPartition]:
    """Reads [low, high) of each partition into `found`; gives the partitions that hold a number up to `cursor`."""
    waiting = {one for one in high if low[one] < high[one]}
    passed: set[TopicPartition] = set()
    consumer.pause(*consumer.assignment())
    for one in waiting:
        consumer.seek(one, low[one])
    consumer.resume(*waiting)
    while waiting:
        for one, records in (await consumer.getmany(*waiting, timeout_ms=_POLL_MS)).items():
            for each in records:
                number, name = own(each.headers)
                if name and each.offset < high[one]:
                    if number > cursor:
                        found[name] = number
                    else:
                        passed.add(one)
        # a position, not a record, because an offset may hold no record
        waiting -= {one for one in waiting if await consumer.position(one) >= high[one]}
    return passed


def own(headers: Iterable[tuple[str, bytes | None]]) -> tuple[int, str]:
    """Outbox number and `event_id` from a record's headers; (0, "") where the record is none of ours."""
    found = dict(headers)
    number, name = found.get(OUTBOX_ID), found.get(EVENT_ID)
    if number is None or name is None or not number.isdigit() or len(number) > 19:
        return 0, ""
    return int(number), name.decode("utf-8", "replace")
