"""The feed manager: which feed serves which want, how the feeds do, and what happens to a fresh token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

import structlog

from adapters.base import FeedConfig
from adapters.pool import FeedPool
from gateway.model import EXCHANGES, FeedState, FeedStatus, Instrument, Want
from gateway.ports import TickSink, WantResult

log = structlog.get_logger(__name__)

#: the name of a feed that is none: publishers on the tick bus
BUS = "bus"
#: longest symbol accepted, bytes; as the engine's topic parser has it
MAX_SYMBOL = 64
#: kinds of CACHE_INVALIDATE (zmq-bus, "topic" table)
CACHE_TYPES = frozenset({"AUTH", "FEED", "ALL"})

_OK = ("", "")


class TrackedSink:
    """Passes ticks on and remembers when each feed last sent some: one note per call, not per tick."""

    def __init__(self, sink: TickSink, clock_ns: Callable[[], int]) -> None:
        self._sink = sink
        self._clock_ns = clock_ns
        self._last_ns: dict[str, int] = {}

    def publish(self, ticks: Sequence[tuple[bytes, bytes]], feed: str) -> None:
        """See TickSink."""
        self._last_ns[feed] = self._clock_ns()
        self._sink.publish(ticks, feed)

    def age_ms(self, feed: str, now_ms: int) -> int | None:
        """Age of the feed's newest ticks at `now_ms`; None before the first."""
        last = self._last_ns.get(feed)
        return None if last is None else max(0, now_ms - last // 1_000_000)


class FeedManager:
    """Serves each want from the first feed that knows the instrument; implements FeedManagerPort.

    `known_on_bus` says whether some publisher on the bus has sent ticks of an instrument. `credentials` gives
    a feed's configuration with fresh tokens; it may block and is called in a worker thread.
    """

    def __init__(
        self,
        pools: Sequence[FeedPool],
        sink: TrackedSink,
        *,
        clock_ns: Callable[[], int],
        known_on_bus: Callable[[Instrument], bool] = lambda instrument: False,
        credentials: Callable[[str], FeedConfig] | None = None,
        on_status: Callable[[FeedStatus], None] | None = None,
    ) -> None:
        self.pools = list(pools)
        #: called with a feed's status after each change of its state
        self.on_status = on_status
        self._sink = sink
        self._clock_ns = clock_ns
        self._known_on_bus = known_on_bus
        self._credentials = credentials
        self._renewals: set[asyncio.Task[None]] = set()
        for pool in self.pools:
            pool.on_change = self._changed

    async def start(self, ready_within_s: float = 10.0) -> None:
        """Starts all feeds and waits until each knows its instruments, at most `ready_within_s` seconds.

        One whose token is refused is not waited for: only a new token helps it.
        """
        for pool in self.pools:
            pool.start()
        waits = [asyncio.ensure_future(_ready_or_refused(pool)) for pool in self.pools]
        if waits:
            await asyncio.wait(waits, timeout=ready_within_s)
        for wait in waits:
            wait.cancel()

    async def stop(self) -> None:
        """Closes all feeds; at most some 2 s."""
        tasks = list(self._renewals)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *(pool.stop() for pool in self.pools), return_exceptions=True)

    def broker_of(self, want: Want) -> str:
        """The name of the feed that serves the instrument, `bus` where none does."""
        pool = self._pool_of(want.instrument)
        return BUS if pool is None else pool.name

    def acquire(self, holder: str, wants: Iterable[Want]) -> list[WantResult]:
        """Makes `holder` hold each want. Failed ones carry INVALID_PARAMETERS (no such instrument),
        INVALID_MODE (the broker does not stream it), MAX_CAPACITY_REACHED or BROKER_INIT_ERROR (still loading).
        """
        return [WantResult(want, *self._acquire(holder, want)) for want in wants]

    def release(self, holder: str, wants: Iterable[Want]) -> None:
        """Lets go of wants; the broker is unsubscribed when the last holder has."""
        by_pool: dict[FeedPool, list[Want]] = {}
        for want in wants:
            pool = self._holding(want.instrument)
            if pool is not None:
                by_pool.setdefault(pool, []).append(want)
        for pool, released in by_pool.items():
            pool.release(holder, released)

    def release_all(self, holder: str) -> None:
        """Lets go of everything `holder` holds."""
        for pool in self.pools:
            pool.release_all(holder)

    def statuses(self, now_ms: int) -> list[FeedStatus]:
        """All feeds, in the order of `FEEDS`."""
        return [pool.status(self._sink.age_ms(pool.name, now_ms)) for pool in self.pools]

    def invalidate(self, user_id: str, cache_type: str) -> None:
        """Reads the credentials of all broker feeds again and reconnects with them.

        The feeds are the installation's own, so whoever logged in anew may have brought the token: `user_id`
        is only logged.
        """
        if cache_type.upper() not in CACHE_TYPES:
            log.warning("unknown cache type in CACHE_INVALIDATE", cache_type=cache_type[:32])
            return
        log.info("credentials are read again", user=user_id[:64], cache_type=cache_type)
        task = asyncio.get_running_loop().create_task(self._renew())
        self._renewals.add(task)
        task.add_done_callback(self._renewals.discard)

    async def _renew(self) -> None:
        for pool in self.pools:
            if not pool.adapter.needs_credentials:
                continue
            config = pool.adapter.config
            if self._credentials is not None:
                try:
                    config = await asyncio.to_thread(self._credentials, pool.name)
                except Exception as error:  # the store may be away; the old token may still be good
                    log.error("credentials cannot be read", feed=pool.name, reason=type(error).__name__)
            pool.new_token(config)

    def _acquire(self, holder: str, want: Want) -> tuple[str, str]:
        instrument = want.instrument
        if instrument.exchange not in EXCHANGES or not _well_formed(instrument.symbol):
            return "INVALID_PARAMETERS", f"{_shown(instrument)} is not a symbol on a known exchange"
        pool = self._pool_of(instrument)
        if pool is None:
            return self._by_bus(instrument)
        if not pool.adapter.supports(want.mode):
            return "INVALID_MODE", f"{pool.name} does not stream {want.mode.label} of {_shown(instrument)}"
        (room,) = pool.acquire(holder, [want])
        if not room:
            return "MAX_CAPACITY_REACHED", f"{pool.name} is full: {pool.capacity} instruments are subscribed"
        return _OK

    def _by_bus(self, instrument: Instrument) -> tuple[str, str]:
        """What no feed knows: with no feeds at all anything well-formed, else what was seen on the bus."""
        if not self.pools or self._known_on_bus(instrument):
            return _OK
        loading = [pool.name for pool in self.pools if not pool.ready.is_set()]
        if loading:
            return "BROKER_INIT_ERROR", f"{loading[0]} has not loaded its instruments yet; try again"
        feeds = ", ".join(pool.name for pool in self.pools)
        return "INVALID_PARAMETERS", f"Symbol {instrument.symbol} not found on {instrument.exchange} ({feeds})"

    def _pool_of(self, instrument: Instrument) -> FeedPool | None:
        """The feed that holds the instrument already, else the first that knows it."""
        holding = self._holding(instrument)
        if holding is not None:
            return holding
        return next((pool for pool in self.pools if pool.ready.is_set() and pool.adapter.knows(instrument)), None)

    def _holding(self, instrument: Instrument) -> FeedPool | None:
        return next((pool for pool in self.pools if pool.serves(instrument)), None)

    def _changed(self, pool: FeedPool) -> None:
        if self.on_status is not None:
            age = self._sink.age_ms(pool.name, self._clock_ns() // 1_000_000)
            self.on_status(pool.status(age))


async def _ready_or_refused(pool: FeedPool) -> None:
    # A start is looked at for some moments only; `on_change` belongs to who reads the state later.
    while not pool.ready.is_set() and pool.state is not FeedState.REFUSED:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def _well_formed(symbol: str) -> bool:
    """1 to 64 printable ASCII characters without quotes, backslashes or outer blanks, as the engine has it."""
    plain = symbol.isascii() and symbol.isprintable() and not {'"', "\\"} & set(symbol)
    return plain and 0 < len(symbol) <= MAX_SYMBOL and symbol == symbol.strip()


def _shown(instrument: Instrument) -> str:
    return f"{instrument.exchange[:32]}:{instrument.symbol[:MAX_SYMBOL]}"
