"""The relay: brings the events of the outbox to one publisher, in order, at least once, whatever fails."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from gateway import log as logs
from gateway.errors import StoreError
from publishers.base import Event, EventPublisher, PoisonError, TransportDownError
from publishers.cursors import Backlog, Outbox

log = logs.get(__name__)
T = TypeVar("T")

#: how often the outbox is looked at without being woken (other processes write events, too), s
LOOK_S: Final = 0.5
#: the cursor is stored at most so often, s, and at the latest after so many events: what a crash repeats
SAVE_S: Final = 0.5
SAVE_EVENTS: Final = 5_000
#: an event that was refused so often is set aside
TRIES_MAX: Final = 5
#: waits between tries, s
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 10.0
#: a stop waits so long for the last events of the outbox, s
DRAIN_S: Final = 1.0


def utc_now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)


class Relay:
    """Feeds one publisher from its own cursor. Lives on one event loop; its SQL runs in a thread of its own."""

    def __init__(self, outbox: Outbox, publisher: EventPublisher, now: Callable[[], datetime] = utc_now) -> None:
        self.publisher = publisher
        self.name = publisher.name
        #: the last event that was delivered or set aside; 0 before the start
        self.cursor = 0
        self.published = self.failures = self.poisoned = 0
        self.backlog = Backlog(0, None)
        #: what went wrong last; empty while all is well
        self.trouble = ""
        self._outbox, self._now = outbox, now
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"relay-{self.name}")
        self._woken, self._stopping = asyncio.Event(), asyncio.Event()
        self._saved, self._saved_at = 0, 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins; a transport or database that is away is waited for in the background."""
        self._task = asyncio.create_task(self._run())

    def wake(self, last_id: int) -> None:
        """Events up to number `last_id` were committed. Cheap; belongs to the event loop."""
        if last_id > self.cursor:
            self._woken.set()

    async def stop(self) -> None:
        """Delivers what is there for at most 1 s, stops the publisher, stores the cursor."""
        self._stopping.set()
        self._woken.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=DRAIN_S)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self.publisher.stop()
        except Exception:
            log.exception("a publisher did not stop well", publisher=self.name)
        if self._task is not None:
            with contextlib.suppress(StoreError):
                await self._save()
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def ended(self) -> bool:
        """Whether it ended without having been told to: an error of ours."""
        return self._task is not None and self._task.done() and not self._stopping.is_set()

    async def measure(self) -> None:
        """Brings `backlog` up to date. Raises StoreError."""
        self.backlog = await asyncio.to_thread(self._outbox.backlog, self.cursor)

    def oldest_s(self) -> float:
        """Age of the oldest event that is not delivered, s; 0 where there is none."""
        oldest = self.backlog.oldest
        return max(0.0, (self._now() - oldest).total_seconds()) if oldest else 0.0

    async def _run(self) -> None:
        try:
            await self._begin()
            ahead: asyncio.Task[list[Event]] | None = None
            while True:
                self._woken.clear()
                events = await (ahead or self._read())
                ahead = None
                if len(events) == self.publisher.batch:
                    # the next ones are read while these are published
                    ahead = asyncio.create_task(self._read(events[-1].id))
                await self._deliver(events)
                if not events:
                    if self._stopping.is_set():
                        return
                    await self._idle()
        except asyncio.CancelledError:
            raise
        except Exception:
            self.trouble = "the relay ended on an error; the log has it"
            log.exception("the relay ended", publisher=self.name)
            raise

    async def _begin(self) -> None:
        place = await self._insistent(lambda: self._sql(self._outbox.place, self.name, self._now()))
        if place.gone:
            first, last = place.gone
            log.error(
                "events are gone that this publisher had not delivered", publisher=self.name, first=first, last=last
            )
        await self._insistent(lambda: self._whatever_fails(self.publisher.start()))
        resumed = await self._insistent(lambda: self._whatever_fails(self.publisher.resume(place.cursor)))
        self._saved, self.cursor = place.cursor, max(place.cursor, resumed)
        log.info("publishing order events", publisher=self.name, cursor=self.cursor, new=place.new)

    async def _whatever_fails(self, work: Awaitable[T]) -> T:
        """A publisher that cannot begin is tried again, whatever its error: the outbox keeps everything meanwhile."""
        try:
            return await work
        except (TransportDownError, StoreError):
            raise
        except Exception as error:
            logs.limited(log, f"begin {self.name}", 0.1).exception("a publisher did not begin", publisher=self.name)
            raise TransportDownError(f"{type(error).__name__}: {error}") from error

    async def _read(self, after: int | None = None) -> list[Event]:
        start = self.cursor if after is None else after
        return await self._insistent(lambda: self._sql(self._outbox.read, start, self.publisher.batch))

    async def _idle(self) -> None:
        """Waits for a commit, or half a second; the cursor is stored meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._woken.wait()
        await self._save_if_due()

    async def _deliver(self, events: Sequence[Event]) -> None:
        """Returns once each event was acknowledged or set aside."""
        start, tries, most = 0, 0, len(events)
        while start < len(events):
            try:
                part = events[start : start + most]
                done = await self._insistent(lambda part=part: self._publish(part))  # type: ignore[misc]
                start, tries, most = start + done, 0, len(events)
                self.published += done
                self.cursor = events[start - 1].id
            except Exception as error:
                start, tries, most = await self._refused(events, start, most, tries + 1, error)
            await self._save_if_due()

    async def _publish(self, events: Sequence[Event]) -> int:
        done = await self.publisher.publish(events)
        if done < 1:
            raise TransportDownError("the publisher took none")
        self.trouble = ""
        return done

    async def _refused(
        self, events: Sequence[Event], start: int, most: int, tries: int, error: Exception
    ) -> tuple[int, int, int]:
        """An event was refused. Gives where to go on, the tries so far, and how many events to send at once."""
        self.failures += 1
        event = events[start]
        named = error.event_id if isinstance(error, PoisonError) else None
        reason = error.reason if isinstance(error, PoisonError) else f"{type(error).__name__}: {error}"
        before = next((n for n, one in enumerate(events[start : start + most]) if one.id == named), 0)
        self.trouble = f"event {event.id if not before else named} was refused: {reason}"[:300]
        if before:
            # those in front of it can go
            return start, 0, before
        if tries < TRIES_MAX:
            logs.limited(log, f"refused {self.name}").warning(
                "an order event was refused", publisher=self.name, event_id=event.id, tries=tries, reason=reason
            )
            await self._pause(FIRST_WAIT_S * 2 ** (tries - 1))
            # an error that names no event is laid at the door of one alone
            return start, tries, 1
        await self._insistent(lambda: self._sql(self._outbox.set_aside, self.name, event, reason, tries, self._now()))
        self.poisoned += 1
        self.cursor = self._saved = event.id
        log.error(
            "an order event was set aside", publisher=self.name, event_id=event.id, type=event.event_type, reason=reason
        )
        return start + 1, 0, len(events)

    async def _save_if_due(self) -> None:
        due = time.monotonic() - self._saved_at >= SAVE_S or self.cursor - self._saved >= SAVE_EVENTS
        if due and self.cursor != self._saved:
            await self._insistent(self._save)

    async def _save(self) -> None:
        cursor = self.cursor
        if cursor != self._saved:
            await self._sql(self._outbox.save, self.name, cursor, self._now())
            self._saved, self._saved_at = cursor, time.monotonic()

    async def _insistent(self, act: Callable[[], Awaitable[T]]) -> T:
        """Does it again and again, later and later, while the transport or the database is away."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((TransportDownError, StoreError)),
            wait=wait_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
            sleep=self._pause,
            before_sleep=self._failed,
            reraise=True,
        )

        async def attempt() -> T:
            # tenacity awaits only what it sees to be a coroutine function
            return await act()

        return await retrying(attempt)

    def _failed(self, state: RetryCallState) -> None:
        self.failures += 1
        error = state.outcome.exception() if state.outcome else None
        self.trouble = str(error)[:300]
        logs.limited(log, f"down {self.name}").warning(
            "order events cannot be delivered now; they wait", publisher=self.name, reason=self.trouble
        )

    async def _pause(self, seconds: float) -> None:
        """Waits; a stop ends it at once, then the next try is the last in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        if self._stopping.is_set():
            await asyncio.sleep(FIRST_WAIT_S)

    async def _sql(self, act: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, act, *arguments)
