"""How the feeds do, as the trade process can tell: from `_health` and from ticks. Times are arguments (Unix ns)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

_S: Final = 1_000_000_000
#: without a tick for so long, while instruments are subscribed, feeds are stale (sandbox, "Market data service")
STALE_NS: Final = 30 * _S
#: `_health` comes once a second; without it for so long the market process is silent
SILENT_NS: Final = 5 * _S
#: feeds that are shown; a stranger on the stream cannot fill our memory
_MOST_FEEDS: Final = 64


class FeedRow(NamedTuple):
    """One feed as the market process last told of it."""

    name: str
    state: str
    last_tick_age_ms: int | None
    subscribed: int

    @property
    def connected(self) -> bool:
        """Whether its connection stands."""
        return self.state in ("connected", "stale")

    @property
    def authenticated(self) -> bool:
        """Whether the broker takes our token."""
        return self.state != "refused"


class Health:
    """Judges freshness. `wanted` tells whether anything is subscribed."""

    def __init__(self, now_ns: int) -> None:
        self.feeds: dict[str, FeedRow] = {}
        self._started_ns = now_ns
        self._health_ns: int | None = None
        self._tick_ns: int | None = None
        self._wanted_ns: int | None = None

    def on_tick(self, now_ns: int) -> None:
        """A live tick of the stream came; replayed and polled ones do not count."""
        self._tick_ns = now_ns

    def on_health(self, feeds: Sequence[Mapping[str, Any]], now_ns: int) -> None:
        """Takes one `_health` message; rows that make no sense are left out."""
        self._health_ns = now_ns
        rows = [row for row in map(_row, feeds[:_MOST_FEEDS]) if row is not None]
        self.feeds = {row.name: row for row in rows}

    def wants(self, anything: bool, now_ns: int) -> None:
        """Whether instruments are subscribed now: without, silence says nothing."""
        if not anything:
            self._wanted_ns = None
        elif self._wanted_ns is None:
            self._wanted_ns = now_ns

    def last_tick_ns(self) -> int | None:
        """When the newest live tick came."""
        return self._tick_ns

    def silent(self, now_ns: int) -> bool:
        """Whether the market process says nothing at all."""
        return now_ns - (self._started_ns if self._health_ns is None else self._health_ns) >= SILENT_NS

    def stale(self, now_ns: int) -> bool:
        """Whether no tick came for 30 s while instruments were subscribed."""
        if self._wanted_ns is None:
            return False
        return now_ns - max(self._wanted_ns, self._tick_ns or 0) >= STALE_NS

    def tick_age_s(self, now_ns: int) -> float:
        """Age of the newest live tick, s; -1 before the first."""
        return -1.0 if self._tick_ns is None else max(0.0, (now_ns - self._tick_ns) / _S)


def _row(row: Mapping[str, Any]) -> FeedRow | None:
    name, state = row.get("name"), row.get("state")
    if not isinstance(name, str) or not isinstance(state, str):
        return None
    age, subscribed = row.get("last_tick_age_ms"), row.get("subscribed")
    return FeedRow(
        name[:64], state[:32], age if type(age) is int else None, subscribed if type(subscribed) is int else 0
    )
