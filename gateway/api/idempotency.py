"""`Idempotency-Key`: the same key and body give the same answer and place nothing twice (rest-api)."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.api.answers import Answer, failure
from gateway.api.refusals import RefusedError, refusal_of
from gateway.trade.ports import Kept
from gateway.wire import encode

#: how long an answer is kept, s
KEEP_S: Final = 86_400.0
#: most answers kept, and most bytes of them; the oldest finished ones make room
ANSWERS_MAX: Final = 50_000
BYTES_MAX: Final = 64 << 20
_LONGEST: Final = 255
#: answers after which nothing has changed and trying again makes sense; they are not kept
_TRANSIENT: Final = frozenset({429, 503})

Place = tuple[str, str, str]


@dataclass(slots=True)
class _Entry:
    digest: str
    task: asyncio.Task[tuple[Answer, bool]]
    until: float
    size: int = 0


class Answers:
    """Answers given lately, per user, endpoint and key, and those under way; the database keeps all for a day."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: OrderedDict[Place, _Entry] = OrderedDict()
        self._bytes = 0

    async def once(
        self, place: Place, digest: str, work: Callable[[], Awaitable[tuple[Answer, bool]]]
    ) -> tuple[Answer, bool]:
        """The answer of `work`, run once however often the request comes, and whether it was given before.

        `work` says itself whether its answer is an old one. Raises RefusedError with status 409 where the same key
        came with another body, 503 where too many are under way.
        """
        entry = self._entries.get(place)
        if entry is not None and entry.until > self._clock():
            must_be_same(entry.digest, digest)
            return (await asyncio.shield(entry.task))[0], True
        if entry is not None:
            self._forget(place)
        self._make_room()
        entry = _Entry(digest, asyncio.ensure_future(_run(work)), self._clock() + KEEP_S)
        self._entries[place] = entry
        entry.task.add_done_callback(lambda task: self._done(place, task))
        # a client that goes away does not undo what it asked for
        return await asyncio.shield(entry.task)

    def _done(self, place: Place, task: asyncio.Task[tuple[Answer, bool]]) -> None:
        entry = self._entries.get(place)
        if entry is None or entry.task is not task:
            return
        if task.cancelled() or task.exception() is not None or task.result()[0].status in _TRANSIENT:
            self._forget(place)
            return
        entry.size = len(task.result()[0].body) + 200
        self._bytes += entry.size

    def _make_room(self) -> None:
        while len(self._entries) >= ANSWERS_MAX or self._bytes > BYTES_MAX:
            oldest = next((place for place, entry in self._entries.items() if entry.task.done()), None)
            if oldest is None:
                raise RefusedError(503, "too many requests with an Idempotency-Key are under way", {"Retry-After": "1"})
            self._forget(oldest)

    def _forget(self, place: Place) -> None:
        self._bytes -= self._entries.pop(place).size


async def _run(work: Callable[[], Awaitable[tuple[Answer, bool]]]) -> tuple[Answer, bool]:
    return await work()


class OnceKey:
    """One key of one endpoint with the body it came with; turns outcomes into what the database keeps (see Once)."""

    def __init__(self, endpoint: str, key: str, fields: Mapping[str, Any]) -> None:
        #: what the answer is kept under: a digest, so that no client's text becomes a key of ours
        self.key = hashlib.sha256(f"{endpoint}\n{key}".encode()).hexdigest()
        self.digest = hashlib.sha256(encode(fields, orjson.OPT_SORT_KEYS)).hexdigest()

    def success(self, answer: Mapping[str, Any]) -> Kept:
        """See Once."""
        return Kept(self.key, self.digest, 200, encode(answer))

    def refusal(self, error: Exception) -> Kept | None:
        """See Once."""
        refusal = refusal_of(error)
        if refusal is None or (refusal.status in _TRANSIENT and not refusal.orderid):
            return None
        answer = failure(refusal.status, refusal.message, refusal.orderid)
        return Kept(self.key, self.digest, answer.status, answer.body)

    def must_be(self, digest: str) -> None:
        """Raises RefusedError where the key was used with another body."""
        must_be_same(digest, self.digest)


def must_be_same(known: str, digest: str) -> None:
    """Raises RefusedError (409) where a key came with another body than before."""
    if known != digest:
        raise RefusedError(409, "Idempotency-Key was used with another body; a new request needs a new key")


def checked_key(header: str) -> str:
    """The header's value. Raises RefusedError with status 400."""
    if not 1 <= len(header) <= _LONGEST or not header.isascii() or not header.isprintable():
        raise RefusedError(
            400, f"Idempotency-Key has {len(header)} characters; it must be 1 to {_LONGEST}, printable ASCII"
        )
    return header
