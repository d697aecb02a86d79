"""Quotes by polling while the feeds are silent (sandbox, "Fallback")."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, Protocol

import structlog

from adapters.base import FeedConfig, QuoteSource
from gateway.model import Instrument, Mode
from gateway.trade.ports import StreamTick
from gateway.trade.quoting import OneOffs, QuoteLine, share

log = structlog.get_logger(__name__)

#: how often the monitor looks, s
MONITOR_S: Final = 5.0
#: silence after which polling starts, s
STALE_S: Final = 30.0
#: from one poll to the next, s
POLL_S: Final = 5.0
#: how long a feed that never brought a tick has to do so once something is needed, s: a start without a healthy
#: feed polls at once, one with a healthy feed does not
START_S: Final = 1.0
#: how often the monitor looks while polling or before the first tick, s
WATCH_S: Final = 1.0


class Health(Protocol):
    """What the fallback asks about the feeds."""

    def last_tick_ns(self) -> int | None:
        """When the newest live tick of the tick stream came, Unix ns (real time); polled quotes do not count."""


class Monitor:
    """When to poll: a state machine without clock. Times are Unix ns, patience is given in seconds.

    Polling begins when something is needed and no live tick came for `stale_s`, counted from the last tick or,
    where that is later, from when something began to be needed: without wants no feed sends anything. Before the
    first tick of all, `start_s` is enough. It ends with the first live tick after it began, or with the last need.
    """

    def __init__(
        self,
        engine_type: Literal["websocket", "polling"] = "websocket",
        fallback: bool = True,
        stale_s: float = STALE_S,
        start_s: float = START_S,
    ) -> None:
        self._always = engine_type == "polling"
        self._enabled = fallback
        self._stale_ns = int(stale_s * 1e9)
        self._start_ns = int(start_s * 1e9)
        self._needed_since: int | None = None
        self._began: int = 0
        self.polling = self._always

    def look(self, now_ns: int, last_tick_ns: int | None, needed: bool) -> bool:
        """Takes the state of things into account and says whether to poll now."""
        if self._always:
            return True
        if not (needed and self._enabled):
            self._needed_since, self.polling = None, False
            return False
        # a clock that was set back must not make anything look as if it lay ahead
        self._needed_since = now_ns if self._needed_since is None else min(self._needed_since, now_ns)
        if self.polling:
            self._began = min(self._began, now_ns)
            self.polling = last_tick_ns is None or last_tick_ns <= self._began
        else:
            patience = self._start_ns if last_tick_ns is None else self._stale_ns
            silent_since = max(self._needed_since, min(last_tick_ns or 0, now_ns))
            self.polling, self._began = now_ns - silent_since >= patience, now_ns
        return self.polling


class Fallback:
    """Polls `sources` while the monitor says so, and answers one-off questions.

    `sources` are in the order of FEEDS: the first that knows an instrument is asked, as on the stream side.
    `needed` tells what has resting orders or open positions, `inject` takes quotes as ticks. `credentials` reads a
    feed's configuration anew (blocking; called in a thread) after its broker refused the token. `clock_ns` is real
    time, the clock of arrivals.
    """

    def __init__(
        self,
        sources: Sequence[QuoteSource],
        health: Health,
        needed: Callable[[], Iterable[Instrument]],
        inject: Callable[[Sequence[StreamTick]], None],
        *,
        engine_type: Literal["websocket", "polling"] = "websocket",
        fallback: bool = True,
        credentials: Callable[[str], FeedConfig] | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        monitor_s: float = MONITOR_S,
        stale_s: float = STALE_S,
        poll_s: float = POLL_S,
        start_s: float = START_S,
        watch_s: float = WATCH_S,
    ) -> None:
        self.monitor = Monitor(engine_type, fallback, stale_s, start_s)
        self.lines = [QuoteLine(source, credentials) for source in sources]
        #: polls begun
        self.polls = 0
        #: when the last poll began, Unix ns
        self.last_poll_ns: int | None = None
        self._health = health
        self._needed = needed
        self._inject = inject
        self._clock_ns = clock_ns
        self._monitor_s, self._poll_s, self._watch_s = monitor_s, poll_s, watch_s
        self._one_offs = OneOffs(self.lines)
        self._task: asyncio.Task[None] | None = None

    @property
    def polling(self) -> bool:
        """Whether quotes are being polled."""
        return self.monitor.polling

    @property
    def failures(self) -> int:
        """Questions that brokers did not answer, since the start."""
        return sum(line.failures for line in self.lines)

    def start(self) -> None:
        """Starts the monitor."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="fallback")

    async def stop(self) -> None:
        """Stops everything and closes the sources; what is under way is given up."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._one_offs.stop()
        await asyncio.gather(*(line.source.close() for line in self.lines), return_exceptions=True)

    async def quotes(self, instruments: Iterable[Instrument]) -> dict[Instrument, bytes]:
        """Payloads of Quote ticks, at most 1 s old, whatever the feeds do; instruments without answer are missing.

        Questions that come together travel together. Takes as long as the brokers: callers set their own limit.
        """
        return await self._one_offs.ask(instruments)

    async def _run(self) -> None:
        due, watch_s = 0.0, min(self._watch_s, self._poll_s)
        while True:
            pause = watch_s
            try:
                if self._look() and time.monotonic() >= due:
                    due = time.monotonic() + self._poll_s
                    await self._poll()
                if not self.polling and self._health.last_tick_ns() is not None:
                    pause = self._monitor_s
            except Exception:  # the monitor outlives whatever happens in what it calls
                log.exception("polling for quotes failed")
            await asyncio.sleep(pause)

    def _look(self) -> bool:
        before = self.monitor.polling
        needed = any(True for _ in self._needed())
        polling = self.monitor.look(self._clock_ns(), self._health.last_tick_ns(), needed)
        if polling and not before:
            log.warning("no ticks: quotes are polled", sources=[line.source.name for line in self.lines])
        elif before and not polling:
            log.info("polling ends", needed=needed)
        return polling

    async def _poll(self) -> None:
        shares = await share(self.lines, self._needed())
        if not shares:
            return
        self.polls += 1
        self.last_poll_ns = self._clock_ns()
        outcomes = await asyncio.gather(*(self._poll_line(line, own) for line, own in shares), return_exceptions=True)
        for error in outcomes:
            # raised only after all have ended: the next poll must not meet this one
            if error is not None:
                raise error

    async def _poll_line(self, line: QuoteLine, instruments: Sequence[Instrument]) -> None:
        """Asks batch by batch, each answer put through as it comes, until one fails or polling has ended."""
        for start in range(0, len(instruments), line.source.batch):
            found = await line.ask(instruments[start : start + line.source.batch])
            if found is None or not self._look():
                return
            arrival = self._clock_ns()
            self._inject([(each.topic(Mode.QUOTE), payload, arrival, False) for each, payload in found.items()])
