"""Requests and answers of the WebSocket protocol as values. No I/O, no clock, no state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway.model import EXCHANGES, Mode

#: Largest window a client may ask for, ms.
MAX_CONFLATE_MS: Final = 60_000
#: Longest value that an error message repeats.
_SHOWN: Final = 40

_ALIASES = {"auth": "authenticate"}
_MODES: dict[object, Mode] = {"LTP": Mode.LTP, "QUOTE": Mode.QUOTE, "DEPTH": Mode.DEPTH}

Row = tuple[str, str, int]


class ProtocolError(Exception):
    """A request that cannot be done; answered, never a reason to close."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class Request:
    """One parsed request: the verb, its fields, and the id to echo."""

    action: str
    body: dict[str, Any]
    #: `request_id`, where one was given
    echo: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Rows:
    """Instruments of a subscribe or unsubscribe, in the order the client gave them."""

    #: `(exchange, symbol, mode)`; mode 0 stands for every mode held
    rows: list[Row]
    #: text of rows that failed already, by index among all rows of the request
    failed: dict[int, dict[str, Any]] = field(default_factory=dict)
    total: int = 0


def shown(value: object) -> str:
    """A value as an error message may repeat it: cut, and on one line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def parse(payload: bytes) -> Request:
    """Reads one frame. Raises ProtocolError (INVALID_JSON, INVALID_ACTION)."""
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise ProtocolError("INVALID_JSON", f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise ProtocolError("INVALID_JSON", f"a request is a JSON object, not {shown(body)}")
    verb = body.get("action", body.get("type"))
    request = Request("", body, _echo(body))
    if isinstance(verb, str):
        verb = verb.strip().lower()
        request.action = _ALIASES.get(verb, verb)
        if request.action == "unsubscribe" and _is_all(body.get("type")):
            request.action = "unsubscribe_all"
    return request


def echo_of(payload: bytes) -> dict[str, Any]:
    """The `request_id` of a request that is not looked at further."""
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return {}
    return _echo(body) if isinstance(body, dict) else {}


def _echo(body: dict[str, Any]) -> dict[str, Any]:
    given = "request_id" in body and not isinstance(body["request_id"], dict | list)
    return {"request_id": body["request_id"]} if given else {}


def _is_all(kind: object) -> bool:
    return isinstance(kind, str) and kind.strip().lower() == "unsubscribe_all"


def mode_of(value: object) -> Mode:
    """1/2/3 or LTP/Quote/Depth in any letter case. Raises ProtocolError (INVALID_MODE)."""
    if type(value) is int and 1 <= value <= 3:
        return Mode(value)
    if isinstance(value, str):
        word = value.strip().upper()
        if word in _MODES:
            return _MODES[word]
        if word in ("1", "2", "3"):
            return Mode(int(word))
    raise ProtocolError("INVALID_MODE", f"mode is {shown(value)}; it may be 1, 2, 3, LTP, Quote or Depth")


def bounded_int(body: dict[str, Any], name: str, default: int, low: int, high: int) -> int:
    """An optional whole number. Raises ProtocolError (INVALID_PARAMETERS)."""
    value = body.get(name)
    if value is None:
        return default
    if type(value) is not int or not low <= value <= high:
        raise ProtocolError("INVALID_PARAMETERS", f"{name} is {shown(value)}; it may be a whole number {low} to {high}")
    return value


def _listed(body: dict[str, Any]) -> list[Any]:
    for name in ("symbols", "instruments"):
        if name in body:
            listed = body[name]
            if not isinstance(listed, list) or not listed:
                raise ProtocolError(
                    "INVALID_PARAMETERS", f"{name} is {shown(listed)}; it must be a list of symbol and exchange"
                )
            return listed
    if "symbol" in body or "exchange" in body:
        return [body]
    raise ProtocolError("INVALID_PARAMETERS", "symbols is missing: give symbols, instruments, or symbol and exchange")


def rows_of(body: dict[str, Any], default: int, most: int) -> Rows:
    """The instruments of a request; bad ones become failed rows. Raises ProtocolError for the whole request.

    `default` is the mode number where neither the request nor the row names one; `most` bounds the list.
    """
    listed = _listed(body)
    if len(listed) > most:
        raise ProtocolError("INVALID_PARAMETERS", f"symbols holds {len(listed)} entries; at most {most} are allowed")
    common = int(mode_of(body["mode"])) if body.get("mode") is not None else default
    found = Rows([], total=len(listed))
    add = found.rows.append
    for at, item in enumerate(listed):
        # The well-formed row is the hot one: a thousand of them per request, a hundred requests at once.
        if type(item) is dict:
            exchange, symbol = item.get("exchange"), item.get("symbol")
            if (
                type(exchange) is str
                and type(symbol) is str
                and symbol
                and exchange in EXCHANGES
                and "mode" not in item
            ):
                add((exchange, symbol, common))
                continue
        try:
            add(_careful_row(item, common))
        except ProtocolError as error:
            found.failed[at] = failed_row(item, common, error.code, error.message)
    return found


def _careful_row(item: object, common: int) -> Row:
    if isinstance(item, str):
        exchange, colon, symbol = item.partition(":")
        item = {"exchange": exchange, "symbol": symbol} if colon else {"symbol": item}
    if not isinstance(item, dict):
        raise ProtocolError("INVALID_PARAMETERS", f"an instrument is {shown(item)}; it must name symbol and exchange")
    for name in ("exchange", "symbol"):
        value = item.get(name)
        if not isinstance(value, str) or not value.strip():
            raise ProtocolError("INVALID_PARAMETERS", f"{name} is {shown(value)}; it must be text")
    exchange, symbol = item["exchange"].strip().upper(), item["symbol"]
    if exchange not in EXCHANGES:
        raise ProtocolError(
            "INVALID_PARAMETERS", f"exchange is {shown(exchange)}; it may be one of {', '.join(sorted(EXCHANGES))}"
        )
    mode = item.get("mode")
    return exchange, symbol, common if mode is None else int(mode_of(mode))


def failed_row(item: object, mode: int, code: str, message: str) -> dict[str, Any]:
    """The row of an answer for an instrument that could not be done."""
    named = item if isinstance(item, dict) else {}
    row: dict[str, Any] = {
        name: value if isinstance(value := named.get(name), str) else None for name in ("symbol", "exchange")
    }
    row["status"] = "error"
    if mode:
        row["mode"] = Mode(mode).label
    row["code"] = code
    row["message"] = message
    return row


def error(code: str, message: str, kind: str = "error") -> dict[str, Any]:
    """An error answer; `kind` is `auth` for a failed authentication."""
    return {"type": kind, "status": "error", "code": code, "message": message}


def status_of(total: int, failed: int) -> str:
    """`success`, `partial` when some rows failed, `error` when all did."""
    if not failed:
        return "success"
    return "error" if failed == total else "partial"
