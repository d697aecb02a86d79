"""`GET /quote` of the simulated Kite server (KITE_REST "Quotes")."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from tests.simulators.kite_market import Market
from tests.simulators.kite_wire import Book, divisor

_IST = timezone(timedelta(hours=5, minutes=30))


def quote_json(market: Market, names: list[str]) -> dict[str, Any]:
    """The answer for `EXCHANGE:TRADINGSYMBOL` names; unknown ones are absent."""
    tokens = {f"{row.exchange}:{row.tradingsymbol}": token for token, row in market.rows.items()}
    data = {name: _quote(market.books[tokens[name]]) for name in names if name in tokens}
    return {"status": "success", "data": data}


def _quote(book: Book) -> dict[str, Any]:
    scale = divisor(book.token)
    prices = {name: getattr(book, name) / scale for name in ("open", "high", "low", "close")}
    quote: dict[str, Any] = {
        "instrument_token": book.token,
        "timestamp": _text(book.time),
        "last_price": book.ltp / scale,
        "net_change": (book.ltp - book.close) / scale,
        "ohlc": prices,
    }
    if book.is_index:
        return quote
    depth = {
        side: [{"price": price / scale, "quantity": quantity, "orders": orders} for quantity, price, orders in levels]
        for side, levels in (("buy", book.buy), ("sell", book.sell))
    }
    return quote | {
        "last_trade_time": _text(book.ltt),
        "last_quantity": book.ltq,
        "buy_quantity": book.total_buy,
        "sell_quantity": book.total_sell,
        "volume": book.volume,
        "average_price": book.average / scale,
        "oi": book.oi,
        "oi_day_high": book.oi_high,
        "oi_day_low": book.oi_low,
        "depth": depth,
    }


def _text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, _IST).strftime("%Y-%m-%d %H:%M:%S")
