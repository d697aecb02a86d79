"""Ticks of the usual size for measurements inside one process."""

from __future__ import annotations

import json


def symbol(index: int) -> str:
    """Name of symbol number `index`, as the load tool names them."""
    return f"B{index + 1:04}"


def topic(index: int, mode: str) -> bytes:
    """Bus topic of symbol number `index`."""
    return f"NSE_{symbol(index)}_{mode}".encode()


def ltp_payload(index: int) -> bytes:
    """An LTP tick."""
    return _json({"ltp": 625.5 + index % 50, "ltt": 1705294800000, "timestamp": 1705294800000, "ltq": 25})


def depth_payload(index: int) -> bytes:
    """A Depth tick with five levels on each side, some 1 KB."""
    price = 625.5 + index % 50
    quote = {"open": 621.5, "high": 699.9, "low": 619.25, "close": 620.1, "volume": 8412345 + index, "oi": 0}
    totals = {"total_buy_quantity": 1204321, "total_sell_quantity": 1184007, "average_price": 624.87}
    change = {"change": 5.4, "change_percent": 0.87, "bid": price - 0.05, "ask": price, "ltq": 25, "ltp": price}
    depth = {
        "buy": [{"price": price - 0.05 * (n + 1), "quantity": 1250 + n, "orders": 7 + n} for n in range(5)],
        "sell": [{"price": price + 0.05 * n, "quantity": 1250 + n, "orders": 7 + n} for n in range(5)],
    }
    return _json({**change, **quote, **totals, "timestamp": 1705294800000, "depth": depth})


def _json(value: dict[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
