"""The market data service of the trade process: wants by reference, last values, waiting, and subscribers in order.

Last values are kept by the matcher, which sees every tick first; this module knows who needs what and who is told.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final, Protocol

import orjson
import structlog
from gateway_matcher import Matcher

from gateway.log import limited
from gateway.model import Instrument, Mode
from gateway.trade.core.judge import Quote
from gateway.trade.core.money import ZERO
from gateway.trade.matching import to_price
from gateway.trade.ports import StreamTick
from gateway.trade.validation import Validation

log = structlog.get_logger(__name__)

_S: Final = 1_000_000_000
#: how long an instrument is kept after the last question about it, s (sandbox, "Order life")
KEEP_S: Final = 60.0
#: instruments kept for questions; beyond that the one asked longest ago is let go
KEPT_MAX: Final = 3_000
#: coroutines that wait for a price
WAITING_MAX: Final = 4_096
#: ticks that wait for subscribers of NORMAL and LOW priority; beyond that only the newest of each topic is kept
LATER_MAX: Final = 10_000
#: a subscriber that takes longer is counted, s
SLOW_S: Final = 0.05
#: the holder under which questions are kept
_QUESTIONS: Final = "questions"
_ALWAYS: Final = (Mode.LTP, Mode.QUOTE)

Handler = Callable[[Sequence[StreamTick]], None]


class Priority(IntEnum):
    """Who is told first. CRITICAL and HIGH are told in the turn of the tick, the others as soon as there is time."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


class Stream(Protocol):
    """The tick stream."""

    def subscribe(self, topic: bytes) -> None:
        """Wants a topic."""

    def unsubscribe(self, topic: bytes) -> None:
        """Wants it no more."""


@dataclass(slots=True)
class Subscriber:
    """One who is told; `topics` narrows what of."""

    priority: Priority
    handler: Handler
    topics: frozenset[bytes] | None
    calls: int = 0
    failures: int = 0
    slow: int = 0


