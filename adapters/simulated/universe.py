"""The instruments of the simulated market: `instruments.csv`, with expiries resolved to real dates.

Columns: exchange; symbol (of a derivative: its base); kind (index, share, spot, future, call, put); tick size
and lot; close (previous close in the quote currency; empty where an underlying gives the price); underlying
as EXCHANGE:BASE; strike; expiry as W0 (this week's), M0 or M1 (this or next month's last).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from importlib.resources import files
from itertools import count, islice

from adapters.symbols import future_symbol, option_symbol
from gateway.errors import InstrumentError
from gateway.model import Instrument

#: `(EXCHANGE_SYMBOL, decimals, tick, lot, traded, kind, a, b, c)`, the row `gateway_matcher.Simulator` takes
SimulatorRow = tuple[str, int, int, int, bool, str, int, int, int]

#: weekday of expiry (Monday = 0); exchanges without one expire on the 19th or the weekday before
_EXPIRY_WEEKDAY = {"NFO": 1, "BFO": 3, "CDS": 2}
_MCX_DAY = 19
#: cost of carry and time value at the money, millionths of the underlying, by expiry
_CARRY_PPM = {"W0": 700, "M0": 3_000, "M1": 8_000}
_TIME_PPM = {"W0": 6_000, "M0": 12_000, "M1": 18_000}
_KINDS = ("index", "share", "spot", "future", "call", "put")


@dataclass(frozen=True, slots=True)
class Row:
    """One simulated instrument. Prices are in the quote currency, quantities in units (not lots)."""

    instrument: Instrument
    kind: str
    tick: Decimal
    lot: int
    close: Decimal | None
    #: position of the underlying in the list; it comes before
    underlying: int | None
    strike: Decimal | None
    #: W0, M0, M1 or empty
    term: str
    expiry: date | None

    @property
    def decimals(self) -> int:
        """Decimals of this instrument's prices: 4 for currencies, else 2."""
        return 4 if self.instrument.exchange == "CDS" or self.instrument.symbol == "INDIAVIX" else 2

    def simulator_row(self) -> SimulatorRow:
        """The row for the Rust simulator."""
        if self.underlying is None:
            assert self.close is not None
            motion = ("walk", self._scaled(self.close), 0, 0)
        elif self.strike is None:
            motion = ("future", self.underlying, _CARRY_PPM[self.term], 0)
        else:
            motion = (self.kind, self.underlying, self._scaled(self.strike), _TIME_PPM[self.term])
        name = f"{self.instrument.exchange}_{self.instrument.symbol}"
        return (name, self.decimals, self._scaled(self.tick), self.lot, self.kind != "index", *motion)

    def _scaled(self, price: Decimal) -> int:
        return int(price.scaleb(self.decimals))


def load(number: int, today: date) -> list[Row]:
    """The first `number` instruments as of `today` (IST); beyond the file come further weeks of NIFTY options.

    Raises InstrumentError for a line that makes no sense.
    """
    rows: list[Row] = []
    places: dict[str, int] = {}
    known: set[Instrument] = set()
    text = (files(__package__) / "instruments.csv").read_text(encoding="utf-8")
    for line, fields in enumerate(islice(csv.DictReader(io.StringIO(text)), number), start=2):
        try:
            row = _row(fields, places, today)
        except (KeyError, ValueError, ArithmeticError) as error:
            raise InstrumentError(f"instruments.csv line {line}: {error!r}") from None
        places.setdefault(f"{fields['exchange']}:{fields['symbol']}", len(rows))
        known.add(row.instrument)
        rows.append(row)
    further = (row for row in _further_options(places, today) if row.instrument not in known)
    rows.extend(islice(further, number - len(rows)))
    return rows


def expiry(exchange: str, term: str, today: date) -> date:
    """The first expiry of the term (W0, M0, M1) that is not before `today`."""
    if term == "W0":
        return today + timedelta((_EXPIRY_WEEKDAY[exchange] - today.weekday()) % 7)
    first = today.replace(day=1)
    months = [_month_end(exchange, _later(first, ahead)) for ahead in range(3)]
    open_months = [day for day in months if day >= today]
    return open_months[("M0", "M1").index(term)]


def _row(fields: dict[str, str], places: dict[str, int], today: date) -> Row:
    exchange, base, kind, term = fields["exchange"], fields["symbol"], fields["kind"], fields["expiry"]
    if kind not in _KINDS:
        raise ValueError(f"kind {kind!r} is none of {', '.join(_KINDS)}")
    day = expiry(exchange, term, today) if term else None
    strike = Decimal(fields["strike"]) if fields["strike"] else None
    close = Decimal(fields["close"]) if fields["close"] else None
    underlying = places[fields["underlying"]] if fields["underlying"] else None
    instrument = Instrument(exchange, _symbol(base, kind, day, strike))
    return Row(instrument, kind, Decimal(fields["tick"]), int(fields["lot"]), close, underlying, strike, term, day)


def _symbol(base: str, kind: str, day: date | None, strike: Decimal | None) -> str:
    if day is None:
        return base
    if strike is None:
        return future_symbol(base, day)
    return option_symbol(base, day, strike, "CE" if kind == "call" else "PE")


def _further_options(places: dict[str, int], today: date) -> Iterator[Row]:
    """NIFTY options of week after week, 101 strikes of 50 points around 26,000 each."""
    nifty = places["NSE_INDEX:NIFTY"]
    for week in count(1):
        day = expiry("NFO", "W0", today) + timedelta(weeks=week)
        for step in range(101):
            strike = Decimal(26_000 + 50 * ((step + 1) // 2) * (1 if step % 2 else -1))
            for kind in ("call", "put"):
                instrument = Instrument("NFO", _symbol("NIFTY", kind, day, strike))
                yield Row(instrument, kind, Decimal("0.05"), 75, None, nifty, strike, "M1", day)


def _later(first: date, months: int) -> date:
    number = first.year * 12 + first.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def _month_end(exchange: str, first: date) -> date:
    """The month's expiry: its last Tuesday on NFO and so on."""
    weekday = _EXPIRY_WEEKDAY.get(exchange)
    if weekday is None:
        day = first.replace(day=_MCX_DAY)
        return day - timedelta(max(0, day.weekday() - 4))
    last = _later(first, 1) - timedelta(1)
    return last - timedelta((last.weekday() - weekday) % 7)
