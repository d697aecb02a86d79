"""What the parts of the gateway ask of each other, as protocols. Only the two `app.py` know who answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from gateway.model import FeedStatus, User, Want


class TickSink(Protocol):
    """Where a feed in this process puts its ticks: straight into the engine, as byte strings."""

    def publish(self, ticks: Sequence[tuple[bytes, bytes]], feed: str) -> None:
        """Takes `(topic, JSON object)` pairs in order of arrival. Never blocks, never raises on bad ticks."""


class WantResult(NamedTuple):
    """What became of one want. `code` is empty for success, else a code of the WebSocket protocol."""

    want: Want
    code: str
    message: str


class FeedManagerPort(Protocol):
    """The feed side as the readers' hub and the tick stream see it. Calls return at once; I/O follows later."""

    def broker_of(self, want: Want) -> str:
        """The name of the feed that serves the instrument (`bus` where none does)."""

    def acquire(self, holder: str, wants: Iterable[Want]) -> list[WantResult]:
        """Makes `holder` hold each want (idempotent per holder); says per want whether a feed will serve it."""

    def release(self, holder: str, wants: Iterable[Want]) -> None:
        """Lets go of wants; the broker is unsubscribed when the last holder has."""

    def release_all(self, holder: str) -> None:
        """Lets go of everything `holder` holds."""

    def statuses(self, now_ms: int) -> list[FeedStatus]:
        """All feeds, in the order of `FEEDS`."""

    def invalidate(self, user_id: str, cache_type: str) -> None:
        """Forget cached tokens and reconnect with fresh ones (`CACHE_INVALIDATE` on the bus)."""


class KeyVerifier(Protocol):
    """Looks an API key up. Called in a worker thread."""

    def verify(self, api_key: str) -> User | None:
        """The owner of an active key, or None. Raises StoreError when the database cannot say."""

    def revoked_since(self, after_id: int) -> tuple[int, list[int]]:
        """Newest revocation number and the ids of keys revoked after number `after_id`."""
