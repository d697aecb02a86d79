"""What one event is in Kafka: key, value and headers (order-events, "Kafka"). Pure: no I/O, no clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

import orjson

from publishers.base import Event

SOURCE: Final = "openalgo"
VERSION: Final = "1.0"
#: header with the event's number in the outbox, decimal text: where resumption finds its place
OUTBOX_ID: Final = "outbox_id"
#: header with the `event_id` of the value, so that resumption need not parse values
EVENT_ID: Final = "event_id"
#: bytes of a record beside key, value and headers, at most
_FRAME: Final = 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Record(NamedTuple):
    """One event as a Kafka record."""

    event_id: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    #: when it was committed, Unix ms
    at_ms: int

    @property
    def size(self) -> int:
        """Bytes before compression, an upper bound."""
        return len(self.key) + len(self.value) + sum(len(name) + len(held) + 4 for name, held in self.headers) + _FRAME


def event_id(event: Event) -> str:
    """The event's name for consumers: its outbox number, and its time (µs) in hexadecimal.

    Stable, because both stand in the outbox. The time keeps apart what two databases numbered alike: a database that
    was started anew counts from 1 again while the topic still holds the old one's events.
    """
    return f"{event.id}-{_micros(event.created):x}"


def record(event: Event) -> Record:
    """The record of an event. Its payload is taken over as it is."""
    name = event_id(event)
    head = orjson.dumps(
        {
            "event_type": event.event_type,
            "timestamp": timestamp(event.created),
            "user_id": event.user_id,
            "source": SOURCE,
            "version": VERSION,
            "event_id": name,
        }
    )
    payload = event.payload
    headers = [(OUTBOX_ID, b"%d" % event.id), (EVENT_ID, name.encode())]
    value = b'%b,"data":%b}' % (head[:-1], payload)
    return Record(name, event.user_id.encode(), value, headers, _micros(event.created) // 1000)


def timestamp(at: datetime) -> str:
    """A time as the envelope has it: UTC, microseconds, `Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _micros(at: datetime) -> int:
    """Unix time, µs, exact."""
    span = at - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds
