"""Kite's rows to common records: the shared vectors and what real files have besides."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.base import FeedConfig
from adapters.zerodha import instruments
from gateway.errors import InstrumentError
from gateway.instruments import InstrumentRecord
from gateway.instruments.table import BadRow

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "instruments_kite.json").read_text())["vectors"]
HEADER = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size," \
    "instrument_type,segment,exchange\n"  # fmt: skip


def rows(*lines: str) -> list[InstrumentRecord | BadRow]:
    return list(instruments.parse(HEADER + "".join(f"{line}\n" for line in lines), "kite.csv"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["id"]))
def test_vectors(vector: dict[str, Any]) -> None:
    record = instruments.to_record(vector["input"])
    expected = vector["expected"]
    assert record._asdict() == {
        name: Decimal(str(value)) if name in ("strike", "tick_size", "contract_value") else value
        for name, value in expected.items()
    }


def test_a_quoted_name_may_hold_a_comma() -> None:
    [record] = rows('1,2,ABC,"ABC, LTD",0,,0,0.05,1,EQ,NSE,NSE')
    assert isinstance(record, InstrumentRecord)
    assert record.name == "ABC, LTD"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("x,2,ABC,ABC,0,,0,0.05,1,EQ,NSE,NSE", "column instrument_token: 'x'"),
        ("4294967296,2,ABC,ABC,0,,0,0.05,1,EQ,NSE,NSE", "column instrument_token"),
        (",2,ABC,ABC,0,,0,0.05,1,EQ,NSE,NSE", "column instrument_token: ''"),
        ("1,2,,ABC,0,,0,0.05,1,EQ,NSE,NSE", "column tradingsymbol"),
        ("1,2,ABC,ABC,0,2026-13-01,0,0.05,1,FUT,NFO-FUT,NFO", "column expiry: '2026-13-01'"),
        ("1,2,ABC,ABC,0,,0,0.05,1,FUT,NFO-FUT,NFO", "column expiry: is empty"),
        ("1,2,ABC,,0,2026-11-24,0,0.05,1,FUT,NFO-FUT,NFO", "column name"),
        ("1,2,ABC,ABC,0,2026-11-24,-5,0.05,1,CE,NFO-OPT,NFO", "column strike: '-5'"),
        ("1,2,ABC,ABC,0,2026-11-24,NaN,0.05,1,CE,NFO-OPT,NFO", "column strike: 'NaN'"),
        ("1,2,ABC,ABC,0,,0,cheap,1,EQ,NSE,NSE", "column tick_size: 'cheap'"),
        ("1,2,ABC,ABC,0,,0,0.05,1.5,EQ,NSE,NSE", "column lot_size: '1.5'"),
        ("1,2,ABC,ABC,0,,0,0.05,1,BOND,NSE,NSE", "column instrument_type: 'BOND'"),
        ("1,2,ABC,ABC,0,,0,0.05,1,EQ,LSE,LSE", "column exchange: 'LSE'"),
        ("1,2,ABC", "column exchange: ''"),
    ],
)
def test_a_bad_row_is_named_by_line_and_column(line: str, problem: str) -> None:
    good = "408065,1594,INFY,INFOSYS,0,,,0.05,1,EQ,NSE,NSE"
    first, bad, last = rows(good, line, good)
    assert isinstance(bad, BadRow)
    assert bad.line == 3
    assert problem in bad.problem
    assert first == last


def test_another_file_is_no_master() -> None:
    with pytest.raises(InstrumentError, match="no column instrument_token"):
        list(instruments.parse("a,b\n1,2\n", "x.csv"))


def test_headers_carry_the_token_to_the_broker_only() -> None:
    config = FeedConfig("zerodha", api_key="k", access_token="t")
    assert instruments.headers(config, "https://api.kite.trade/instruments")["Authorization"] == "token k:t"
    for other in ("http://api.kite.trade/instruments", "https://api.kite.trade.example/i", "https://example.org/"):
        assert "Authorization" not in instruments.headers(config, other)
    assert instruments.headers(config, "file.csv") == {}
    assert instruments.source(config) == "https://api.kite.trade/instruments"
