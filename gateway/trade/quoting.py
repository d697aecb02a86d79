"""How quote sources are asked: with a limit on time, patience after failures, and questions put together."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog

from adapters.backoff import Backoff
from adapters.base import FeedConfig, QuoteSource
from adapters.registry import QUOTES, create_quotes
from gateway.errors import GatewayError, TokenRefusedError
from gateway.model import Instrument

log = structlog.get_logger(__name__)

#: longest wait for one batch, s
ASK_S: Final = 4.0
#: longest wait for a source's instruments; only the first load and a new day's take any time, s
READY_S: Final = 60.0
#: how long an answer serves one-off questions, s
CACHE_S: Final = 1.0
#: instruments that one-off questions may wait for; beyond, they get no answer
MAX_WAITING: Final = 10_000
#: least time between two log lines of one outage, s
LOG_EVERY_S: Final = 60.0


def quote_sources(
    feeds: Iterable[str], config_of: Callable[[str], FeedConfig], clock_ns: Callable[[], int]
) -> list[QuoteSource]:
    """The REST halves of `feeds`, in that order, without those that have none.

    `config_of` resolves a feed's settings (`gateway.store.feeds.feed_configs`); what it raises passes through.
    `clock_ns` tells trading time.
    """
    made = (create_quotes(config_of(name), clock_ns) for name in feeds if name in QUOTES)
    return [source for source in made if source is not None]


class QuoteLine:
    """One source and its troubles: failures are counted, logged now and then, and followed by pauses."""

    def __init__(
        self,
        source: QuoteSource,
        credentials: Callable[[str], FeedConfig] | None = None,
        *,
        ask_s: float = ASK_S,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.source = source
        self.failures = 0
        self._credentials = credentials
        self._ask_s = ask_s
        self._backoff = backoff or Backoff(first=1.0, cap=15.0, long_cap=60.0)
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        #: failures in a row, and since when, s
        self._attempt = 0
        self._down_since = 0.0
        self._not_before = 0.0
        self._logged_at = float("-inf")

    async def ready(self) -> bool:
        """True once the source has its instruments. False after a failure and during the pause that follows."""
        if self._paused():
            return False
        try:
            async with asyncio.timeout(READY_S):
                await self.source.prepare()
        except Exception as error:
            await self._failed(error)
            return False
        return True

    async def ask(self, instruments: Sequence[Instrument]) -> dict[Instrument, bytes] | None:
        """Quotes of one batch; None where the source failed or pauses after a failure."""
        if self._paused():
            return None
        try:
            async with asyncio.timeout(self._ask_s):
                found = await self.source.multiquotes(instruments)
        except Exception as error:
            await self._failed(error)
            return None
        if self._attempt:
            log.info("quotes are answered again", source=self.source.name, failed=self._attempt)
        self._attempt, self._logged_at = 0, float("-inf")
        return found

    def _paused(self) -> bool:
        return self._clock() < self._not_before

    async def _failed(self, error: Exception) -> None:
        now = self._clock()
        if not self._attempt:
            self._down_since = now
        delay = self._backoff.delay(self._attempt, now - self._down_since, self._rng)
        self._attempt += 1
        self.failures += 1
        self._not_before = now + delay
        if now - self._logged_at >= LOG_EVERY_S:
            self._logged_at = now
            log.warning(
                "no quotes", source=self.source.name, reason=_describe(error), failed=self._attempt,
                retry_s=round(delay, 2),
            )  # fmt: skip
        if isinstance(error, TokenRefusedError):
            await self._renew()

    async def _renew(self) -> None:
        """A broker's token ends each morning: the new one may be in the store by now."""
        if self._credentials is None:
            return
        try:
            self.source.new_token(await asyncio.to_thread(self._credentials, self.source.name))
        except Exception as error:
            log.warning("credentials cannot be read", source=self.source.name, reason=_describe(error))


