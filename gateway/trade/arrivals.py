"""Tells live ticks of the tick stream from last values said again, and counts what was lost (zmq-bus)."""

from __future__ import annotations

from typing import NamedTuple


class Seen(NamedTuple):
    """The newest message of a topic."""

    sequence: int
    arrival_ns: int


class Arrivals:
    """Judges each message by its sequence number and time of arrival; all times are Unix ns.

    A last value is said again to a new subscriber, so what can be one is the first message after a subscription or
    a new connection; it then arrived at the market process before that moment, a live tick after it.
    """

    def __init__(self) -> None:
        self._seen: dict[bytes, Seen] = {}
        self._since: dict[bytes, int] = {}
        self._connected_ns = 0
        #: messages that never came, by topic; only topics that are subscribed now
        self.lost: dict[bytes, int] = {}
        #: the same since the start, over all topics
        self.lost_total = 0
        #: topics that began anew, as all do when the market process starts again
        self.restarts = 0

    def subscribed(self, topic: bytes, now_ns: int) -> None:
        """A subscription begins."""
        self._since[topic] = now_ns
        self._seen.pop(topic, None)

    def unsubscribed(self, topic: bytes) -> None:
        """A subscription ended: the topic is forgotten."""
        for known in (self._since, self._seen, self.lost):
            known.pop(topic, None)

    def connected(self, now_ns: int) -> None:
        """The stream was connected (again): the subscriptions have just been sent."""
        self._connected_ns = now_ns

    def is_replay(self, topic: bytes, sequence: int, arrival_ns: int) -> bool:
        """True for a last value said again; counts gaps."""
        last = self._seen.get(topic)
        if last is None:
            self._seen[topic] = Seen(sequence, arrival_ns)
            return arrival_ns < max(self._since.get(topic, 0), self._connected_ns)
        if sequence <= last.sequence and arrival_ns <= last.arrival_ns:
            return True
        self._seen[topic] = Seen(sequence, arrival_ns)
        if sequence == last.sequence + 1:
            return False
        if sequence > last.sequence:
            gap = sequence - last.sequence - 1
            self.lost_total += gap
            self.lost[topic] = self.lost.get(topic, 0) + gap
        else:
            self.restarts += 1
        return arrival_ns < self._connected_ns
