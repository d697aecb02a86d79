"""Answers to clients, built from plain values (websocket-protocol, "Answers")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.model import FeedStatus, Mode
from gateway.stream.protocol import Row, Rows, status_of
from gateway.stream.protocol import failed_row as _failed

_REFUSALS = {
    "exchange": ("INVALID_PARAMETERS", "unknown exchange"),
    "symbol": (
        "INVALID_PARAMETERS",
        "symbol must be 1 to 64 printable ASCII characters without quotes, backslashes or outer blanks",
    ),
    "engine full": ("MAX_CAPACITY_REACHED", "the gateway holds as many instruments as it may"),
    "closed": ("SERVER_ERROR", "the connection is ending"),
}


def failed_row(row: Row, code: str, message: str) -> bytes:
    """The text of a failed row."""
    exchange, symbol, mode = row
    return orjson.dumps(_failed({"exchange": exchange, "symbol": symbol}, mode, code, message))


def refused_row(row: Row, reason: str, most: int) -> bytes:
    """The text of a row that the engine refused."""
    if reason == "reader full":
        return failed_row(row, "MAX_CAPACITY_REACHED", f"at most {most} symbols per connection")
    return failed_row(row, *_REFUSALS[reason])


def subscribed(listed: bytes, rows: Rows, bad: int, broker: str, echo: dict[str, Any]) -> bytes:
    """The answer to a subscribe; `listed` is the JSON list of rows that reached the engine."""
    if rows.failed:
        done = iter(orjson.loads(listed))
        listed = orjson.dumps([rows.failed[at] if at in rows.failed else next(done) for at in range(rows.total)])
    head = {
        "type": "subscribe",
        "status": status_of(rows.total, bad),
        "message": "Subscription processing complete",
        "broker": broker,
        **echo,
    }
    return b"".join((orjson.dumps(head)[:-1], b',"subscriptions":', listed, b"}"))


def unsubscribed(
    rows: Sequence[Row], ended: list[list[int]], early: list[dict[str, Any]], broker: str, echo: dict[str, Any]
) -> dict[str, Any]:
    """The answer to an unsubscribe: what ended, and what was not held."""
    successful: list[dict[str, Any]] = []
    failed = list(early)
    for (exchange, symbol, mode), modes in zip(rows, ended, strict=True):
        if not modes:
            missing = f"not subscribed{f' in mode {Mode(mode).label}' if mode else ''}"
            failed.append(_failed({"exchange": exchange, "symbol": symbol}, mode, "INVALID_PARAMETERS", missing))
        for done in modes:
            row = {"symbol": symbol, "exchange": exchange, "status": "success", "mode": Mode(done).label}
            successful.append({**row, "broker": broker})
    return {
        "type": "unsubscribe",
        "status": status_of(len(rows) + len(early), len(failed)),
        "message": "Unsubscription processing complete",
        "broker": broker,
        "successful": successful,
        "failed": failed,
        **echo,
    }


def welcome(user_id: str, broker: str, echo: dict[str, Any]) -> dict[str, Any]:
    """The answer to a successful authentication."""
    return {
        "type": "auth",
        "status": "success",
        "message": "Authentication successful",
        "broker": broker,
        "user_id": user_id,
        "supported_features": {"ltp": True, "quote": True, "depth": True},
        **echo,
    }


def feed_status(status: FeedStatus) -> dict[str, Any]:
    """A feed's state, for clients that asked for it."""
    return {"type": "feed_status", "broker": status.name, "state": status.state.value, "since": status.since}


def broker_info(statuses: Sequence[FeedStatus], broker: str, user_id: str, echo: dict[str, Any]) -> dict[str, Any]:
    """What serves the client and how it does."""
    state = next((status.state.value for status in statuses if status.name == broker), "connected")
    return {
        "type": "broker_info",
        "status": "success",
        "broker": broker,
        "adapter_status": state,
        "user_id": user_id,
        **echo,
    }


def supported_brokers(statuses: Sequence[FeedStatus], broker: str, echo: dict[str, Any]) -> dict[str, Any]:
    """All feeds of this gateway."""
    brokers = [status.name for status in statuses] or [broker]
    return {"type": "supported_brokers", "status": "success", "brokers": brokers, "count": len(brokers), **echo}