async def share(
    lines: Sequence[QuoteLine], instruments: Iterable[Instrument]
) -> list[tuple[QuoteLine, list[Instrument]]]:
    """Who is asked for what: each instrument goes to the first line that knows it; unknown ones to none."""
    left, shares = list(dict.fromkeys(instruments)), []
    for line in lines:
        if left and await line.ready():
            own = [each for each in left if line.source.knows(each)]
            left = [each for each in left if not line.source.knows(each)]
            if own:
                shares.append((line, own))
    return shares


class OneOffs:
    """Answers questions for quotes: each is asked once, however many want it, and serves for CACHE_S.

    One flight at a time; what is asked meanwhile travels with the next one, so a broker that takes one call per
    second serves any number of questions.
    """

    def __init__(
        self, lines: Sequence[QuoteLine], cache_s: float = CACHE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lines = lines
        self._cache_s = cache_s
        self._clock = clock
        #: instrument -> (asked at, payload or None for no answer), oldest first
        self._kept: dict[Instrument, tuple[float, bytes | None]] = {}
        #: to go with the next flight, and under way
        self._waiting: dict[Instrument, asyncio.Future[bytes | None]] = {}
        self._flying: dict[Instrument, asyncio.Future[bytes | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def ask(self, instruments: Iterable[Instrument]) -> dict[Instrument, bytes]:
        """Payloads; instruments without an answer are missing. Never raises for a source that fails."""
        wanted, found = dict.fromkeys(instruments), dict[Instrument, bytes | None]()
        futures = dict[Instrument, asyncio.Future[bytes | None]]()
        self._forget()
        for each in wanted:
            if each in self._kept:
                found[each] = self._kept[each][1]
            elif (future := self._enlist(each)) is not None:
                futures[each] = future
        if futures:
            # futures are shared: whoever gives up waiting must not cancel them for the others
            await asyncio.wait(futures.values())
            found |= {each: future.result() for each, future in futures.items() if not future.cancelled()}
        return {each: payload for each, payload in found.items() if payload is not None}

    async def stop(self) -> None:
        """Gives up what is under way; those who wait get no answer."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for future in (*self._waiting.values(), *self._flying.values()):
            future.cancel()
        self._waiting, self._flying = {}, {}

    def _enlist(self, instrument: Instrument) -> asyncio.Future[bytes | None] | None:
        known = self._flying.get(instrument) or self._waiting.get(instrument)
        if known is not None or len(self._waiting) >= MAX_WAITING:
            return known
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting[instrument] = future
        if self._task is None:
            self._task = asyncio.create_task(self._fly(), name="one-off-quotes")
        return future

    async def _fly(self) -> None:
        # one turn of the loop, so that questions of the same moment travel together
        await asyncio.sleep(0)
        while self._waiting:
            self._flying, self._waiting = self._waiting, {}
            try:
                found = await self._fetch(list(self._flying))
            except Exception as error:
                log.error("one-off quotes failed", reason=type(error).__name__)
                found = {}
            self._land(found)
        self._task = None

    def _land(self, found: dict[Instrument, bytes]) -> None:
        now = self._clock()
        for each, future in self._flying.items():
            self._kept[each] = (now, found.get(each))
            if not future.done():
                future.set_result(found.get(each))
        self._flying = {}

    async def _fetch(self, instruments: list[Instrument]) -> dict[Instrument, bytes]:
        found: dict[Instrument, bytes] = {}
        for line, own in await share(self._lines, instruments):
            for start in range(0, len(own), line.source.batch):
                found |= await line.ask(own[start : start + line.source.batch]) or {}
        return found

    def _forget(self) -> None:
        """Lets go of what is too old."""
        now = self._clock()
        while self._kept:
            oldest = next(iter(self._kept))
            if now - self._kept[oldest][0] < self._cache_s:
                return
            del self._kept[oldest]


def _describe(error: Exception) -> str:
    """Text for the log: our own errors say what is wrong; foreign ones might quote a credential."""
    return str(error) if isinstance(error, GatewayError) else type(error).__name__
