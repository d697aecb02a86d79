"""What the tick stream brings, handed on: ticks, health, questions about missed order events, invalidations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import structlog

from gateway.errors import GatewayError
from gateway.log import limited
from gateway.trade.health import Health
from gateway.trade.market_data import MarketData
from gateway.trade.ports import StreamTick
from gateway.trade.queries import Queries
from gateway.trade.updates import UpdatePublisher

log = structlog.get_logger(__name__)

#: order events that one question is answered with; who needs more asks again from the last one
MISSED_MAX: Final = 10_000
#: questions about missed events under way; beyond that they are dropped and counted, and the client asks again
QUESTIONS_MAX: Final = 256


class Listener:
    """The owner of the stream. All calls return at once."""

    def __init__(
        self,
        prices: MarketData,
        health: Health,
        queries: Queries,
        updates: UpdatePublisher,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._prices = prices
        self._health = health
        self._queries = queries
        self._updates = updates
        self._clock_ns = clock_ns
        self._answers: set[asyncio.Task[None]] = set()
        #: called with user and kind when cached keys and tokens are to be forgotten
        self.invalidate: Callable[[str, str], None] = lambda user_id, cache_type: None
        self.dropped = 0

    def on_ticks(self, ticks: Sequence[StreamTick]) -> None:
        """Ticks in order of arrival; replayed ones are no sign of life of a feed."""
        if not all(tick[3] for tick in ticks):
            self._health.on_tick(self._clock_ns())
        self._prices.on_ticks(ticks)

    def on_health(self, feeds: Sequence[Mapping[str, Any]]) -> None:
        """The states of the market process' feeds."""
        self._health.on_health(feeds, self._clock_ns())

    def on_orders(self, user_id: str, after: int, connection: int) -> None:
        """One connection asks for the order events that it missed."""
        if len(self._answers) >= QUESTIONS_MAX:
            self.dropped += 1
            limited(log, "questions").warning("too many ask for missed order events", under_way=QUESTIONS_MAX)
            return
        task = asyncio.create_task(self._answer(user_id, after, connection))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    def on_invalidate(self, user_id: str, cache_type: str) -> None:
        """Cached keys and tokens are to be forgotten."""
        self.invalidate(user_id, cache_type)

    async def _answer(self, user_id: str, after: int, connection: int) -> None:
        try:
            missed = await self._queries.missed(user_id, after, MISSED_MAX)
        except GatewayError as error:
            limited(log, "missed").error("missed order events cannot be told", reason=str(error))
            return
        self._updates.reply(user_id, missed, connection)
