"""Kite's instrument master (INSTRUMENTS section 4): CSV rows to common records."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache

import httpx

from adapters.base import FeedConfig
from adapters.symbols import expiry_text, future_symbol, index_symbol, option_symbol
from adapters.zerodha.endpoints import auth_headers, rest_url
from gateway.errors import InstrumentError
from gateway.instruments.record import ONE, ColumnError, InstrumentRecord, check_symbol, decimal, whole
from gateway.instruments.table import BadRow
from gateway.model import EXCHANGES

#: columns without which a row cannot be mapped
COLUMNS = (
    "instrument_token", "exchange_token", "tradingsymbol", "name", "expiry", "strike", "tick_size", "lot_size",
    "instrument_type", "segment", "exchange",
)  # fmt: skip
#: exchanges of foreign indices; all their rows are quote-only
_GLOBAL = frozenset({"GLOBAL", "NSEIX"})
_INDICES = "INDICES"
_DERIVATIVES = frozenset({"FUT", "CE", "PE"})


def source(config: FeedConfig) -> str:
    """The broker's own address of the whole master."""
    return f"{rest_url(config)}/instruments"


def headers(config: FeedConfig, url: str) -> dict[str, str]:
    """Kite's headers; the token only goes to the broker's own host, never to a mirror."""
    if not url.lower().startswith(("http://", "https://")):
        return {}
    ours, theirs = httpx.URL(rest_url(config)), httpx.URL(url)
    same = (ours.scheme, ours.host, ours.port) == (theirs.scheme, theirs.host, theirs.port)
    return auth_headers(config) if same else {"X-Kite-Version": "3"}


def parse(text: str, source: str) -> Iterator[InstrumentRecord | BadRow]:
    """The rows of Kite's CSV as common records; raises InstrumentError when a needed column is missing."""
    reader = csv.DictReader(text.splitlines(keepends=True), restval="")
    try:
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise InstrumentError(f"the Kite instrument master has no column {', '.join(missing)}")
        for row in reader:
            yield _record(row, reader.line_num)
    except csv.Error as error:
        raise InstrumentError(f"the Kite instrument master is no CSV at line {reader.line_num}: {error}") from None


def _record(row: Mapping[str, str], line: int) -> InstrumentRecord | BadRow:
    try:
        return to_record(row)
    except ColumnError as error:
        return BadRow(line, str(error))


def to_record(row: Mapping[str, str]) -> InstrumentRecord:
    """One row in the common form. Raises ColumnError."""
    exchange = _exchange(row)
    kind = "INDEX" if exchange.endswith("_INDEX") else row["instrument_type"].strip()
    expiry = _expiry(row["expiry"].strip())
    strike = decimal("strike", row["strike"])
    return InstrumentRecord(
        symbol=check_symbol("tradingsymbol", _symbol(row, exchange, kind, expiry, strike)),
        brsymbol=row["tradingsymbol"],
        exchange=exchange,
        brexchange=row["exchange"].strip(),
        token=_token(row["instrument_token"]),
        name=row["name"],
        expiry=expiry_text(expiry) if expiry else "",
        strike=strike,
        lotsize=whole("lot_size", row["lot_size"]),
        instrumenttype=kind,
        tick_size=decimal("tick_size", row["tick_size"]),
        contract_value=ONE,
        extra={"exchange_token": row["exchange_token"].strip()},
    )


def _exchange(row: Mapping[str, str]) -> str:
    broker = row["exchange"].strip()
    if broker in _GLOBAL:
        return "GLOBAL_INDEX"
    common = f"{broker}_INDEX" if row["segment"].strip() == _INDICES else broker
    if common not in EXCHANGES:
        raise ColumnError("exchange", f"{broker[:40]!r} is no exchange of the common symbol format")
    return common


def _symbol(row: Mapping[str, str], exchange: str, kind: str, expiry: date | None, strike: Decimal) -> str:
    trading = row["tradingsymbol"].strip()
    if not trading:
        raise ColumnError("tradingsymbol", "is empty")
    if kind == "INDEX":
        return index_symbol(exchange, trading)
    if kind not in _DERIVATIVES:
        if kind != "EQ":
            raise ColumnError("instrument_type", f"{kind[:40]!r} is none of EQ, FUT, CE, PE")
        # topics and the common format know no blanks
        return trading.replace(" ", "")
    base = row["name"].strip().replace(" ", "")
    if not base:
        raise ColumnError("name", f"is empty for the derivative {trading}")
    if expiry is None:
        raise ColumnError("expiry", f"is empty for the derivative {trading}")
    return future_symbol(base, expiry) if kind == "FUT" else option_symbol(base, expiry, strike, kind)


@lru_cache(maxsize=4096)
def _expiry(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ColumnError("expiry", f"{text[:40]!r} is not a date such as 2026-11-24") from None


def _token(text: str) -> str:
    token = text.strip()
    if not (token.isascii() and token.isdigit() and 0 < int(token) < 2**32):
        raise ColumnError("instrument_token", f"{token[:40]!r} is not a number from 1 to 4294967295")
    return str(int(token))
