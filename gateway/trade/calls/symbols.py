"""symbol, search, expiry, instruments."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Protocol

from gateway.instruments.record import InstrumentRecord
from gateway.model import EXCHANGES
from gateway.trade.calls.call import Call
from gateway.trade.core import inputs
from gateway.trade.core.errors import UnknownOrderError, wrong

#: instruments that one `search` gives
_FOUND: Final = 200


class Directory(Protocol):
    """The instrument masters. The look-ups other than `find` go through all rows: call them in a thread."""

    def find(self, exchange: str, symbol: str) -> InstrumentRecord | None:
        """The record; None for an unknown instrument."""

    def search(self, text: str, exchange: str, limit: int) -> list[InstrumentRecord]:
        """Instruments in which every word of `text` occurs, best first."""

    def expiries(self, name: str, exchange: str, options: bool) -> list[str]:
        """Expiry dates of an underlying's contracts, soonest first, as `24-NOV-26`."""

    def all(self, exchange: str) -> list[InstrumentRecord]:
        """All instruments of an exchange; of all exchanges where it is empty."""


class SymbolCalls:
    """Handlers."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def symbol(self, call: Call) -> dict[str, Any]:
        """The record of one instrument."""
        exchange, symbol = _exchange(call.fields), inputs.text(call.fields, "symbol").upper()
        record = self._directory.find(exchange, symbol)
        if record is None:
            raise UnknownOrderError(f"symbol {symbol} is not in the instrument master of {exchange}", "symbol")
        return {"data": _row(record)}

    async def search(self, call: Call) -> dict[str, Any]:
        """Instruments by words."""
        query = inputs.text(call.fields, "query")
        exchange = _exchange(call.fields) if call.fields.get("exchange") else ""
        found = await asyncio.to_thread(self._directory.search, query, exchange, _FOUND)
        return {"data": [_row(record) for record in found], "message": f"{len(found)} instruments found"}

    async def expiry(self, call: Call) -> dict[str, Any]:
        """Dates as `24-NOV-26`."""
        exchange, name = _exchange(call.fields), inputs.text(call.fields, "symbol").upper()
        kind = inputs.text(call.fields, "instrumenttype").lower()
        if kind not in ("futures", "options"):
            raise wrong("instrumenttype", kind, "futures or options")
        found = await asyncio.to_thread(self._directory.expiries, name, exchange, kind == "options")
        return {"data": found, "message": f"{len(found)} expiry dates of {name} {kind} on {exchange}"}

    async def instruments(self, call: Call) -> dict[str, Any]:
        """All of them."""
        exchange = _exchange(call.fields) if call.fields.get("exchange") else ""
        return {"data": [_row(record) for record in await asyncio.to_thread(self._directory.all, exchange)]}


def _exchange(fields: Mapping[str, Any]) -> str:
    exchange = inputs.text(fields, "exchange").upper()
    if exchange not in EXCHANGES:
        raise wrong("exchange", exchange, "one of " + ", ".join(sorted(EXCHANGES)))
    return exchange


def _row(record: InstrumentRecord) -> dict[str, Any]:
    """The common record (INSTRUMENTS section 3); older clients call the lot `lotsize`, the tick `tick_size`."""
    row = record._asdict()
    del row["extra"]
    return row
