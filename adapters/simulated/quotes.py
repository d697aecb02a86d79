"""Quotes of the simulated market by asking, for when its feed is silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

from gateway_matcher import Simulator

from adapters.base import FeedConfig
from adapters.simulated.universe import load
from gateway.errors import FeedError
from gateway.model import Instrument, Mode

_IST = timedelta(hours=5, minutes=30)
#: trades per second of the market behind the quotes, at most; a day of them is walked in a tenth of a second
QUOTE_RATE = 20.0


class SimulatedQuotes:
    """The universe of the simulated feed at a moment of the day.

    The feed runs in another process and its market moves from its first connect on, so these are not its prices
    but those of a market with the same seed and instruments that opened at midnight IST and moves at most
    QUOTE_RATE times a second: the same question at the same moment gives the same answer, in any process, and
    prices stay near the previous close, where the feed's market begins, too.
    """

    name: str = "simulated"
    batch: int = 5_000

    def __init__(self, config: FeedConfig, clock_ns: Callable[[], int]) -> None:
        self.config = config
        self._clock_ns = clock_ns
        self._places: dict[Instrument, int] = {}
        self._market: Simulator | None = None
        self._day: date | None = None
        #: trades since midnight
        self._done = 0
        self._turn = asyncio.Lock()

    async def prepare(self) -> None:
        """Builds the day's market. Raises FeedError for options out of range."""
        async with self._turn:
            day = self._now().date()
            if day != self._day:
                await asyncio.to_thread(self._build, day)

    def knows(self, instrument: Instrument) -> bool:
        """True for the instruments of the simulated feed."""
        return instrument in self._places

    async def multiquotes(self, instruments: Sequence[Instrument]) -> dict[Instrument, bytes]:
        """Payloads of Quote ticks as of now, without what is not simulated. Raises FeedError."""
        await self.prepare()
        async with self._turn:
            due = self._due()
            if due > self._done:
                await asyncio.to_thread(self._advance, due - self._done)
                self._done = due
            return {each: payload for each in instruments if (payload := self._payload(each)) is not None}

    def new_token(self, config: FeedConfig) -> None:
        """A simulated market has no login."""

    async def close(self) -> None:
        """Nothing is open."""

    def _build(self, day: date) -> None:
        options = self.config.options
        seed, number = int(options.get("seed", 1)), int(options.get("instruments", 200))
        if number < 1 or seed < 0:
            raise FeedError("SIMULATED_INSTRUMENTS must be at least 1 and SIMULATED_SEED at least 0")
        rows = load(number, day)
        self._market = Simulator(seed, [row.simulator_row() for row in rows])
        self._places = {row.instrument: at for at, row in enumerate(rows)}
        self._day, self._done = day, 0

    def _advance(self, count: int) -> None:
        assert self._market is not None
        self._market.advance(count, self._clock_ns() // 1_000_000)

    def _payload(self, instrument: Instrument) -> bytes | None:
        place = self._places.get(instrument)
        if place is None or self._market is None:
            return None
        self._market.subscribe(place, Mode.QUOTE)
        tick = self._market.current(place, self._clock_ns() // 1_000_000)
        self._market.subscribe(place, 0)
        return None if tick is None else tick[1]

    def _due(self) -> int:
        """Trades from midnight to now."""
        now = self._now()
        since = now - now.replace(hour=0, minute=0, second=0, microsecond=0)
        return int(since.total_seconds() * min(QUOTE_RATE, float(self.config.options.get("rate", 1000.0))))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock_ns() / 1e9, UTC) + _IST
