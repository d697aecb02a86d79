"""Quotes over Kite's REST API (KITE_REST "Quotes")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import httpx
import orjson

from adapters.base import FeedConfig
from adapters.zerodha.endpoints import auth_headers, rest_url
from gateway.errors import FeedError, TokenRefusedError
from gateway.model import Instrument

#: instruments in one `/quote` request (KITE_REST)
QUOTES_PER_REQUEST = 500
TIMEOUT_S = 10.0
_IST = timezone(timedelta(hours=5, minutes=30))
_PERCENT = Decimal("0.0001")
#: common field -> the broker's, where the broker has it
_FIELDS = (
    ("ltp", "last_price"),
    ("ltq", "last_quantity"),
    ("last_trade_quantity", "last_quantity"),
    ("volume", "volume"),
    ("average_price", "average_price"),
    ("avg_trade_price", "average_price"),
    ("total_buy_quantity", "buy_quantity"),
    ("total_sell_quantity", "sell_quantity"),
    ("oi", "oi"),
)


async def fetch_quotes(config: FeedConfig, names: Mapping[str, Instrument], now_ms: int) -> dict[Instrument, bytes]:
    """Quote-mode payloads for `names` (`NSE:NIFTY 50` -> instrument); what the broker leaves out is absent.

    `now_ms` stands in for a missing exchange time. Raises TokenRefusedError or FeedError.
    """
    keys = list(names)
    found: dict[Instrument, bytes] = {}
    async with httpx.AsyncClient(
        base_url=rest_url(config), headers=auth_headers(config), timeout=TIMEOUT_S, follow_redirects=False
    ) as client:
        for start in range(0, len(keys), QUOTES_PER_REQUEST):
            part = {key: names[key] for key in keys[start : start + QUOTES_PER_REQUEST]}
            found |= payloads(await quote_rows(client, list(part)), part, now_ms)
    return found


def payloads(rows: Mapping[str, Any], names: Mapping[str, Instrument], now_ms: int) -> dict[Instrument, bytes]:
    """The rows of an answer as payloads; rows nobody asked for or that make no sense are left out."""
    found: dict[Instrument, bytes] = {}
    for key, row in rows.items():
        if key in names and isinstance(row, dict) and _is_price(row.get("last_price")):
            try:
                found[names[key]] = orjson.dumps(payload(row, now_ms))
            except (AttributeError, TypeError, ValueError, ArithmeticError, LookupError):
                # one malformed row does not cost the others
                continue
    return found


async def quote_rows(client: httpx.AsyncClient, keys: Sequence[str]) -> dict[str, Any]:
    """One `/quote` request for at most QUOTES_PER_REQUEST names. Raises TokenRefusedError or FeedError."""
    try:
        answer = await client.get("/quote", params=[("i", key) for key in keys])
    except httpx.HTTPError as error:
        raise FeedError(f"zerodha quotes failed: {type(error).__name__}") from None
    if answer.status_code == 403:
        raise TokenRefusedError("zerodha refused the access token (HTTP 403)")
    if answer.status_code != 200:
        raise FeedError(f"zerodha quotes failed: HTTP {answer.status_code}")
    try:
        data = orjson.loads(answer.content)["data"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        data = None
    if not isinstance(data, dict):
        raise FeedError("zerodha quotes failed: the answer is not what KITE_REST describes")
    return data


def payload(row: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """One row of `/quote` as the payload of a Quote tick."""
    data: dict[str, Any] = {ours: row[theirs] for ours, theirs in _FIELDS if row.get(theirs) is not None}
    traded = _epoch_ms(row.get("last_trade_time"))
    if traded is not None:
        data["ltt"] = traded
    ohlc = row.get("ohlc") or {}
    data |= {name: ohlc[name] for name in ("open", "high", "low", "close") if ohlc.get(name) is not None}
    data |= _change(data["ltp"], data.get("close"))
    for ours, side in (("bid", "buy"), ("ask", "sell")):
        levels = (row.get("depth") or {}).get(side) or []
        if levels and levels[0].get("price"):
            data[ours] = levels[0]["price"]
    data["timestamp"] = _epoch_ms(row.get("timestamp")) or now_ms
    return data


def _is_price(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _change(ltp: float, close: float | None) -> dict[str, float]:
    """`change` and `change_percent` by decimal arithmetic; nothing without a previous close."""
    if not close:
        return {}
    last, previous = Decimal(str(ltp)), Decimal(str(close))
    percent = ((last - previous) * 100 / previous).quantize(_PERCENT, ROUND_HALF_UP)
    return {"change": float(last - previous), "change_percent": float(percent)}


def _epoch_ms(text: object) -> int | None:
    """Epoch ms of `YYYY-MM-DD HH:MM:SS` in IST; None for anything else and for the broker's zero dates."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=_IST)
    except ValueError:
        return None
    milliseconds = int(moment.timestamp() * 1000)
    return milliseconds if milliseconds > 0 else None
