"""One producer from its start to its first failure: sends records and tells which of them Kafka acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.partitioner import DefaultPartitioner

from publishers.kafka_client import end, make_producer, within
from publishers.kafka_envelope import Record

if TYPE_CHECKING:
    from aiokafka.producer.message_accumulator import BatchBuilder

    from gateway.config import Settings

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_partition_of = DefaultPartitioner()
#: partitions of users remembered; past it they are computed again
_KEYS_MAX = 100_000


class Sent(NamedTuple):
    """What became of a call: `acked` are indices into its records, `error` is None where all of them are."""

    acked: set[int]
    error: BaseException | None
    #: the record that Kafka found too large; None where the reason was another or several went together
    too_large: int | None = None


class _RefusedError(Exception):
    """Kafka refused a batch; `first` is the index of its first record, `count` how many it had."""

    def __init__(self, first: int, count: int) -> None:
        super().__init__(first, count)
        self.first, self.count = first, count


class Line:
    """A started producer on one topic. After a `Sent.error` it must not be used again: `close` it.

    Each partition gets its records in order, one batch after the other is acknowledged; partitions go side by side.
    So nothing is overtaken, and a refused batch is followed by none of its partition.
    """

    def __init__(self, producer: AIOKafkaProducer, topic: str, partitions: Sequence[int], seconds: float) -> None:
        self._producer, self._topic, self._seconds = producer, topic, seconds
        #: numbers of the topic's partitions, sorted; those that the producer started with
        self.partitions = sorted(partitions)
        self._of_key: dict[bytes, int] = {}

    @classmethod
    async def open(cls, settings: Settings) -> Line:
        """Connects and finds the topic. Raises TransportDownError; nothing stays open then."""
        producer, topic = make_producer(settings), settings.kafka_order_events_topic
        seconds = settings.kafka_producer_request_timeout_ms / 1000
        try:
            await within(seconds, "connecting", producer.start())
            hint = f"finding topic {topic} (`gateway kafka create-topics` makes it)"
            partitions = await within(min(seconds, 10.0), hint, producer.partitions_for(topic))
        except BaseException:
            await end(producer, flush=False)
            raise
        return cls(producer, topic, list(partitions), seconds)

    async def close(self, seconds: float, flush: bool) -> None:
        """Ends the producer in about `seconds`. Never raises."""
        await end(self._producer, seconds, flush)

    async def send(self, records: Sequence[Record], singly: bool = False) -> Sent:
        """Sends records and waits for Kafka's word, at most the request time-out. `singly`: a batch for each."""
        acked: set[int] = set()
        tasks = [
            asyncio.ensure_future(self._in_order(number, indices, records, singly, acked))
            for number, indices in self._by_partition(records).items()
        ]
        if not tasks:
            return Sent(acked, None)
        try:
            _, late = await asyncio.wait(tasks, timeout=self._seconds)
        finally:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if late:
            return Sent(acked, TimeoutError(f"no acknowledgement within {self._seconds:g} s"))
        return _outcome(acked, [task.exception() for task in tasks])

    def _by_partition(self, records: Sequence[Record]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for index, record in enumerate(records):
            found.setdefault(self._partition(record.key), []).append(index)
        return found

    def _partition(self, key: bytes) -> int:
        """As the Java client and aiokafka choose it."""
        number = self._of_key.get(key)
        if number is None:
            if len(self._of_key) >= _KEYS_MAX:
                self._of_key.clear()
            number = self._of_key[key] = _partition_of(key, self.partitions, [])
        return number

    async def _in_order(
        self, partition: int, indices: list[int], records: Sequence[Record], singly: bool, acked: set[int]
    ) -> None:
        at = 0
        batch, count = self._batch(indices, at, records, singly)
        while count:
            try:
                done = await self._producer.send_batch(batch, self._topic, partition=partition)
                # the next one is built while the broker writes this one
                batch, after = self._batch(indices, at + count, records, singly)
                await done
            except KafkaError as error:
                raise _RefusedError(indices[at], count) from error
            acked.update(indices[at : at + count])
            at, count = at + count, after

    def _batch(self, indices: list[int], at: int, records: Sequence[Record], singly: bool) -> tuple[BatchBuilder, int]:
        """The next batch, as full as it may be, and how many records it has."""
        batch = self._producer.create_batch()
        for place in range(at, min(at + 1, len(indices)) if singly else len(indices)):
            record = records[indices[place]]
            if batch.append(timestamp=record.at_ms, key=record.key, value=record.value, headers=record.headers) is None:
                break
        return batch, batch.record_count()


def _outcome(acked: set[int], errors: list[BaseException | None]) -> Sent:
    """The outcome of all partitions together."""
    failed = [error for error in errors if error is not None]
    for error in failed:
        if isinstance(error, _RefusedError) and isinstance(error.__cause__, TOO_LARGE):
            return Sent(acked, error.__cause__, error.first if error.count == 1 else None)
    if not failed:
        return Sent(acked, None)
    first = failed[0]
    return Sent(acked, first.__cause__ if isinstance(first, _RefusedError) and first.__cause__ else first)
