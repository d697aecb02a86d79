"""The calendar at work: square-off, expiry, delivery at T+1, reset, each at its time or as soon as possible after."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from gateway.errors import CapacityError
from gateway.log import limited
from gateway.model import Instrument
from gateway.trade.core.calendar import Calendar
from gateway.trade.desk import Desk
from gateway.trade.ports import Prices
from gateway.trade.user import Entry

log = structlog.get_logger(__name__)

#: users looked at before requests get their share of the event loop
_TOGETHER: Final = 20


class Fresh(Mapping[Instrument, Decimal]):
    """Prices that may close a position: fresh ones, and none while the feed is stale."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices

    def __getitem__(self, instrument: Instrument) -> Decimal:
        quote = None if self._prices.paused() else self._prices.fresh(instrument)
        if quote is None:
            raise KeyError(instrument)
        return quote.ltp

    def __iter__(self) -> Iterator[Instrument]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Last(Fresh):
    """The last prices that are known, however old; those of an earlier run where the feed has said nothing yet."""

    def __init__(self, prices: Prices, stored: Mapping[Instrument, Decimal]) -> None:
        super().__init__(prices)
        self._stored = stored

    def __getitem__(self, instrument: Instrument) -> Decimal:
        price = self._prices.last(instrument)
        return self._stored[instrument] if price is None else price


class Days:
    """Runs what the calendar asks for. `run` is called about once a second with trading time."""

    def __init__(
        self, desk: Desk, calendar: Calendar, prices: Prices, stored: Mapping[Instrument, Decimal], reset_day: str
    ) -> None:
        self._desk = desk
        self._calendar = calendar
        self._fresh = Fresh(prices)
        self._last = Last(prices, stored)
        self._reset_day = reset_day
        self._ran: datetime | None = None
        #: users with a position that waits for a price
        self._waiting: set[str] = set()

    async def run(self, at: datetime) -> None:
        """Everything that became due since the last call; at the first call, everything that was missed."""
        due = self._ran is None or any(self._ran < moment <= at for moment in self._moments(self._ran, at))
        new_day = self._ran is None or self._calendar.trading_day(self._ran) != self._calendar.trading_day(at)
        self._ran = at
        names = list(self._desk.users) if due else list(self._waiting)
        for count, name in enumerate(names, 1):
            self._guarded(self._desk.users[name], at)
            if count % _TOGETHER == 0:
                await asyncio.sleep(0)
        if new_day:
            await self._forget(self._calendar.day_begin(self._calendar.trading_day(at)))

    def _moments(self, since: datetime, at: datetime) -> Iterator[datetime]:
        """Times of the days from `since` to `at` at which something may be due."""
        day, last = since.date() - timedelta(days=1), at.date() + timedelta(days=1)
        while day <= last:
            yield self._calendar.day_begin(day)
            yield from self._of_exchanges(day)
            day += timedelta(days=1)

    def _of_exchanges(self, day: date) -> Iterator[datetime]:
        for exchange in self._calendar.hours:
            yield self._calendar.expires(exchange, day)
            session = self._calendar.session(exchange, day)
            if session is not None:
                yield session.square_off

    def _guarded(self, entry: Entry, at: datetime) -> None:
        try:
            self._one(entry, at)
        except CapacityError:
            self._waiting.add(entry.user_id)
        except Exception:
            self._waiting.discard(entry.user_id)
            limited(log, "days").exception("a user's day could not be closed", user=entry.user_id)

    def _one(self, entry: Entry, at: datetime) -> None:
        """One user: reset, delivery, square-off, expiry, in one transaction."""
        work, account = self._desk.work(entry), entry.account
        if self._calendar.reset_due(self._reset_day, account.ledger.funds.since, at) is not None:
            work.do(account.reset(at))
        work.do(account.settle(at))
        squared = work.do(account.square_off(at, self._fresh))
        expired = work.do(account.expire(at, self._last))
        if squared.waiting or expired.waiting:
            self._waiting.add(entry.user_id)
        else:
            self._waiting.discard(entry.user_id)
        if not work.empty:
            work.commit()

    async def _forget(self, begin: datetime) -> None:
        """A new trading day: yesterday's ended orders and fills leave memory."""
        for count, entry in enumerate(list(self._desk.users.values()), 1):
            entry.account.forget_ended(begin)
            entry.trades[:] = [trade for trade in entry.trades if trade.at >= begin]
            if count % _TOGETHER == 0:
                await asyncio.sleep(0)
