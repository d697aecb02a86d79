"""Loading masters: whole or not at all, duplicates, counts, a user's own CSV."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.base import FeedConfig
from gateway.errors import InstrumentError
from gateway.instruments import load, load_for, master_path, read_master, source, stored_brokers
from gateway.instruments.load import LoadResult, load_common
from gateway.instruments.record import COLUMNS
from tests.simulators.kite_market import INSTRUMENTS, instruments_csv

ZERODHA = FeedConfig("zerodha")


def common(home: Path, text: str) -> LoadResult:
    file = home / "mine.csv"
    file.write_text(text)
    return load_common(str(file), home / "home")


def kite(home: Path, text: str) -> LoadResult:
    file = home / "kite.csv"
    file.write_text(text)
    return load_for(ZERODHA, str(file), home / "home")


def test_a_kite_master_becomes_common_records(tmp_path: Path) -> None:
    result = kite(tmp_path, instruments_csv())
    assert (result.read, result.loaded, result.skipped, result.duplicates) == (18, 18, 0, 0)
    assert result.by_exchange["NSE_INDEX"] == 2
    assert result.path == master_path(tmp_path / "home", "zerodha")
    records = {(row.exchange, row.symbol): row for row in read_master(result.path)}
    option = records["NFO", "VEDL24NOV26292.5CE"]
    assert (option.strike, option.lotsize, option.tick_size) == (Decimal("292.5"), 1150, Decimal("0.05"))
    assert option.extra == {"exchange_token": "118638"}
    assert records["NSE", "M&M"].name == "MAHINDRA & MAHINDRA"
    assert records["GLOBAL_INDEX", "GIFTNIFTY"].instrumenttype == "INDEX"
    assert stored_brokers(tmp_path / "home") == ["zerodha"]


def test_of_duplicates_the_first_counts_and_each_is_said(tmp_path: Path) -> None:
    infy = INSTRUMENTS[0]
    again = infy._replace(instrument_token=257)
    same_token = infy._replace(tradingsymbol="OTHER")
    result = kite(tmp_path, instruments_csv((infy, again, same_token, infy)))
    assert (result.read, result.loaded, result.duplicates) == (4, 1, 3)
    assert "NSE:INFY (INFY) is there twice" in result.warnings[0]
    assert "token NSE:408065 (OTHER)" in result.warnings[1]
    assert [row.token for row in read_master(result.path)] == ["408065"]


def test_bad_rows_are_skipped_counted_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MAX_WARNINGS", 2)
    bad = [INSTRUMENTS[0]._replace(exchange="LSE")] * 5
    result = kite(tmp_path, instruments_csv((*bad, INSTRUMENTS[1])))
    assert (result.loaded, result.skipped, len(result.warnings), result.more_warnings) == (1, 5, 2, 3)
    assert result.warnings[0].startswith("line 2, column exchange: 'LSE'")


@pytest.mark.parametrize("text", ["", "a,b\n", instruments_csv(()), instruments_csv()[:200] + '"' + "x" * 200_000])
def test_a_useless_master_leaves_the_old_one(tmp_path: Path, text: str) -> None:
    good = kite(tmp_path, instruments_csv()).path.read_bytes()
    with pytest.raises(InstrumentError):
        kite(tmp_path, text)
    assert master_path(tmp_path / "home", "zerodha").read_bytes() == good
    assert [path.name for path in (tmp_path / "home" / "instruments").iterdir()] == ["zerodha.csv"]


def test_sources_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    with pytest.raises(InstrumentError, match="cannot be read: No such file"):
        load_for(ZERODHA, str(file), tmp_path)
    packed = gzip.compress(instruments_csv().encode())
    damaged = packed[:60] + bytes(byte ^ 255 for byte in packed[60:])
    for data, problem in ((packed[:-9], "cut off gzip"), (damaged, "damaged gzip"), (b"\xff", "not UTF-8")):
        file.write_bytes(data)
        with pytest.raises(InstrumentError, match=problem):
            load_for(ZERODHA, str(file), tmp_path)
    monkeypatch.setattr(source, "MAX_BYTES", 500)
    file.write_bytes(b"a" * 501)
    with pytest.raises(InstrumentError, match="larger than 500 bytes"):
        load_for(ZERODHA, str(file), tmp_path)
    with pytest.raises(InstrumentError, match="no instrument importer for broker 'nobody'"):
        load_for(FeedConfig("nobody"), "x", tmp_path)


def test_a_gzip_bomb_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 3 << 20)
    with pytest.raises(InstrumentError, match="larger than"):
        source.unpack(gzip.compress(bytes(64 << 20)), "bomb")
    assert source.unpack(gzip.compress(bytes(2 << 20)), "fine") == bytes(2 << 20)


def test_a_url_is_shown_without_its_secrets() -> None:
    assert source.shown("https://me:pw@host/x.csv?token=1#f") == "https://host/x.csv"
    assert source.shown("dir/file.csv") == "dir/file.csv"


def test_a_common_csv_needs_exchange_and_symbol_only(tmp_path: Path) -> None:
    result = common(tmp_path, "symbol,exchange\nSBIN,NSE\nNIFTY,NSE_INDEX\nNIFTY24NOV26FUT,NFO\nRELIANCE,NSE\n")
    rows = list(read_master(result.path))
    assert result.loaded == 4
    assert [row.instrumenttype for row in rows] == ["EQ", "INDEX", "FUT", "EQ"]
    sbin = rows[0]._asdict()
    assert sbin == {
        "symbol": "SBIN", "brsymbol": "SBIN", "exchange": "NSE", "brexchange": "NSE", "token": "", "name": "",
        "expiry": "", "strike": 0, "lotsize": 1, "instrumenttype": "EQ", "tick_size": 0, "contract_value": 1,
        "extra": {},
    }  # fmt: skip


def test_a_common_csv_reads_what_a_master_holds(tmp_path: Path) -> None:
    """What was written for a broker can be loaded as a user's own, and is the same again."""
    written = kite(tmp_path, instruments_csv()).path
    result = load_common(str(written), tmp_path / "home")
    assert result.path.read_text() == written.read_text()
    assert result.path.read_text().splitlines()[0] == ",".join(COLUMNS)


