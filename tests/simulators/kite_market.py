"""A small market for the simulated Kite server: instruments of every segment and seeded random ticks."""

from __future__ import annotations

import csv
import io
import random
from typing import NamedTuple

from tests.simulators.kite_wire import INDICES, Book, divisor


class Row(NamedTuple):
    """One row of Kite's instrument CSV, columns as the broker names them (INSTRUMENTS section 4)."""

    instrument_token: int
    exchange_token: int
    tradingsymbol: str
    name: str
    last_price: str
    expiry: str
    strike: str
    tick_size: str
    lot_size: int
    instrument_type: str
    segment: str
    exchange: str


def _row(
    exchange: str, code: int, number: int, symbol: str, price: str, *, name: str = "", expiry: str = "",
    strike: str = "0", tick: str = "0.05", lot: int = 1, kind: str = "EQ", segment: str = "",
) -> Row:  # fmt: skip
    token = number * 256 + code
    if code == INDICES:
        segment, tick, lot = "INDICES", "0", 0
    elif not segment:
        segment = exchange if kind == "EQ" else f"{exchange}-{'FUT' if kind == 'FUT' else 'OPT'}"
    return Row(token, number, symbol, name or symbol, price, expiry, strike, tick, lot, kind, segment, exchange)


#: every segment and every shape of packet; `last_price` is where the random walk starts
INSTRUMENTS: tuple[Row, ...] = (
    _row("NSE", 1, 1594, "INFY", "1418.65", name="INFOSYS"),
    _row("NSE", 1, 3045, "SBIN", "812.40", name="STATE BANK OF INDIA"),
    _row("NSE", 1, 2885, "RELIANCE", "1480.10", name="RELIANCE INDUSTRIES"),
    _row("NSE", 1, 2031, "M&M", "3101.00", name="MAHINDRA & MAHINDRA"),
    _row("BSE", 4, 500112, "SBIN", "812.35", name="STATE BANK OF INDIA"),
    _row("NFO", 2, 58044, "NIFTY26NOVFUT", "24815.6", name="NIFTY", expiry="2026-11-24", lot=75, kind="FUT",
         tick="0.1"),
    _row("NFO", 2, 47203, "NIFTY26N1725000PE", "182.35", name="NIFTY", expiry="2026-11-17", strike="25000", lot=75,
         kind="PE"),
    _row("NFO", 2, 118638, "VEDL26NOV292.5CE", "11.2", name="VEDL", expiry="2026-11-24", strike="292.5", lot=1150,
         kind="CE"),
    _row("BFO", 5, 837326, "SENSEX26N1991000PE", "510.05", name="SENSEX", expiry="2026-11-19", strike="91000", lot=20,
         kind="PE"),
    _row("CDS", 3, 1150, "USDINR26NOVFUT", "85.4325", name="USDINR", expiry="2026-11-26", tick="0.0025", kind="FUT"),
    _row("BCD", 6, 800123, "USDINR26NOVFUT", "85.4350", name="USDINR", expiry="2026-11-26", tick="0.0025",
         kind="FUT"),
    _row("MCX", 7, 438413, "CRUDEOIL26DECFUT", "5890", name="CRUDEOIL", expiry="2026-12-18", tick="1", kind="FUT"),
    _row("NCO", 12, 9001, "GOLD26DECFUT", "71250.5", name="GOLD", expiry="2026-12-04", tick="0.5", kind="FUT"),
    _row("NSE", 9, 1001, "NIFTY 50", "24612.35"),
    _row("NSE", 9, 1009, "NIFTY BANK", "55120.05"),
    _row("BSE", 9, 1, "SENSEX", "80340.9"),
    _row("MCX", 9, 266, "MCXBULLDEX", "18020.5"),
    _row("NSEIX", 9, 1140, "GIFT NIFTY", "24700.5"),
)  # fmt: skip


def instruments_csv(rows: tuple[Row, ...] = INSTRUMENTS) -> str:
    """The CSV as the broker serves it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(rows)
    return out.getvalue()


class Market:
    """Books of all instruments; `step` moves one of them. Same seed, same ticks."""

    def __init__(self, seed: int = 1, start: int = 1_763_611_200, rows: tuple[Row, ...] = INSTRUMENTS) -> None:
        self._random = random.Random(seed)
        self.now = start
        self.rows = {row.instrument_token: row for row in rows}
        self.books = {row.instrument_token: self._opening(row) for row in rows}

    def step(self, tokens: list[int]) -> Book | None:
        """Moves one of `tokens` that the market knows; market time goes on by up to a second."""
        known = [token for token in tokens if token in self.books]
        if not known:
            return None
        self.now += self._random.randint(0, 1)
        book = self.books[self._random.choice(known)]
        self._move(book)
        return book

    def token(self, name: str) -> int:
        """The token of `EXCHANGE:TRADINGSYMBOL`. Raises KeyError."""
        return {f"{row.exchange}:{row.tradingsymbol}": token for token, row in self.rows.items()}[name]

    def set_price(self, token: int, price: float) -> Book:
        """Trades once at `price`, INR; market time goes on by a second."""
        self.now += 1
        book = self.books[token]
        book.ltp = round(price * divisor(token))
        book.high, book.low = max(book.high, book.ltp), min(book.low, book.ltp)
        book.time = self.now
        if not book.is_index:
            self._fill(book)
        return book

    def _opening(self, row: Row) -> Book:
        book = Book(row.instrument_token, time=self.now)
        scale = divisor(book.token)
        book.ltp = book.open = book.high = book.low = round(float(row.last_price) * scale)
        book.close = round(book.ltp * (1 + self._random.uniform(-0.02, 0.02)))
        if not book.is_index:
            self._fill(book)
        return book

    def _move(self, book: Book) -> None:
        unit = max(divisor(book.token) // 400, 1)
        book.ltp = max(book.ltp + self._random.randint(-8, 8) * unit, unit)
        book.high, book.low = max(book.high, book.ltp), min(book.low, book.ltp)
        book.time = self.now
        if not book.is_index:
            self._fill(book)

    def _fill(self, book: Book) -> None:
        draw = self._random.randint
        unit = max(divisor(book.token) // 20, 1)
        book.ltq = draw(1, 5000)
        book.volume = min(book.volume + book.ltq, 2**32 - 1)
        book.average = (book.high + book.low) // 2
        book.total_buy, book.total_sell = draw(0, 10**7), draw(0, 10**7)
        # now and then never traded, and no exchange time: both are 0 on the wire
        book.ltt = book.time if draw(0, 9) else 0
        book.oi = draw(0, 10**8)
        book.oi_high, book.oi_low = book.oi + draw(0, 1000), max(book.oi - draw(0, 1000), 0)
        levels = draw(0, 5)
        book.buy = [(draw(1, 10**6), max(book.ltp - unit * step, 1), draw(1, 900)) for step in range(1, levels + 1)]
        levels = draw(0, 5)
        book.sell = [(draw(1, 10**6), book.ltp + unit * step, draw(1, 900)) for step in range(1, levels + 1)]