class MarketData:
    """Implements Prices. `clock_ns` is the wall clock (Unix ns) that also stamps arrivals."""

    def __init__(
        self,
        matcher: Matcher,
        max_age_s: float,
        paused: Callable[[], bool] = lambda: False,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._matcher = matcher
        self._max_age_ns = int(max_age_s * _S)
        self._paused = paused
        self._clock_ns = clock_ns
        self._stream: Stream | None = None
        self._loop = asyncio.get_running_loop()
        self._subscribers: list[Subscriber] = []
        self._holders: dict[Instrument, set[str]] = {}
        self._names: dict[bytes, Instrument] = {}
        #: instruments that have had a value since they were subscribed; what the matcher knows of others is history
        self._heard: set[Instrument] = set()
        #: until when (Unix ns) an instrument is kept for questions, and the same for its depth
        self._kept: OrderedDict[Instrument, int] = OrderedDict()
        self._depth: OrderedDict[Instrument, int] = OrderedDict()
        self._waiting: dict[Instrument, list[asyncio.Future[None]]] = {}
        self._backlog: list[StreamTick] = []
        self._planned: asyncio.Handle | None = None
        self.validation = Validation(matcher)
        self.merged = 0

    def connect(self, stream: Stream) -> None:
        """Names the stream; what is held is subscribed."""
        self._stream = stream
        for topic in self._names:
            stream.subscribe(topic)

    def subscribe(self, priority: Priority, handler: Handler, only: Collection[Instrument] | None = None) -> Subscriber:
        """Tells `handler` of ticks, of these instruments only where they are given."""
        topics = None if only is None else frozenset(one.topic(mode) for one in only for mode in Mode)
        made = Subscriber(priority, handler, topics)
        self._subscribers.append(made)
        self._subscribers.sort(key=lambda one: one.priority)
        return made

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Tells it no more."""
        self._subscribers.remove(subscriber)

    # -- ticks

    def on_ticks(self, ticks: Sequence[StreamTick]) -> None:
        """Ticks in order of arrival, from the stream or polled."""
        for one in self._subscribers:
            if one.priority > Priority.HIGH:
                self._put_off(ticks)
                break
            self._tell(one, ticks)
        names = self._names
        seen = {name for tick in ticks if (name := names.get(tick[0])) is not None}
        self._heard |= seen
        for instrument in seen:
            for waiter in self._waiting.pop(instrument, ()):
                if not waiter.done():
                    waiter.set_result(None)
        live = {name for tick in ticks if not tick[3] and (name := names.get(tick[0])) is not None}
        self.validation.look(live, self._clock_ns())

    def instruments_of(self, ticks: Sequence[StreamTick]) -> set[Instrument]:
        """The held instruments that ticks are of."""
        return {name for tick in ticks if (name := self._names.get(tick[0])) is not None}

    def _tell(self, one: Subscriber, ticks: Sequence[StreamTick]) -> None:
        wanted = ticks if one.topics is None else [tick for tick in ticks if tick[0] in one.topics]
        if not wanted:
            return
        began = time.perf_counter()
        one.calls += 1
        try:
            one.handler(wanted)
        except Exception:
            one.failures += 1
            limited(log, f"subscriber {one.priority}").exception("a subscriber of prices failed", priority=one.priority)
        if time.perf_counter() - began > SLOW_S:
            one.slow += 1

    def _put_off(self, ticks: Sequence[StreamTick]) -> None:
        """For those who can wait: every tick while there is room, then the newest of each topic."""
        if len(self._backlog) + len(ticks) > LATER_MAX:
            self.merged += len(self._backlog) + len(ticks)
            newest = {tick[0]: tick for tick in (*self._backlog, *ticks)}
            self._backlog = list(newest.values())[-LATER_MAX:]
            self.merged -= len(self._backlog)
        else:
            self._backlog.extend(ticks)
        if self._planned is None:
            self._planned = self._loop.call_soon(self._tell_later)

    def _tell_later(self) -> None:
        self._planned = None
        ticks, self._backlog = self._backlog, []
        for one in self._subscribers:
            if one.priority > Priority.HIGH:
                self._tell(one, ticks)

    # -- wants

    def hold(self, holder: str, instruments: Iterable[Instrument]) -> None:
        """See Prices."""
        for instrument in instruments:
            holders = self._holders.setdefault(instrument, set())
            if not holders:
                self._want(instrument, _ALWAYS)
            holders.add(holder)

    def release(self, holder: str, instruments: Iterable[Instrument]) -> None:
        """See Prices."""
        for instrument in instruments:
            holders = self._holders.get(instrument)
            if holders is None:
                continue
            holders.discard(holder)
            if not holders:
                del self._holders[instrument]
                self._heard.discard(instrument)
                self._unwant(instrument, _ALWAYS)

    @property
    def held(self) -> Collection[Instrument]:
        """Everything that is subscribed."""
        return self._holders.keys()

    def _want(self, instrument: Instrument, modes: Iterable[Mode]) -> None:
        for mode in modes:
            topic = instrument.topic(mode)
            self._names[topic] = instrument
            if self._stream is not None:
                self._stream.subscribe(topic)

    def _unwant(self, instrument: Instrument, modes: Iterable[Mode]) -> None:
        for mode in modes:
            topic = instrument.topic(mode)
            self._names.pop(topic, None)
            if self._stream is not None:
                self._stream.unsubscribe(topic)

    def _keep(self, instrument: Instrument, depth: bool = False) -> None:
        """A question: the instrument is subscribed from now on for a while."""
        until = self._clock_ns() + int(KEEP_S * _S)
        self.hold(_QUESTIONS, [instrument])
        self._kept[instrument] = until
        self._kept.move_to_end(instrument)
        if depth:
            if instrument not in self._depth:
                self._want(instrument, [Mode.DEPTH])
            self._depth[instrument] = until
            self._depth.move_to_end(instrument)
        self.let_go()

    def let_go(self) -> None:
        """Releases what nobody has asked about for a while. Called about once a second."""
        now = self._clock_ns()
        while self._depth and (next(iter(self._depth.values())) <= now or len(self._depth) > KEPT_MAX):
            instrument, _ = self._depth.popitem(last=False)
            self._unwant(instrument, [Mode.DEPTH])
        while self._kept and (next(iter(self._kept.values())) <= now or len(self._kept) > KEPT_MAX):
            instrument, _ = self._kept.popitem(last=False)
            self.release(_QUESTIONS, [instrument])

    # -- questions

    def fresh(self, instrument: Instrument) -> Quote | None:
        """See Prices."""
        found = self._matcher.quote(*instrument) if instrument in self._heard else None
        if found is None or self._clock_ns() - found[3] > self._max_age_ns:
            return None
        ltp, bid, ask, _ = found
        return Quote(to_price(ltp), to_price(bid) if bid else ZERO, to_price(ask) if ask else ZERO)

    def last(self, instrument: Instrument) -> Decimal | None:
        """See Prices."""
        found = self._matcher.quote(*instrument)
        return to_price(found[0]) if found else None

    def age_s(self, instrument: Instrument) -> float:
        """See Prices."""
        found = self._matcher.quote(*instrument) if instrument in self._heard else None
        return max(0.0, (self._clock_ns() - found[3]) / _S) if found else math.inf

    async def wait_for(self, instrument: Instrument, wait_s: float = 1.0) -> Quote | None:
        """See Prices."""
        self._keep(instrument)
        deadline = self._loop.time() + wait_s
        while (found := self.fresh(instrument)) is None and await self._arrival(instrument, deadline):
            pass
        return found

    async def payload(self, instrument: Instrument, mode: Mode, wait_s: float = 1.0) -> Mapping[str, Any] | None:
        """See Prices. Where the instrument was not held, what is known of it is old: a new tick is waited for."""
        known = instrument in (self._depth if mode is Mode.DEPTH else self._heard)
        self._keep(instrument, depth=mode is Mode.DEPTH)
        deadline = self._loop.time() + wait_s
        if not known:
            await self._arrival(instrument, deadline)
        while (found := self._matcher.last_value(*instrument, int(mode))) is None:
            if not await self._arrival(instrument, deadline):
                return None
        body = orjson.loads(found[0])
        return body if isinstance(body, dict) else None

    def paused(self) -> bool:
        """See Prices."""
        return self._paused()

    async def _arrival(self, instrument: Instrument, deadline: float) -> bool:
        """Waits for the next tick of an instrument; False at the deadline, and where too many wait."""
        left = deadline - self._loop.time()
        if left <= 0 or len(self._waiting) >= WAITING_MAX:
            return False
        waiter = self._loop.create_future()
        self._waiting.setdefault(instrument, []).append(waiter)
        try:
            async with asyncio.timeout(left):
                await waiter
        except TimeoutError:
            waiters = self._waiting.get(instrument, [])
            if waiter in waiters:
                waiters.remove(waiter)
            if not waiters:
                self._waiting.pop(instrument, None)
            return False
        return True
