"""The common symbol format: strikes, expiries and index names."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.symbols import expiry_text, future_symbol, index_names, index_symbol, option_symbol, strike_text

NAMES = json.loads((Path(__file__).parents[2] / "vectors" / "index_names.json").read_text())["vectors"]


@pytest.mark.parametrize("vector", NAMES, ids=lambda vector: f"{vector['exchange']}-{vector['broker_name']}")
def test_index_names(vector: dict[str, Any]) -> None:
    assert index_symbol(vector["exchange"], vector["broker_name"]) == vector["symbol"]


def test_index_tables_lead_to_symbols_that_stay() -> None:
    """A common symbol that some broker uses as its own name is not renamed again."""
    for exchange, table in index_names().items():
        for common in table.values():
            assert index_symbol(exchange, common) == common


@pytest.mark.parametrize(
    ("strike", "text"),
    [
        ("20800.00", "20800"), ("292.50", "292.5"), ("82.2500", "82.25"), ("0.5", "0.5"), ("25000", "25000"),
        ("83.05", "83.05"), ("2.5E+4", "25000"), ("1E-7", "0.0000001"), ("0", "0"),
    ],
)  # fmt: skip
def test_strike_text(strike: str, text: str) -> None:
    assert strike_text(Decimal(strike)) == text


@given(st.decimals(0, 10**9, places=4, allow_nan=False))
def test_a_strike_reads_back_the_same(strike: Decimal) -> None:
    text = strike_text(strike)
    assert Decimal(text) == strike
    assert "E" not in text
    assert not text.endswith(".")
    assert "." not in text or not text.endswith("0")


def test_contract_symbols_carry_the_actual_expiry_day() -> None:
    assert future_symbol("BANKNIFTY", date(2024, 4, 24)) == "BANKNIFTY24APR24FUT"
    assert option_symbol("VEDL", date(2024, 4, 25), Decimal("292.50"), "CE") == "VEDL25APR24292.5CE"
    assert option_symbol("NIFTY", date(2024, 3, 28), Decimal(20800), "PE") == "NIFTY28MAR2420800PE"
    assert expiry_text(date(2003, 1, 5)) == "05-JAN-03"
