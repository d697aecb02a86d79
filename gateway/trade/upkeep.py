"""What the trade process does beside: last prices stored, old answers forgotten, new instrument masters read."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Engine

from gateway import order_events
from gateway.log import limited
from gateway.store.engine import store_errors
from gateway.store.outbox import NewEvent, append_events
from gateway.trade.desk import Desk
from gateway.trade.masters import Masters
from gateway.trade.ports import OutEvent, Prices
from gateway.trade.writer import Writer

log = structlog.get_logger(__name__)

#: how often new instrument masters are looked for, s, and at every how many of those times last prices are stored
_LOOK_S: Final = 2.0
_PRICES_EVERY: Final = 15
#: how long the answers of idempotency keys are kept
_KEEP: Final = timedelta(days=1)
#: whose events the gateway's own are (order-events, "Kafka")
_ADMIN: Final = "admin"


class Upkeep:
    """`now` is trading time."""

    def __init__(
        self,
        engine: Engine,
        masters: Masters,
        writer: Writer,
        desk: Desk,
        prices: Prices,
        now: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._masters = masters
        self._writer = writer
        self._desk = desk
        self._prices = prices
        self._now = now

    async def run(self) -> None:
        """Goes on until it is cancelled; what fails is tried again the next time."""
        for count in itertools.count():
            await asyncio.sleep(_LOOK_S)
            try:
                if count % _PRICES_EVERY == 0:
                    self.save()
                await self._read_masters()
            except Exception:
                limited(log, "upkeep").exception("upkeep failed; it is tried again")

    def save(self) -> None:
        """Stores the last prices of what is open: settlement after a restart needs them."""
        now, last = self._now(), self._prices.last
        places = self._desk.holds.held_by_positions
        self._writer.save_prices([(one, price, now) for one in places if (price := last(one)) is not None])
        self._writer.tidy(now - _KEEP)

    async def _read_masters(self) -> None:
        """Takes over masters that somebody has loaded, and tells of them."""
        changed = await asyncio.to_thread(self._masters.load)
        if not changed:
            return
        log.info("instrument masters were read", brokers=changed, instruments=len(self._masters))
        text = f"{len(self._masters)} instruments are known"
        told = [order_events.master_contract_download(name, "success", text) for name in changed]
        await self.tell(_ADMIN, told)

    async def tell(self, user_id: str, told: Sequence[OutEvent]) -> None:
        """Writes events that belong to no transaction of the desk. Raises StoreError."""
        rows = [NewEvent(user_id, one.event_type, one.payload.decode(), self._now()) for one in told]
        await asyncio.to_thread(self._append, rows)

    def _append(self, rows: Sequence[NewEvent]) -> None:
        with store_errors("writing events"), self._engine.begin() as connection:
            append_events(connection, rows)