def test_every_bad_line_of_a_common_csv_is_named(tmp_path: Path) -> None:
    common(tmp_path, "exchange,symbol\nNSE,SBIN\n")
    before = master_path(tmp_path / "home", "common").read_text()
    text = "exchange,symbol,strike,lotsize,expiry,extra\nNSE,A,x,,,\nLSE,B,,,,\nNSE,C,,1.5,,\nNSE,,,,,\n" \
        "NSE,E,,,24-11-26,\nNSE,F,,,,[]\nNSE,G\nNSE,H,,,,\n"  # fmt: skip
    with pytest.raises(InstrumentError) as caught:
        common(tmp_path, text)
    lines = str(caught.value).splitlines()
    assert [line.split("mine.csv ")[1].split(":")[0] for line in lines] == [
        "line 2, column strike", "line 3, column exchange", "line 4, column lotsize", "line 5, column symbol",
        "line 6, column expiry", "line 7, column extra", "line 8, 2 columns where the header has 6",
    ]  # fmt: skip
    assert master_path(tmp_path / "home", "common").read_text() == before


def test_problems_of_a_common_csv_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(InstrumentError, match="and 80 more"):
        common(tmp_path, "exchange,symbol\n" + "LSE,X\n" * 100)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: no column exchange and no column symbol"),
        ("exchange;symbol\n", "line 1: no column exchange"),
        ("exchange,symbol,symbol\n", "line 1: column symbol is there twice"),
        ("exchange,symbol\n", "no usable row"),
    ],
)
def test_a_useless_header_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InstrumentError, match=problem):
        common(tmp_path, text)


def test_unknown_columns_are_said_not_used(tmp_path: Path) -> None:
    result = common(tmp_path, "exchange,symbol,colour\nNSE,SBIN,red\n")
    assert result.warnings == ["column 'colour' is not used"]
    with pytest.raises(InstrumentError, match="needs a FILE"):
        load_common(None, tmp_path)
