"""Gets the text of an instrument master from a file or a URL, plain or gzip."""

from __future__ import annotations

import io
import logging
import zlib
from pathlib import Path

import httpx

from gateway.errors import InstrumentError, TokenRefusedError

#: the largest master taken, bytes after unpacking; the largest real one has some 40 MB
MAX_BYTES = 512 * 1024 * 1024
TIMEOUT_S = 60.0
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20

# httpx logs whole URLs at INFO, and the query of a user's own URL may hold a secret
logging.getLogger("httpx").setLevel(logging.WARNING)


def fetch(source: str, headers: dict[str, str]) -> str:
    """The text at `source`, a path or an http(s) URL. `headers` go with a URL and are not named in errors.

    Raises InstrumentError, or TokenRefusedError on HTTP 401 and 403.
    """
    data = _download(source, headers) if is_url(source) else _read(Path(source))
    try:
        return unpack(data, source).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InstrumentError(f"{shown(source)} is not UTF-8 text") from None


def is_url(source: str) -> bool:
    """True for http and https URLs; all else is a path."""
    return source.lower().startswith(("http://", "https://"))


def shown(source: str) -> str:
    """The source as logs and errors may show it: a URL without its query and user."""
    if not is_url(source):
        return source
    try:
        return str(httpx.URL(source).copy_with(query=None, fragment=None, userinfo=b""))
    except httpx.InvalidURL:
        return "the URL of the instrument master"


def unpack(data: bytes, source: str) -> bytes:
    """Plain bytes, whether `data` is gzip or not. Raises InstrumentError on damage or more than MAX_BYTES."""
    if not data.startswith(_GZIP):
        return data
    unpacker = zlib.decompressobj(wbits=31)
    out = bytearray()
    try:
        while data and not unpacker.eof:
            out += unpacker.decompress(data, _CHUNK)
            data = unpacker.unconsumed_tail
            _check_size(len(out), source)
    except zlib.error:
        raise InstrumentError(f"{shown(source)} is damaged gzip") from None
    if not unpacker.eof:
        raise InstrumentError(f"{shown(source)} is cut off gzip")
    return bytes(out)


def _read(path: Path) -> bytes:
    try:
        _check_size(path.stat().st_size, str(path))
        return path.read_bytes()
    except OSError as error:
        raise InstrumentError(f"instrument master {path} cannot be read: {error.strerror}") from None


def _download(url: str, headers: dict[str, str]) -> bytes:
    out = io.BytesIO()
    try:
        with httpx.stream("GET", url, headers=headers, timeout=TIMEOUT_S, follow_redirects=False) as answer:
            if answer.status_code in (401, 403):
                raise TokenRefusedError(f"{shown(url)} refused the access token (HTTP {answer.status_code})")
            if answer.status_code != 200:
                raise InstrumentError(f"{shown(url)} answered HTTP {answer.status_code}")
            for chunk in answer.iter_bytes(_CHUNK):
                out.write(chunk)
                _check_size(out.tell(), url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise InstrumentError(f"{shown(url)} cannot be read: {type(error).__name__}") from None
    return out.getvalue()


def _check_size(size: int, source: str) -> None:
    if size > MAX_BYTES:
        raise InstrumentError(f"{shown(source)} is larger than {MAX_BYTES} bytes")
