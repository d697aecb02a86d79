"""Instrument masters in memory: looked up by every order, read again when a file has changed."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import structlog

from gateway.errors import InstrumentError
from gateway.instruments import master_path, read_master, stored_brokers
from gateway.instruments.record import ColumnError, InstrumentRecord, check_symbol, from_row
from gateway.model import EXCHANGES
from gateway.trade.core.orders import expiry_of

log = structlog.get_logger(__name__)

_OPTIONS: Final = ("CE", "PE")

Place = tuple[str, str]


class Masters:
    """Records by exchange and symbol, out of the stored masters and the feeds' own.

    `own` gives records that no file holds (the simulated market's). Where several masters know an instrument, the
    first of `prefer` wins, then `common`, then the others by name. With `lenient`, and as long as there is no master at
    all, any well-formed symbol on a known exchange counts as one without lot and tick size (operating, `--feed none`).
    """

    def __init__(
        self,
        home: Path,
        own: Callable[[], Iterable[InstrumentRecord]] = tuple,
        prefer: Sequence[str] = (),
        lenient: bool = False,
    ) -> None:
        self._home = home
        self._own = own
        self._prefer = (*prefer, "common")
        self._lenient = lenient
        self._records: Mapping[Place, InstrumentRecord] = {}
        self._marks: Mapping[str, tuple[int, int]] = {}

    def load(self) -> list[str]:
        """Reads masters that have changed since the last call; their brokers. Blocks: call it in a thread.

        A damaged file is left out with an error in the log; what was read of it before counts no more.
        """
        brokers = sorted(stored_brokers(self._home), key=lambda name: (self._rank(name), name))
        marks = {name: _mark(master_path(self._home, name)) for name in brokers}
        changed = [name for name in brokers if marks[name] != self._marks.get(name)]
        if self._records and marks == self._marks:
            return []
        records: dict[Place, InstrumentRecord] = {}
        for name in brokers:
            self._read(name, records)
        for record in self._own():
            records.setdefault((record.exchange, record.symbol), record)
        self._records, self._marks = records, marks
        return changed

    def _rank(self, name: str) -> int:
        return self._prefer.index(name) if name in self._prefer else len(self._prefer)

    def _read(self, name: str, records: dict[Place, InstrumentRecord]) -> None:
        try:
            for record in read_master(master_path(self._home, name)):
                records.setdefault((record.exchange, record.symbol), record)
        except InstrumentError as error:
            log.error("an instrument master cannot be used", broker=name, reason=str(error))

    def find(self, exchange: str, symbol: str) -> InstrumentRecord | None:
        """The record; None for an unknown instrument."""
        found = self._records.get((exchange, symbol))
        if found is None and self._lenient and not self._records and exchange in EXCHANGES:
            try:
                return from_row({"exchange": exchange, "symbol": check_symbol("symbol", symbol)})
            except ColumnError:
                return None
        return found

    def search(self, text: str, exchange: str, limit: int) -> list[InstrumentRecord]:
        """Instruments in which every word of `text` occurs, best first: exact symbols, then symbols that begin so."""
        words = text.upper().split()
        hits = (
            (_rank(words, record), record.exchange, len(record.symbol), record.symbol, record)
            for record in self._records.values()
            if (not exchange or record.exchange == exchange) and _matches(words, record)
        )
        return [hit[-1] for hit in heapq.nsmallest(limit, hits, key=lambda hit: hit[:-1])]

    def expiries(self, name: str, exchange: str, options: bool) -> list[str]:
        """Expiry dates of an underlying's contracts, soonest first, as `24-NOV-26`."""
        found: dict[str, date] = {}
        for record in self._records.values():
            if record.exchange == exchange and record.expiry and record.name.upper() == name:
                day = expiry_of(record.expiry)
                if (record.instrumenttype in _OPTIONS) == options and day is not None:
                    found[record.expiry] = day
        return sorted(found, key=lambda text: found[text])

    def all(self, exchange: str) -> list[InstrumentRecord]:
        """All instruments of an exchange; of all exchanges where it is empty."""
        return [record for record in self._records.values() if not exchange or record.exchange == exchange]

    def __len__(self) -> int:
        return len(self._records)


def _mark(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _matches(words: Sequence[str], record: InstrumentRecord) -> bool:
    text = f"{record.exchange}:{record.symbol} {record.brsymbol} {record.name}".upper()
    return all(word in text for word in words)


def _rank(words: Sequence[str], record: InstrumentRecord) -> int:
    if record.symbol in words:
        return 0
    return 1 if record.symbol.startswith(words[0]) else 2
