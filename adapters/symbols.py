"""Rules of the common symbol format that hold for every broker (INSTRUMENTS sections 1 and 2)."""

from __future__ import annotations

import tomllib
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from importlib.resources import files

from gateway.instruments.record import plain

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def strike_text(strike: Decimal) -> str:
    """The strike as symbols spell it: `20800`, `292.5`, `82.25`; never an exponent or a bare point."""
    return plain(strike)


@lru_cache(maxsize=4096)
def expiry_text(day: date) -> str:
    """`24-NOV-26`, as the common record spells an expiry."""
    return f"{day.day:02d}-{_MONTHS[day.month - 1]}-{day.year % 100:02d}"


def future_symbol(base: str, expiry: date) -> str:
    """`BANKNIFTY24APR24FUT`."""
    return f"{base}{_compact(expiry)}FUT"


def option_symbol(base: str, expiry: date, strike: Decimal, kind: str) -> str:
    """`NIFTY28MAR2420800CE`; `kind` is CE or PE."""
    return f"{base}{_compact(expiry)}{strike_text(strike)}{kind}"


def index_symbol(exchange: str, name: str) -> str:
    """The common symbol of an index that a broker calls `name`; `exchange` is e.g. `NSE_INDEX`."""
    name = name.strip().upper()
    table = index_names().get(exchange, {})
    if exchange == "NSE_INDEX":
        name = _squeezed(name)
        return table.get(name, name)
    if exchange == "BSE_INDEX":
        name = name.removeprefix("S&P ")
        return table.get(name) or _squeezed(name)
    return table.get(name) or name.replace(" ", "")


@cache
def index_names() -> dict[str, dict[str, str]]:
    """The override tables: exchange -> broker's name -> common symbol."""
    return tomllib.loads((files("adapters") / "index_names.toml").read_text(encoding="utf-8"))


def _squeezed(name: str) -> str:
    return name.replace(" ", "").replace("-", "")


def _compact(day: date) -> str:
    return expiry_text(day).replace("-", "")
