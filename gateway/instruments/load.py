"""Loads an instrument master: fetch, map, check for duplicates, write the common CSV."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from gateway.errors import InstrumentError
from gateway.instruments.record import InstrumentRecord
from gateway.instruments.source import fetch
from gateway.instruments.table import BadRow, master_path, parse_common, write_master

if TYPE_CHECKING:
    from adapters.base import FeedConfig
    from gateway.config import Settings

#: the name under which a user's own CSV of the common record is kept
COMMON = "common"
#: warnings kept word for word; the rest is only counted
MAX_WARNINGS = 50
#: problems named when a CSV of the common record is refused
MAX_PROBLEMS = 20


@dataclass(slots=True)
class LoadResult:
    """What became of a master."""

    broker: str
    path: Path
    #: rows in the source, header apart
    read: int = 0
    #: records written
    loaded: int = 0
    #: rows that could not be used
    skipped: int = 0
    #: rows dropped because their (exchange, symbol) or (brexchange, token) was there already
    duplicates: int = 0
    #: records written, by exchange
    by_exchange: Counter[str] = field(default_factory=Counter)
    #: at most MAX_WARNINGS lines
    warnings: list[str] = field(default_factory=list)
    #: warnings beyond those
    more_warnings: int = 0

    def warn(self, text: str) -> None:
        """Adds a warning, up to the bound."""
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(text)
        else:
            self.more_warnings += 1


class Importer(Protocol):
    """What a module `adapters.<broker>.instruments` offers."""

    def source(self, config: FeedConfig) -> str:
        """Where the broker's master is when the settings name no place."""

    def headers(self, config: FeedConfig, url: str) -> dict[str, str]:
        """HTTP headers for `url`; credentials only where it is the broker's own."""

    def parse(self, text: str, source: str) -> Iterator[InstrumentRecord | BadRow]:
        """The master's rows in the common form. Raises InstrumentError when it is no master at all."""


def load_master(broker: str, source: str | None, settings: Settings) -> LoadResult:
    """Loads a broker's master from a file or URL (None: where the settings or the broker say) into GATEWAY_HOME.

    `broker` may be `common`: a CSV of the common record, in which one bad row refuses the whole file. Raises
    InstrumentError; the file of an earlier load then stays as it was.
    """
    if broker == COMMON:
        return load_common(source, settings.gateway_home)
    return load_for(settings.broker(broker), source, settings.gateway_home)


def load_for(config: FeedConfig, source: str | None, home: Path) -> LoadResult:
    """`load_master` for one broker's resolved settings. Blocks for a second or more: call it in a thread."""
    importer = _importer(config.name)
    place = source or config.instruments or importer.source(config)
    text = fetch(place, importer.headers(config, place))
    result = LoadResult(config.name, master_path(home, config.name))
    _store(result, importer.parse(text, place), _skip(result))
    return result


def load_common(source: str | None, home: Path) -> LoadResult:
    """Loads a CSV of the common record. Raises InstrumentError naming every bad line and column (up to a bound)."""
    if not source:
        raise InstrumentError("instruments load common needs a FILE: a CSV of the common record")
    text = fetch(source, {})
    result = LoadResult(COMMON, master_path(home, COMMON))
    problems: list[str] = []
    rows = parse_common(text.splitlines(keepends=True), source, result.warnings)
    try:
        _store(result, rows, lambda row: problems.append(f"{source} line {row.line}, {row.problem}"), problems)
    except _RefusedError:
        more = [f"and {len(problems) - MAX_PROBLEMS} more"] if len(problems) > MAX_PROBLEMS else []
        raise InstrumentError("\n".join(problems[:MAX_PROBLEMS] + more)) from None
    return result


class _RefusedError(Exception):
    """Stops a write after all rows were looked at."""


def _importer(broker: str) -> Importer:
    try:
        module = importlib.import_module(f"adapters.{broker}.instruments")
    except ModuleNotFoundError as error:
        if error.name is None or not f"adapters.{broker}.instruments".startswith(error.name):
            raise
        raise InstrumentError(f"there is no instrument importer for broker {broker!r}") from None
    return cast(Importer, module)


def _skip(result: LoadResult) -> Callable[[BadRow], None]:
    def skip(row: BadRow) -> None:
        result.skipped += 1
        result.warn(f"line {row.line}, {row.problem}: skipped")

    return skip


def _store(
    result: LoadResult,
    rows: Iterable[InstrumentRecord | BadRow],
    bad: Callable[[BadRow], None],
    problems: list[str] | None = None,
) -> None:
    """Streams the usable rows into the file. An empty master is refused, and so is one with `problems`."""

    def usable() -> Iterator[InstrumentRecord]:
        yield from _unique(result, rows, bad)
        if problems:
            raise _RefusedError
        if not result.loaded:
            first = f" ({result.warnings[0]})" if result.warnings else ""
            raise InstrumentError(f"the {result.broker} instrument master has no usable row{first}")

    write_master(result.path, usable())


def _unique(
    result: LoadResult, rows: Iterable[InstrumentRecord | BadRow], bad: Callable[[BadRow], None]
) -> Iterator[InstrumentRecord]:
    symbols: set[str] = set()
    tokens: set[str] = set()
    for row in rows:
        result.read += 1
        if isinstance(row, BadRow):
            bad(row)
            continue
        symbol, token = f"{row.exchange}:{row.symbol}", f"{row.brexchange}:{row.token}"
        if symbol in symbols or (row.token and token in tokens):
            result.duplicates += 1
            what = symbol if symbol in symbols else f"token {token}"
            result.warn(f"{what} ({row.brsymbol}) is there twice: the first row counts")
            continue
        symbols.add(symbol)
        tokens.add(token)
        result.loaded += 1
        result.by_exchange[row.exchange] += 1
        yield row
