"""The Kafka publisher: every event once in the topic, in order per user, whatever dies (order-events, "Kafka").

Kafka's idempotent producer keeps its own retries from doubling anything. What it cannot do is tell a *later* producer
what an earlier one got through. So a producer that has left a doubt (an acknowledgement that did not come, an error,
a crash) is never used again: a new one first reads from the end of the topic which events stand there.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from gateway import log as logs
from publishers.base import Event, EventPublisher, PoisonError, TransportDownError
from publishers.kafka_client import RECORD_MAX, STOP_S, options, quiet, said, within
from publishers.kafka_envelope import Record, record
from publishers.kafka_held import held_after
from publishers.kafka_line import TOO_LARGE, Line

if TYPE_CHECKING:
    from gateway.config import Settings

log = logs.get(__name__)
#: most events and bytes (before compression) of one call; more are left for the next
EVENTS_MAX: Final = 5_000
BYTES_MAX: Final = 8 << 20
#: most events remembered as standing in the topic; twice what can be sent beyond the relay's cursor
_REMEMBERED: Final = 100_000
#: how long reading back may take, s
_READ_S: Final = 60.0


class KafkaPublisher(EventPublisher):
    """Feeds one topic. Used by one relay: calls do not overlap."""

    name: ClassVar[str] = "kafka"
    batch: ClassVar[int] = EVENTS_MAX

    def __init__(self, settings: Settings) -> None:
        quiet()
        logs.know_secret(
            settings.kafka_sasl_password.get_secret_value(), settings.kafka_ssl_key_password.get_secret_value()
        )
        self._settings = settings
        self._topic = settings.kafka_order_events_topic
        self._line: Line | None = None
        self._held: OrderedDict[str, int] = OrderedDict()
        self._singly = False

    def __repr__(self) -> str:
        return f"KafkaPublisher({self._settings.kafka_bootstrap_servers}, {self._topic})"

    async def start(self) -> None:
        """Nothing is done before `resume`: a Kafka that is away must not keep the gateway from starting."""

    async def resume(self, cursor: int) -> int:
        """Connects and reads what the topic holds after outbox number `cursor`; those events are not sent again.

        Returns `cursor`: a number in the topic above it does not mean that all below it are there, since partitions
        are written side by side. Raises TransportDownError.
        """
        await self._drop()
        began = time.monotonic()
        line = await Line.open(self._settings)
        try:
            read = held_after(options(self._settings), self._topic, line.partitions, cursor)
            held = await within(_READ_S, f"reading topic {self._topic}", read)
        except BaseException:
            await line.close(STOP_S, flush=False)
            raise
        self._held = OrderedDict(sorted(held.items(), key=lambda item: item[1]))
        self._line = line
        seconds = round(time.monotonic() - began, 2)
        log.info("kafka connected", topic=self._topic, cursor=cursor, already_there=len(held), seconds=seconds)
        return cursor

    async def publish(self, events: Sequence[Event]) -> int:
        """Sends events that follow each other in the outbox; gives how many from the front stand in the topic.

        Raises TransportDownError where none does (after a doubt the next call asks the topic first), PoisonError
        where the first one is larger than Kafka takes.
        """
        if not events:
            return 0
        if self._line is None:
            await self.resume(events[0].id - 1)
        records = _front(events)
        new = [index for index, each in enumerate(records) if each.event_id not in self._held]
        done = await self._send(records, new, events)
        self._remember(records[:done], events)
        return done

    async def stop(self) -> None:
        """Lets what is under way go out, for at most 5 s."""
        await self._drop(flush=True)

    async def _send(self, records: Sequence[Record], new: Sequence[int], events: Sequence[Event]) -> int:
        assert self._line is not None
        try:
            sent = await self._line.send([records[index] for index in new], self._singly)
        except BaseException:
            # cancelled: what was under way may or may not arrive
            await self._drop()
            raise
        if sent.error is None:
            self._singly = False
            return len(records)
        missing = [index for place, index in enumerate(new) if place not in sent.acked]
        first = missing[0] if missing else len(records)
        await self._drop()
        logs.limited(log, "kafka doubt", 0.1).warning("kafka: starting anew", reason=said(sent.error), acked=first)
        # which record of a batch was too large shows when each goes alone
        self._singly = isinstance(sent.error, TOO_LARGE)
        if first == 0 and sent.too_large is not None and new[sent.too_large] == 0:
            raise PoisonError(
                f"event {events[0].id} ({records[0].size} bytes) is larger than topic {self._topic} takes"
            )
        if first == 0:
            raise TransportDownError(f"Kafka: {said(sent.error)}") from sent.error
        return first

    def _remember(self, records: Sequence[Record], events: Sequence[Event]) -> None:
        """Should the relay's cursor not get committed, the same events come again."""
        held = self._held
        for each, event in zip(records, events, strict=False):
            held[each.event_id] = event.id
        while len(held) > _REMEMBERED:
            held.popitem(last=False)

    async def _drop(self, flush: bool = False) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close(STOP_S, flush)


def _front(events: Sequence[Event]) -> list[Record]:
    """Records of as many events from the front as one call sends. Raises PoisonError where the first is too large."""
    found: list[Record] = []
    total = 0
    for event in events[:EVENTS_MAX]:
        each = record(event)
        if each.size > RECORD_MAX:
            if found:
                break
            raise PoisonError(f"event {event.id} has {each.size} bytes in Kafka; at most {RECORD_MAX} can be sent")
        total += each.size
        if found and total > BYTES_MAX:
            break
        found.append(each)
    return found
