"""Mark-to-market: positions at the newest price, and `position_update`s that follow ticks, conflated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from gateway.model import Instrument
from gateway.trade.core.money import ZERO
from gateway.trade.core.positions import Position
from gateway.trade.events import shown
from gateway.trade.ports import Updates
from gateway.wire import encode

_PAISA: Final = Decimal("0.01")
#: positions that wait for the end of their window; beyond that the oldest are told at once
_MOST: Final = 50_000


class Mark(NamedTuple):
    """A position at a price, INR."""

    ltp: Decimal
    #: what closing would realise, and what was realised today
    pnl: Decimal
    #: of what the open quantity cost; 0 when flat
    pnl_percent: Decimal


def mark(position: Position, ltp: Decimal, day: date) -> Mark:
    """Marks a position at `ltp`. PnL is unrealised plus what the position realised on trading day `day`.

    So a position that was closed today shows what it brought, and one carried over shows today's and open gains.
    """
    pnl = position.unrealised(ltp) if position.quantity else ZERO
    pnl += position.realised_today(day)
    cost = position.net.cost * position.terms.contract_value
    percent = (pnl / cost * 100).quantize(_PAISA) if cost else ZERO
    return Mark(ltp, pnl.quantize(_PAISA), percent)


def position_update(user_id: str, position: Position, ltp: Decimal, day: date, seq: int) -> bytes:
    """The object of a `position_update` (websocket-protocol, "Order updates")."""
    found = mark(position, ltp, day)
    return encode(
        {
            "type": "position_update", "user_id": user_id, "mode": "analyze", "broker": "sandbox",
            "symbol": position.key.symbol, "exchange": position.key.exchange, "product": position.key.product,
            "quantity": position.quantity, "average_price": shown(position.average_price), "ltp": shown(ltp),
            "pnl": found.pnl, "pnl_percent": found.pnl_percent, "seq": seq,
        }
    )  # fmt: skip


@dataclass(slots=True)
class _Window:
    """An instrument whose positions were told, and until when the next telling waits (loop time, s)."""

    until: float
    dirty: bool = False


class Marks:
    """Tells owners of positions what they are worth: at once after a quiet spell, then once a window."""

    def __init__(
        self,
        updates: Updates,
        positions_of: Callable[[Instrument], Sequence[tuple[str, Position]]],
        seq_of: Callable[[str], int],
        price_of: Callable[[Instrument], Decimal | None],
        today: Callable[[], date],
        window_s: float,
    ) -> None:
        self._updates = updates
        self._positions_of = positions_of
        self._seq_of = seq_of
        self._price_of = price_of
        self._today = today
        self._window_s = window_s
        self._loop = asyncio.get_running_loop()
        self._windows: dict[Instrument, _Window] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.told = 0

    def on_ticks(self, instruments: Iterable[Instrument]) -> None:
        """These instruments have a new price."""
        now = self._loop.time()
        for instrument in instruments:
            window = self._windows.get(instrument)
            if window is not None and now < window.until:
                window.dirty = True
            elif self._positions_of(instrument):
                self._tell(instrument, now)

    def stop(self) -> None:
        """Ends the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self, instrument: Instrument, now: float) -> None:
        self._windows[instrument] = _Window(now + self._window_s)
        if self._timer is None:
            self._timer = self._loop.call_later(self._window_s, self._on_timer)
        price = self._price_of(instrument)
        if price is None:
            return
        day = self._today()
        for user_id, position in self._positions_of(instrument):
            self.told += 1
            self._updates.publish(user_id, position_update(user_id, position, price, day, self._seq_of(user_id)))

    def _on_timer(self) -> None:
        """Windows are looked through together: one timer, whatever the number of positions."""
        self._timer = None
        now = self._loop.time()
        ended = [one for one, window in self._windows.items() if now >= window.until]
        dirty = [one for one in ended if self._windows[one].dirty]
        for instrument in ended:
            del self._windows[instrument]
        for instrument in dirty:
            if self._positions_of(instrument):
                self._tell(instrument, now)
        if self._windows and self._timer is None:
            first = min(window.until for window in self._windows.values())
            self._timer = self._loop.call_at(first, self._on_timer)
