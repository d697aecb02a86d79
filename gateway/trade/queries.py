"""Questions to the database, asked in worker threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from sqlalchemy import Engine

from gateway.errors import CapacityError
from gateway.trade import books
from gateway.trade.core.gtt import Gtt
from gateway.trade.core.orders import Order
from gateway.trade.ports import Kept

T = TypeVar("T")
#: questions under way; past it a caller is told to come again
WAITING_MAX: Final = 256


class Queries:
    """Reads what has left memory. Raises StoreError where the database is away, CapacityError where too many ask."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="trade-queries")
        self._waiting = 0

    async def order(self, user_id: str, orderid: str) -> Order | None:
        """An order of any age."""
        return await self.run(lambda: books.find_order(self._engine, user_id, orderid))

    async def gtt(self, user_id: str, trigger_id: str) -> Gtt | None:
        """A GTT of any age."""
        return await self.run(lambda: books.find_gtt(self._engine, user_id, trigger_id))

    async def kept(self, user_id: str, key: str) -> Kept | None:
        """The answer that an idempotency key was given."""
        return await self.run(lambda: books.kept_answer(self._engine, user_id, key))

    async def missed(self, user_id: str, after: int, limit: int) -> list[bytes]:
        """Order updates with a number above `after`, in order."""
        return await self.run(lambda: books.missed(self._engine, user_id, after, limit))

    async def run(self, ask: Callable[[], T]) -> T:
        """Runs a blocking question in a worker thread."""
        if self._waiting >= WAITING_MAX:
            raise CapacityError("too many questions to the database are under way", WAITING_MAX)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, ask)
        finally:
            self._waiting -= 1

    def stop(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
