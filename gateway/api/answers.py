"""Answers as JSON: exact decimals, one form of errors, long lists in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

from starlette.responses import Response, StreamingResponse

from gateway.api.refusals import RefusedError
from gateway.wire import encode

JSON: Final = "application/json"
#: rows of one piece of a long list: some 1 ms of encoding, so that the event loop is never held up
_PIECE: Final = 500


class Answer(NamedTuple):
    """A finished answer that can be given again."""

    status: int
    body: bytes


def failure(status: int, message: str, orderid: str = "") -> Answer:
    """`{"status":"error","message":…}`, with the id of the order that recorded it where there is one."""
    body: dict[str, Any] = {"status": "error", "message": message}
    if orderid:
        body["orderid"] = orderid
    return Answer(status, encode(body))


def refused(refusal: RefusedError) -> Response:
    """The response of a refusal."""
    answer = failure(refusal.status, refusal.message, refusal.orderid)
    return Response(answer.body, refusal.status, refusal.headers, JSON)


def is_long(fields: Mapping[str, Any]) -> bool:
    """Whether encoding at once would hold up the event loop for more than some ms."""
    data = fields.get("data")
    return isinstance(data, list) and len(data) > 4 * _PIECE


def streamed(fields: Mapping[str, Any]) -> Response:
    """An answer whose `data` is a long list, encoded piece by piece while other requests are served."""
    return StreamingResponse(_pieces(fields), media_type=JSON)


async def _pieces(fields: Mapping[str, Any]) -> AsyncIterator[bytes]:
    rest = {name: value for name, value in fields.items() if name != "data"}
    head = encode(rest)[:-1]
    yield head + (b',"data":[' if rest else b'"data":[')
    rows: list[Any] = fields["data"]
    for start in range(0, len(rows), _PIECE):
        piece = encode(rows[start : start + _PIECE])[1:-1]
        yield b"," + piece if start else piece
        await asyncio.sleep(0)
    yield b"]}"
