"""Mark-to-market and its updates: newest price, once a window, never for who holds nothing."""

# a Decimal equals an int
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

import asyncio
from decimal import Decimal

import orjson
import pytest

from gateway.model import Instrument
from gateway.trade.marks import Marks, mark
from tests.unit.trade.desk import CALENDAR, CALL, FUT, NOON, Desk, dec

SBIN = Instrument("NSE", "SBIN")
TODAY = CALENDAR.trading_day(NOON)


def test_pnl_of_an_open_position() -> None:
    desk = Desk()
    desk.place("BUY", 10, ltp=100)
    found = mark(desk.position(), dec("101.5"), TODAY)
    assert (found.ltp, found.pnl, found.pnl_percent) == (Decimal("101.5"), 15, Decimal("1.5"))
    short = Desk()
    short.place("SELL", 75, FUT, ltp=200, product="NRML")
    assert mark(short.position(FUT, "NRML"), dec(198), TODAY)[1:] == (150, 1)


def test_what_was_realised_today_counts_and_what_was_yesterday_does_not() -> None:
    desk = Desk()
    desk.place("BUY", 10, ltp=100)
    desk.place("SELL", 4, ltp=110)
    assert mark(desk.position(), dec(110), TODAY).pnl == 100
    desk.place("SELL", 6, ltp=110)
    assert mark(desk.position(), dec(5), TODAY)[1:] == (100, 0), "closed: the price does not matter"
    desk.later(days=1)
    tomorrow = CALENDAR.trading_day(desk.now)
    assert mark(desk.position(), dec(5), tomorrow).pnl == 0


def test_contract_values_count() -> None:
    desk = Desk()
    desk.place("BUY", 1000, "BTCUSDFUT", ltp=60_000, product="NRML")
    assert mark(desk.position("BTCUSDFUT", "NRML"), dec(60_100), TODAY).pnl == 100


class Stage:
    """Marks with one position of one user, a price by hand and a real loop."""

    def __init__(self, window_s: float = 0.03) -> None:
        desk = Desk()
        desk.place("BUY", 10, ltp=100)
        desk.place("BUY", 75, CALL, ltp=10, product="NRML")
        self.position = desk.position()
        self.price: Decimal | None = dec(100)
        self.told: list[tuple[str, dict[str, object]]] = []
        self.marks = Marks(
            self, lambda one: [("asha", self.position)] if one == SBIN else [], lambda user: 7, lambda one: self.price,
            lambda: TODAY, window_s,
        )  # fmt: skip

    def publish(self, user_id: str, payload: bytes, mode: str = "ANALYZE") -> None:
        self.told.append((user_id, orjson.loads(payload)))

    def tick(self, price: object) -> None:
        self.price = dec(price)
        self.marks.on_ticks([SBIN])


@pytest.mark.asyncio
async def test_the_first_tick_is_told_at_once_and_the_last_of_a_burst_at_the_end_of_the_window() -> None:
    stage = Stage()
    stage.tick(101)
    (first,) = stage.told
    assert first == (
        "asha",
        {"type": "position_update", "user_id": "asha", "mode": "analyze", "broker": "sandbox", "symbol": "SBIN",
         "exchange": "NSE", "product": "MIS", "quantity": 10, "average_price": 100, "ltp": 101, "pnl": 10.00,
         "pnl_percent": 1.00, "seq": 7},
    )  # fmt: skip
    for price in (102, 103, 104):
        stage.tick(price)
    assert len(stage.told) == 1
    await asyncio.sleep(0.1)
    assert [update["ltp"] for _, update in stage.told] == [101, 104]
    await asyncio.sleep(0.1)
    assert len(stage.told) == 2, "quiet again"
    stage.marks.stop()


@pytest.mark.asyncio
async def test_no_position_no_update_no_timer() -> None:
    stage = Stage()
    stage.marks.on_ticks([Instrument("NSE", "TCS")])
    stage.price = None
    stage.marks.on_ticks([SBIN])
    assert not stage.told
    stage.marks.stop()
    await asyncio.sleep(0.05)
    assert not stage.told
