"""Searching the stored masters through the settings, as the command does."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import Settings, load_settings
from gateway.instruments import load_master, search
from tests.simulators.kite_market import instruments_csv


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "kite.csv"
    file.write_text(instruments_csv())
    monkeypatch.setenv("ZERODHA_INSTRUMENTS", str(file))
    made = load_settings(gateway_home=tmp_path / "home")
    load_master("zerodha", None, made)
    own = tmp_path / "own.csv"
    own.write_text("exchange,symbol\nCRYPTO,BTCUSDFUT\n")
    load_master("common", str(own), made)
    return made


def found(text: str, settings: Settings) -> list[str]:
    return [f"{hit.broker} {hit.record.exchange}:{hit.record.symbol}" for hit in search(text, settings)]


def test_words_are_found_in_any_case_and_exact_symbols_first(settings: Settings) -> None:
    assert found("nifty", settings) == [
        "zerodha NSE_INDEX:NIFTY",
        "zerodha NFO:NIFTY24NOV26FUT",
        "zerodha NFO:NIFTY17NOV2625000PE",
        "zerodha GLOBAL_INDEX:GIFTNIFTY",
        "zerodha NSE_INDEX:BANKNIFTY",
    ]
    assert found("NSE:SBIN", settings) == ["zerodha NSE:SBIN"]
    assert found("sbin bse", settings) == ["zerodha BSE:SBIN"]
    assert found("mahindra", settings) == ["zerodha NSE:M&M"]
    assert found("btc", settings) == ["common CRYPTO:BTCUSDFUT"]


def test_nothing_and_too_much(settings: Settings) -> None:
    assert search("", settings) == []
    assert search("no such thing", settings) == []
    assert len(search("n", settings, limit=3)) == 3
