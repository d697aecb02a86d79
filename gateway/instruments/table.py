"""CSV files of the common record: one per broker under GATEWAY_HOME/instruments, replaced as a whole."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from gateway.errors import InstrumentError
from gateway.instruments.record import COLUMNS, ColumnError, InstrumentRecord, from_row, to_row

#: columns that a CSV of the common record cannot do without
REQUIRED = ("exchange", "symbol")


class BadRow(NamedTuple):
    """A row that cannot be used, and why."""

    line: int
    problem: str


def folder(home: Path) -> Path:
    """Where the masters are."""
    return home / "instruments"


def master_path(home: Path, broker: str) -> Path:
    """The file of one broker."""
    return folder(home) / f"{broker}.csv"


def stored_brokers(home: Path) -> list[str]:
    """Brokers whose master is there, sorted; `common` is one that a user loaded himself."""
    return sorted(path.stem for path in folder(home).glob("*.csv"))


def write_master(path: Path, records: Iterable[InstrumentRecord]) -> int:
    """Writes the file whole or not at all and returns the number of rows. What `records` raises passes through."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as out:
            count = _write(out, records)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return count


def _write(out: IO[str], records: Iterable[InstrumentRecord]) -> int:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for record in records:
        writer.writerow(to_row(record))
        count += 1
    return count


def read_master(path: Path) -> Iterator[InstrumentRecord]:
    """The records of one file, read as they are asked for. Raises InstrumentError naming file, line and column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for item in parse_common(lines, str(path), []):
                if isinstance(item, BadRow):
                    raise InstrumentError(f"{path} line {item.line}, {item.problem}")
                yield item
    except OSError as error:
        raise InstrumentError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InstrumentError(f"{path} is not UTF-8 text") from None


def parse_common(lines: Iterable[str], source: str, warnings: list[str]) -> Iterator[InstrumentRecord | BadRow]:
    """Reads a CSV of the common record, columns by header. Raises InstrumentError on a useless header.

    Columns that mean nothing here are named once in `warnings`.
    """
    reader = csv.reader(lines)
    try:
        header = [column.strip() for column in next(reader, [])]
        _check_header(header, source, warnings)
        for row in reader:
            if row:
                yield _record(header, row, reader.line_num)
    except csv.Error as error:
        raise InstrumentError(f"{source} line {reader.line_num}: not readable as CSV ({error})") from None


def _check_header(header: list[str], source: str, warnings: list[str]) -> None:
    missing = [column for column in REQUIRED if column not in header]
    if missing:
        raise InstrumentError(
            f"{source} line 1: no column {' and no column '.join(missing)}; the header has {','.join(header)[:200]!r}"
        )
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise InstrumentError(f"{source} line 1: column {twice[0]} is there twice")
    warnings.extend(f"column {column!r} is not used" for column in header if column not in COLUMNS)


def _record(header: list[str], row: list[str], line: int) -> InstrumentRecord | BadRow:
    if len(row) != len(header):
        return BadRow(line, f"{len(row)} columns where the header has {len(header)}")
    try:
        return from_row(dict(zip(header, row, strict=True)))
    except ColumnError as error:
        return BadRow(line, str(error))
