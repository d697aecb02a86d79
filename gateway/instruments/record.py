"""The common instrument record (INSTRUMENTS section 3) and its text form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import NamedTuple

import orjson

from gateway.errors import InstrumentError
from gateway.model import EXCHANGES

ZERO, ONE = Decimal(0), Decimal(1)
#: symbols may hold `_` (CRYPTO) and `&`, but nothing that would break a topic or a line
_SYMBOL = re.compile(r"[^\s\x00-\x1f\x7f]{1,64}")
_EXPIRY = re.compile(r"\d\d-(JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)-\d\d")
_DERIVATIVES = frozenset("NFO BFO CDS BCD MCX NCDEX NCO CRYPTO".split())


class InstrumentRecord(NamedTuple):
    """One instrument of one broker, in the common form. The field names are the columns of the CSV."""

    #: common symbol, e.g. `NIFTY24NOV26FUT`
    symbol: str
    #: the broker's trading symbol, byte for byte as orders need it
    brsymbol: str
    #: common exchange, e.g. `NSE_INDEX`
    exchange: str
    #: the broker's word for the exchange or segment
    brexchange: str
    #: the broker's id in quotes and feeds; valid for a day
    token: str
    #: underlying of a derivative; company or index name of a cash instrument
    name: str
    #: `DD-MMM-YY` in capitals; empty when none
    expiry: str
    #: INR (USD at Delta); 0 when none
    strike: Decimal
    #: step of order quantities
    lotsize: int
    #: EQ, INDEX, FUT, CE, PE or one of Delta's kinds
    instrumenttype: str
    #: INR; 0 when the broker gives none
    tick_size: Decimal
    #: value of one contract in units of the underlying (Delta); 1 elsewhere
    contract_value: Decimal
    #: what one broker family keeps beside, e.g. Kite's `exchange_token`
    extra: Mapping[str, str]


COLUMNS = InstrumentRecord._fields


class ColumnError(InstrumentError):
    """One value of one row cannot be used; `column` names it."""

    def __init__(self, column: str, problem: str) -> None:
        super().__init__(f"column {column}: {problem}")
        self.column = column


def decimal(column: str, text: str) -> Decimal:
    """A finite number ≥ 0 from text; empty is 0. Raises ColumnError."""
    value = _number(text.strip())
    if value is None:
        raise ColumnError(column, f"{text.strip()[:40]!r} is not a number from 0")
    return value


# masters have some 100,000 rows and few different numbers
@lru_cache(maxsize=8192)
def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text or "0")
    except InvalidOperation:
        return None
    return value if value.is_finite() and value >= 0 else None


def whole(column: str, text: str) -> int:
    """A whole number ≥ 0 from text such as `75` or `75.0`; empty is 0. Raises ColumnError."""
    value = decimal(column, text)
    if value >= 10**15 or value != value.to_integral_value():
        raise ColumnError(column, f"{text.strip()[:40]!r} is not a whole number from 0 to 10^15")
    return int(value)


@lru_cache(maxsize=8192)
def plain(value: Decimal) -> str:
    """Plain decimal notation: no exponent, no trailing zeros after the point, no bare point."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def to_row(record: InstrumentRecord) -> list[str]:
    """The record as text, in the order of COLUMNS."""
    strike, tick, contract = plain(record.strike), plain(record.tick_size), plain(record.contract_value)
    extra = orjson.dumps(dict(record.extra)).decode() if record.extra else ""
    return [
        *record[:7], strike, str(record.lotsize), record.instrumenttype, tick, contract, extra,
    ]  # fmt: skip


def from_row(row: Mapping[str, str]) -> InstrumentRecord:
    """A record from named texts; columns that are missing or empty get their defaults. Raises ColumnError."""
    exchange, symbol = row.get("exchange", "").strip(), row.get("symbol", "").strip()
    if exchange not in EXCHANGES:
        raise ColumnError("exchange", f"{exchange[:40]!r} is none of {' '.join(sorted(EXCHANGES))}")
    check_symbol("symbol", symbol)
    return InstrumentRecord(
        symbol=symbol,
        brsymbol=row.get("brsymbol") or symbol,
        exchange=exchange,
        brexchange=row.get("brexchange") or exchange,
        token=row.get("token", "").strip(),
        name=row.get("name", ""),
        expiry=_expiry(row.get("expiry", "").strip()),
        strike=decimal("strike", row.get("strike", "")),
        lotsize=_lotsize(exchange, row.get("lotsize", "")),
        instrumenttype=row.get("instrumenttype", "").strip() or guess_type(exchange, symbol),
        tick_size=decimal("tick_size", row.get("tick_size", "")),
        contract_value=decimal("contract_value", row.get("contract_value", "")) or ONE,
        extra=_extra(row.get("extra", "").strip()),
    )


def check_symbol(column: str, symbol: str) -> str:
    """The symbol, where it can stand in a topic. Raises ColumnError."""
    if not _SYMBOL.fullmatch(symbol):
        raise ColumnError(column, f"{symbol[:80]!r} is not 1 to 64 characters without blanks")
    return symbol


def guess_type(exchange: str, symbol: str) -> str:
    """The instrument type that exchange and symbol suggest (INSTRUMENTS section 1)."""
    if exchange.endswith("_INDEX"):
        return "INDEX"
    if exchange in _DERIVATIVES and re.search(r"\d", symbol):
        for kind in ("FUT", "CE", "PE"):
            if symbol.endswith(kind):
                return kind
    return "EQ"


def _lotsize(exchange: str, text: str) -> int:
    if not text.strip():
        return 0 if exchange.endswith("_INDEX") else 1
    return whole("lotsize", text)


def _expiry(text: str) -> str:
    if text and not _EXPIRY.fullmatch(text):
        raise ColumnError("expiry", f"{text[:40]!r} is not a date such as 24-NOV-26")
    return text


def _extra(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise ColumnError("extra", f"{text[:40]!r} is not a JSON object")
    return {key: str(item) for key, item in value.items()}
