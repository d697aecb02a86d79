"""The fields of a request: bounded, strict JSON with exact numbers; every fault has its own message."""

from __future__ import annotations

import asyncio
import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect, Request

from gateway.api.refusals import RefusedError

#: longest body, bytes; a basket of 100 orders has some 30,000
BODY_MAX: Final = 1 << 20
#: how much of a longer one is read and thrown away, so that its sender can still read the answer, bytes
_DRAIN_MAX: Final = 32 << 20
#: time for the whole body, s
BODY_SECONDS: Final = 10.0
#: objects and lists within each other; the deepest request (a basket) has 3
DEPTH_MAX: Final = 16
#: digits of a number that is read as one; a longer one stays text, which no field takes
_DIGITS_MAX: Final = 40
_NOT_A_NUMBER: Final = re.compile(rb"(?<![\"\w])-?(NaN|Infinity)\b")
_BOUND: Final = f"a JSON object of at most {BODY_MAX} bytes"


async def query_fields(request: Request) -> dict[str, Any]:
    """The query of a GET as fields; of a name given twice the last counts."""
    return dict(request.query_params)


async def body_fields(request: Request) -> dict[str, Any]:
    """The JSON object in the body of a POST; an empty body is an empty object. Raises RefusedError with status 400."""
    _check_type(request.headers.get("content-type", ""))
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read(request)
    except TimeoutError:
        raise RefusedError(400, f"the body did not arrive within {BODY_SECONDS:g} s", {"Connection": "close"}) from None
    except ClientDisconnect:
        raise RefusedError(400, "the connection ended before the body did") from None
    return parse(body) if body.strip() else {}


def _check_type(header: str) -> None:
    kind, _, parameters = header.partition(";")
    kind = kind.strip().lower()
    if kind and kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise RefusedError(400, f"Content-Type is {_short(kind)}; it must be 'application/json'")
    charset = re.search(r"charset\s*=\s*\"?([^\s\";]+)", parameters, re.IGNORECASE)
    if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise RefusedError(400, f"the charset of Content-Type is {_short(charset[1])}; it must be 'utf-8'")


async def _read(request: Request) -> bytes:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise RefusedError(
            400, f"Content-Encoding is {_short(encoding)}; it must be absent: bodies are read as they are"
        )
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= BODY_MAX:
            parts.append(part)
        else:
            parts.clear()
        if size > _DRAIN_MAX:
            break
    if size > BODY_MAX:
        shown = f"more than {_DRAIN_MAX}" if size > _DRAIN_MAX else str(size)
        raise RefusedError(400, f"the body is {shown} bytes; it must be {_BOUND}", {"Connection": "close"})
    return b"".join(parts)


def parse(body: bytes) -> dict[str, Any]:
    """The fields of a JSON object; numbers with a point as Decimal, digit by digit. Raises RefusedError."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, _why(body, error)) from None
    if not isinstance(value, dict):
        raise RefusedError(400, f"the body is {_kind(value)}; it must be {_BOUND}")
    _check_depth(value)
    # orjson is the strict reader (UTF-8, surrogates, NaN), but makes floats; the exact numbers need a second reading
    exact: dict[str, Any] = json.loads(body, parse_float=_decimal, parse_int=_integer)
    return exact


def _why(body: bytes, error: orjson.JSONDecodeError) -> str:
    found = _NOT_A_NUMBER.search(body)
    if found:
        name = found[0].decode()
        return f'the body holds {name}, which is no JSON number; numbers must be finite, such as 850.5 or "850.5"'
    try:
        body.decode()
    except UnicodeDecodeError as fault:
        return f"the body is not UTF-8 text (byte {fault.start})"
    if "number" in error.msg and "infinity" in error.msg:
        return f"the body holds a number that is too large (byte {error.pos}); numbers must be below 10^9"
    return f"the body is not valid JSON ({error.msg[:120]}); it must be {_BOUND}"


def _check_depth(value: object) -> None:
    level: list[Any] = [value]
    for _ in range(DEPTH_MAX + 1):
        inner = [item for one in level for item in (one.values() if isinstance(one, dict) else one)]
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return
    raise RefusedError(400, f"the body nests more than {DEPTH_MAX} objects and lists; a basket needs 3")


def _decimal(text: str) -> Decimal | str:
    try:
        return Decimal(text) if len(text) <= _DIGITS_MAX else text
    except InvalidOperation:
        return text


def _integer(text: str) -> int | Decimal | str:
    if len(text) > _DIGITS_MAX:
        return text
    value = int(text)
    # orjson, which writes fields into answers and events, refuses integers beyond 64 bits
    return value if -(1 << 63) <= value < 1 << 63 else Decimal(value)


def _kind(value: object) -> str:
    names = {list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
