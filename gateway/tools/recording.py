"""Recordings of ticks: an append-only file that survives a crash.

Layout, all integers big-endian:

    8 bytes   magic `GWTICKS\\n`
    u16       format version, 1
    then records, each:
    u32       length of the body
    u32       CRC-32 of the body
    body      u64 time of arrival (Unix ns), u16 length of the topic, topic, payload (one JSON object)

A file that ends inside a record, or in one whose CRC does not fit, has a torn tail: everything before it
counts, the rest is ignored with a warning, and a recorder that appends cuts it off first.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

import structlog

from gateway.errors import GatewayError

log = structlog.get_logger(__name__)

MAGIC = b"GWTICKS\n"
VERSION = 1
_HEADER = struct.Struct(">8sH")
_FRAME = struct.Struct(">II")
_BODY = struct.Struct(">QH")
#: no tick is larger; a length beyond it is damage, bytes
MAX_BODY = 16 * 1024 * 1024


class RecordingError(GatewayError):
    """The file is no recording, or of a version that this program does not read."""


class Record(NamedTuple):
    """One tick as it arrived."""

    #: Unix ns
    arrival_ns: int
    topic: bytes
    payload: bytes


def encode(record: Record) -> bytes:
    """The record as it stands in the file."""
    body = _BODY.pack(record.arrival_ns, len(record.topic)) + record.topic + record.payload
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def read(path: Path) -> Iterator[Record]:
    """All whole records, in order; warns about a torn tail. Raises RecordingError, or OSError for no file."""
    with path.open("rb", buffering=1 << 20) as file:
        _check_header(file.read(_HEADER.size), path)
        while (record := _next(file, path)) is not None:
            yield record


def write(path: Path, records: Iterable[Record]) -> int:
    """Appends records (see Writer); returns how many."""
    number = 0
    with Writer(path) as writer:
        for record in records:
            writer.append(encode(record))
            number += 1
    return number


class Writer:
    """Appends encoded records to a new or an existing recording. Raises RecordingError where it is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        end = _whole_end(path) if path.exists() and path.stat().st_size else 0
        # One writer owns the descriptor until close; the mode keeps recordings private to their owner.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "r+b", buffering=1 << 20)
        self._file.truncate(end)
        self._file.seek(end)
        if not end:
            self._file.write(_HEADER.pack(MAGIC, VERSION))

    def append(self, encoded: bytes | bytearray) -> None:
        """Appends one or more encoded records."""
        self._file.write(encoded)

    def flush(self) -> None:
        """Hands everything to the operating system: it survives a crash of this process."""
        self._file.flush()

    def close(self) -> None:
        """Writes everything to the disk and closes."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_header(header: bytes, path: Path) -> None:
    if len(header) < _HEADER.size or not header.startswith(MAGIC):
        raise RecordingError(f"{path} is not a recording made by `gateway record`")
    version = _HEADER.unpack(header)[1]
    if version != VERSION:
        raise RecordingError(f"{path} has recording format {version}; this program reads format {VERSION}")


def _next(file: BinaryIO, path: Path) -> Record | None:
    """The next whole record; None at the end, with a warning where the end is torn."""
    frame = file.read(_FRAME.size)
    if not frame:
        return None
    at = file.tell() - len(frame)
    body = b""
    length, checksum = _FRAME.unpack(frame) if len(frame) == _FRAME.size else (0, 0)
    if _BODY.size <= length <= MAX_BODY:
        body = file.read(length)
    if not length or len(body) != length or zlib.crc32(body) != checksum:
        log.warning("recording has a torn tail, ignored", file=str(path), at_byte=at)
        return None
    arrival_ns, topic_length = _BODY.unpack_from(body)
    split = _BODY.size + topic_length
    return Record(arrival_ns, body[_BODY.size : split], body[split:])


def _whole_end(path: Path) -> int:
    """Where the last whole record ends, bytes."""
    with path.open("rb", buffering=1 << 20) as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size and _HEADER.pack(MAGIC, VERSION).startswith(header):
            return 0
        _check_header(header, path)
        end = file.tell()
        while _next(file, path) is not None:
            end = file.tell()
        return end
