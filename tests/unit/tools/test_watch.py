"""The live table without a stream."""

from __future__ import annotations

import io

import orjson
from rich.console import Console

from gateway.model import Instrument
from gateway.tools.stream import Tick
from gateway.tools.watch import Board

SBIN, USD = Instrument("NSE", "SBIN"), Instrument("CDS", "USDINR28JAN26FUT")


def drawn(board: Board, now_ns: int, caption: str = "") -> list[str]:
    console = Console(file=io.StringIO(), width=120)
    console.print(board.table(now_ns, caption))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def line(board: Board, name: str, now_ns: int) -> list[str]:
    (row,) = [text for text in drawn(board, now_ns) if name in text]
    return [cell.strip() for cell in row.strip("│ ").split("│")]


def tick(topic: str, arrival_ns: int, **values: object) -> Tick:
    return Tick(topic.encode(), orjson.dumps(values), 1, arrival_ns)


def test_a_row_before_and_after_its_ticks() -> None:
    board = Board([SBIN, USD])
    assert line(board, "SBIN", 0) == ["NSE:SBIN", "-", "-", "-", "-", "-", "no tick"]
    quote = {"ltp": 982.5, "change_percent": -1.25, "bid": 982.45, "ask": 982.55, "volume": 1234567}
    board.update(tick("NSE_SBIN_QUOTE", 1_000_000_000, **quote))
    expected = ["NSE:SBIN", "982.50", "-1.25", "982.45", "982.55", "1,234,567", "1.5 s"]
    assert line(board, "SBIN", 2_500_000_000) == expected
    assert board.silent() == [USD]


def test_currencies_show_four_decimals_and_the_change_is_computed_from_the_close() -> None:
    board = Board([USD])
    board.update(tick("CDS_USDINR28JAN26FUT_LTP", 5, ltp=88.6525, close=88.0))
    assert line(board, "USDINR", 90_000_000_000)[1:3] == ["88.6525", "+0.74"]
    assert line(board, "USDINR", 180_000_000_000)[-1] == "3 min"


def test_an_ltp_tick_keeps_the_quote_and_old_or_broken_ticks_change_nothing() -> None:
    board = Board([SBIN])
    board.update(tick("NSE_SBIN_QUOTE", 100, ltp=1.0, bid=0.95))
    board.update(tick("NSE_SBIN_LTP", 200, ltp=2.0))
    board.update(tick("NSE_SBIN_LTP", 150, ltp=3.0))
    board.update(Tick(b"NSE_SBIN_LTP", b"[1]", 1, 300))
    board.update(Tick(b"NSE_SBIN_LTP", b"{", 1, 300))
    board.update(tick("NSE_TCS_LTP", 400, ltp=4.0))
    assert board.rows[SBIN].values == {"ltp": 2.0, "bid": 0.95}
    assert board.rows[SBIN].arrival_ns == 200


def test_the_caption_is_shown() -> None:
    assert any("silent for 4 s" in text for text in drawn(Board([SBIN]), 0, "silent for 4 s"))
