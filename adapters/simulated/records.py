"""The simulated market as records of the common form, for orders (lot, tick size, expiry)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from adapters.simulated.universe import Row, load
from gateway.instruments.record import ONE, InstrumentRecord

_TYPES = {"index": "INDEX", "share": "EQ", "spot": "SPOT", "future": "FUT", "call": "CE", "put": "PE"}


def records(number: int, today: date) -> Iterator[InstrumentRecord]:
    """The first `number` instruments as of `today` (IST)."""
    rows = load(number, today)
    for place, row in enumerate(rows):
        yield _record(row, place, rows)


def _record(row: Row, place: int, rows: list[Row]) -> InstrumentRecord:
    exchange, symbol = row.instrument
    underlying = rows[row.underlying].instrument.symbol if row.underlying is not None else symbol
    return InstrumentRecord(
        symbol=symbol,
        brsymbol=symbol,
        exchange=exchange,
        brexchange=exchange,
        token=str(place + 1),
        name=underlying if row.kind in ("future", "call", "put") else symbol,
        expiry=f"{row.expiry:%d-%b-%y}".upper() if row.expiry else "",
        strike=row.strike or Decimal(0),
        lotsize=0 if row.kind == "index" else row.lot,
        instrumenttype=_TYPES[row.kind],
        tick_size=row.tick,
        contract_value=ONE,
        extra={},
    )
