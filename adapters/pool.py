"""A broker feed as one thing: as many connections as the wants need, each kept alive, one state for all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import replace

import structlog

from adapters.backoff import Backoff
from adapters.base import Adapter, FeedConfig, Limits
from adapters.lane import Lane
from adapters.plan import Plan
from gateway.errors import FeedError, InstrumentError, TokenRefusedError
from gateway.model import FeedState, FeedStatus, Instrument, Want

log = structlog.get_logger(__name__)

#: worst first: the feed is as bad as its worst connection
_WORST = (FeedState.REFUSED, FeedState.DISCONNECTED, FeedState.STALE, FeedState.CONNECTED)


class FeedPool:
    """Serves wants from one adapter. `acquire` and `release` return at once; what they change is sent in
    batches after the present turn of the event loop. The first connection is made at start, so that a refused
    token shows early; more are opened as wants need them.
    """

    def __init__(
        self,
        adapter: Adapter,
        clock_ns: Callable[[], int] | None = None,
        *,
        limits: Limits | None = None,
        backoff: Backoff | None = None,
        rng: random.Random | None = None,
        on_change: Callable[[FeedPool], None] | None = None,
    ) -> None:
        self.adapter = adapter
        self.limits = limits or adapter.limits
        #: called after each change of `state`
        self.on_change = on_change
        self.state = FeedState.DISCONNECTED
        #: True once the adapter knows its instruments
        self.ready = asyncio.Event()
        self._clock_ns = clock_ns or adapter.clock_ns
        self._since_ns = self._clock_ns()
        self._backoff = backoff or Backoff()
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._plan = Plan(self.limits.symbols_per_connection, self.limits.connections)
        self._lanes: dict[int, Lane] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._main: asyncio.Task[None] | None = None
        self._renewed = asyncio.Event()
        self._kick_due = False
        self._refused = False

    @property
    def name(self) -> str:
        """The feed's name, as `FEEDS` spells it."""
        return self.adapter.name

    @property
    def capacity(self) -> int:
        """Instruments that fit on all connections."""
        return self._plan.capacity

    @property
    def failures(self) -> int:
        """Connections lost or failed since the start."""
        return sum(lane.failures for lane in self._lanes.values())

    def start(self) -> None:
        """Starts loading instruments and connecting, in a task."""
        if self._main is None:
            self._main = asyncio.create_task(self._prepare(), name=f"feed-{self.name}")

    async def stop(self) -> None:
        """Closes everything; takes as long as a connection's close, at most 2 s."""
        tasks = [task for task in (self._main, *self._tasks.values()) if task is not None]
        self._main = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._lanes.clear()

    def acquire(self, holder: str, wants: Iterable[Want]) -> list[bool]:
        """Counts wants of `holder`; False for each that no connection has room for."""
        results = [self._plan.acquire(holder, want) for want in wants]
        self._schedule()
        return results

    def release(self, holder: str, wants: Iterable[Want]) -> None:
        """Lets go of wants."""
        self._plan.release(holder, wants)
        self._schedule()

    def release_all(self, holder: str) -> None:
        """Lets go of everything `holder` holds."""
        self._plan.release_all(holder)
        self._schedule()

    def serves(self, instrument: Instrument) -> bool:
        """True where somebody holds the instrument here."""
        return instrument in self._plan

    def status(self, last_tick_age_ms: int | None) -> FeedStatus:
        """The feed's state now."""
        return FeedStatus(self.name, self.state, self._since_ns // 1_000_000, last_tick_age_ms, self._plan.subscribed())

    def new_token(self, config: FeedConfig) -> None:
        """Takes fresh credentials and reconnects with them, whatever the state."""
        self.adapter.config = config
        self._renewed.set()
        for lane in self._lanes.values():
            lane.renew()

    async def _prepare(self) -> None:
        attempt, began = 0, asyncio.get_running_loop().time()
        while True:
            self._renewed.clear()
            try:
                await self.adapter.prepare()
                break
            except TokenRefusedError as error:
                self._refused = True
                self._changed()
                log.error("broker refused the access token; waiting for a new one", feed=self.name, reason=str(error))
                await self._renewed.wait()
                self._refused = False
                self._changed()
            except (FeedError, InstrumentError) as error:
                log.error("feed cannot prepare", feed=self.name, reason=str(error))
                await self._pause(attempt, asyncio.get_running_loop().time() - began)
            except Exception as error:
                log.error("feed cannot prepare", feed=self.name, reason=type(error).__name__)
                await self._pause(attempt, asyncio.get_running_loop().time() - began)
            attempt += 1
        self.ready.set()
        self._open(0)
        self._kick()

    async def _pause(self, attempt: int, outage_s: float) -> None:
        # Instrument masters are large: not more often than every second.
        delay = max(1.0, self._backoff.delay(attempt, outage_s, self._rng))
        try:
            async with asyncio.timeout(delay):
                await self._renewed.wait()
        except TimeoutError:
            return

    def _schedule(self) -> None:
        """Looks at the plan once after everything that this turn of the loop still changes."""
        if not self._kick_due and self.ready.is_set():
            self._kick_due = True
            asyncio.get_running_loop().call_soon(self._kick)

    def _kick(self) -> None:
        self._kick_due = False
        if self._main is None:
            return
        for slot in self._plan.changed():
            self._open(slot)
            self._lanes[slot].wake()

    def _open(self, slot: int) -> None:
        if slot in self._lanes:
            return
        lane = Lane(self.adapter, self._plan, slot, self.limits, self._changed, self._backoff, self._rng)
        self._lanes[slot] = lane
        task = asyncio.create_task(lane.run(), name=f"feed-{self.name}-{slot}")
        self._tasks[slot] = task
        task.add_done_callback(lambda done: self._ended(slot, lane, done))

    def _ended(self, slot: int, lane: Lane, task: asyncio.Task[None]) -> None:
        """A connection was idle for long and is closed; wants that came meanwhile open it again."""
        if not task.cancelled() and self._lanes.get(slot) is lane:
            del self._lanes[slot], self._tasks[slot]
            self._changed()
            self._kick()

    def _changed(self) -> None:
        states = {lane.state for lane in self._lanes.values()}
        if self._refused:
            states.add(FeedState.REFUSED)
        state = next((state for state in _WORST if state in states), FeedState.DISCONNECTED)
        if state is self.state:
            return
        self.state = state
        self._since_ns = self._clock_ns()
        log.info("feed state", feed=self.name, state=state.value)
        if self.on_change is not None:
            self.on_change(self)


def lowered(limits: Limits, config: FeedConfig) -> Limits:
    """The broker's limits, lowered (never raised) by the options `symbols_per_connection` and `connections`."""

    def least(own: int, option: str) -> int:
        asked = config.options.get(option)
        return own if asked is None else max(1, min(own, int(asked)))

    return replace(
        limits,
        symbols_per_connection=least(limits.symbols_per_connection, "symbols_per_connection"),
        connections=least(limits.connections, "connections"),
    )
