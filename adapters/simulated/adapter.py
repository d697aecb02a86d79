"""The simulated feed: drives the Rust market by the clock and publishes what is subscribed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from gateway_matcher import Simulator

from adapters.base import Adapter, FeedConfig, FeedConnection, Limits
from adapters.simulated.universe import load
from gateway.errors import FeedError
from gateway.model import Instrument, Want
from gateway.ports import TickSink

log = structlog.get_logger(__name__)

_IST = timedelta(hours=5, minutes=30)
#: what a late turn of the loop may still send, seconds of ticks; the rest is dropped and counted
CATCH_UP_S = 0.1
#: least time between bursts, s: below this rate (ticks/s) the first, above it the second
_SPACING = ((2_000.0, 0.004), (20_000.0, 0.002), (float("inf"), 0.001))


class SimulatedAdapter(Adapter):
    """Options: `rate` (ticks/s over all instruments), `seed`, `instruments` (how many).

    The market moves from the first connect on, in an order and at prices that depend on the seed alone;
    a subscription only decides which of the ticks are published.
    """

    name = "simulated"
    needs_credentials = False
    limits = Limits(symbols_per_connection=100_000, connections=1, silence_s=float("inf"), batch=5_000)

    def __init__(self, config: FeedConfig, sink: TickSink, clock_ns: Callable[[], int]) -> None:
        super().__init__(config, sink, clock_ns)
        self.rate = float(config.options.get("rate", 1000.0))
        #: ticks that a late loop turn had no time for
        self.dropped = 0
        self._places: dict[Instrument, int] = {}
        self._market: Simulator | None = None

    async def prepare(self) -> None:
        """Builds the market of the day. Raises FeedError for options out of range."""
        seed, number = int(self.config.options.get("seed", 1)), int(self.config.options.get("instruments", 200))
        if not 1 <= self.rate <= 100_000:
            raise FeedError(f"SIMULATED_RATE is {self.rate:g}; it may be 1 to 100000 (ticks per second)")
        if number < 1 or seed < 0:
            raise FeedError("SIMULATED_INSTRUMENTS must be at least 1 and SIMULATED_SEED at least 0")
        if self._market is None:
            today = (datetime.fromtimestamp(self.clock_ns() / 1e9, UTC) + _IST).date()
            rows = load(number, today)
            self._places = {row.instrument: at for at, row in enumerate(rows)}
            self._market = Simulator(seed, [row.simulator_row() for row in rows])

    def knows(self, instrument: Instrument) -> bool:
        """True for the instruments of the data file (the first SIMULATED_INSTRUMENTS of them)."""
        return instrument in self._places

    @property
    def instruments(self) -> list[Instrument]:
        """All simulated instruments, in the order of the file; empty before `prepare`."""
        return list(self._places)

    def open(self, on_closed: Callable[[Exception | None], None]) -> FeedConnection:
        """A connection to the market; it is never lost by itself."""
        if self._market is None:
            raise FeedError("prepare comes before open")
        return SimulatedConnection(self, self._market, self._places)


class SimulatedConnection(FeedConnection):
    """Sends bursts on a schedule that starts at `connect` and never drifts."""

    def __init__(self, adapter: SimulatedAdapter, market: Simulator, places: dict[Instrument, int]) -> None:
        self._adapter = adapter
        self._market = market
        self._places = places
        self._rate = adapter.rate
        spacing = next(seconds for below, seconds in _SPACING if self._rate <= below)
        self._spacing = max(spacing, 1.0 / self._rate)
        self._catch_up = max(1, int(self._rate * CATCH_UP_S))
        self._timer: asyncio.TimerHandle | None = None
        self._began = 0.0
        self._done = 0

    async def connect(self) -> None:
        """Starts the schedule."""
        self._began = time.monotonic()
        self._done = 0
        self._turn()

    async def subscribe(self, wants: Sequence[Want]) -> None:
        """Publishes from now on in the given modes, and each instrument's present state at once."""
        now_ms = self._adapter.clock_ns() // 1_000_000
        first = []
        for want in wants:
            place = self._places[want.instrument]
            self._market.subscribe(place, want.mode)
            tick = self._market.current(place, now_ms)
            if tick is not None:
                first.append(tick)
        self._publish(first)

    async def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        """Publishes these no more."""
        for instrument in instruments:
            self._market.subscribe(self._places[instrument], 0)

    async def close(self) -> None:
        """Stops the clock; the market stands still until the next connect."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for place in self._places.values():
            self._market.subscribe(place, 0)

    def _turn(self) -> None:
        """Sends what is due by now and sets the timer to a whole spacing since the start."""
        elapsed = time.monotonic() - self._began
        due = int(elapsed * self._rate) - self._done
        if due > self._catch_up:
            self._adapter.dropped += due - self._catch_up
            self._done += due - self._catch_up
            due = self._catch_up
        self._done += due
        # At least half a spacing and a millisecond ahead: uvloop's timers have whole milliseconds, and one that
        # fires a little early would otherwise be set to the same moment over and over.
        ahead = (int(elapsed / self._spacing + 0.5) + 1) * self._spacing - elapsed
        self._timer = asyncio.get_running_loop().call_later(max(0.001, ahead), self._turn)
        if due:
            self._publish(self._market.advance(due, self._adapter.clock_ns() // 1_000_000))

    def _publish(self, ticks: list[tuple[bytes, bytes]]) -> None:
        self.last_frame_ns = time.monotonic_ns()
        if ticks:
            self._adapter.sink.publish(ticks, self._adapter.name)
