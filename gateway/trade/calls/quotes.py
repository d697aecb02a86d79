"""quotes, depth, multiquotes, and the prices that books are marked at."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol

import orjson

from gateway.model import EXCHANGES, Instrument, Mode
from gateway.trade.calls.call import Call, objects
from gateway.trade.core import inputs
from gateway.trade.core.errors import NoPriceError, OrderError, UnknownOrderError, wrong
from gateway.trade.core.inputs import to_decimal
from gateway.trade.desk import Masters
from gateway.trade.ports import Prices

#: symbols that one `multiquotes` call may name
_MOST: Final = 500
_LEVELS: Final = 5
#: how old a mark may be before the fallback source is asked, s (sandbox, "Positions")
MARK_AGE_S: Final = 5.0
#: how long a mark waits for the fallback source, s
_MARK_WAIT_S: Final = 1.5


class Polled(Protocol):
    """The fallback source: quotes by a broker's REST half."""

    async def quotes(self, instruments: Collection[Instrument]) -> Mapping[Instrument, bytes]:
        """The JSON object of a Quote tick for each instrument that has an answer. Raises FeedError."""


class QuoteCalls:
    """Handlers. An instrument that is not held is subscribed, waited for (1 s) and kept for 60 s."""

    def __init__(self, prices: Prices, masters: Masters, polled: Polled) -> None:
        self._prices = prices
        self._masters = masters
        self._polled = polled

    async def quotes(self, call: Call) -> dict[str, Any]:
        """The quote of one instrument."""
        instrument = self._known(call.fields)
        return {"data": _quote(await self._payload(instrument, Mode.QUOTE))}

    async def depth(self, call: Call) -> dict[str, Any]:
        """Five levels each side, with the quote."""
        instrument = self._known(call.fields)
        return {"data": _depth(await self._payload(instrument, Mode.DEPTH))}

    async def multiquotes(self, call: Call) -> dict[str, Any]:
        """Quotes of many; one without an answer carries `error`."""
        rows = objects(call.fields, "symbols", _MOST)
        return {"results": await asyncio.gather(*(self._one(row) for row in rows))}

    async def _one(self, row: Mapping[str, Any]) -> dict[str, Any]:
        name = {"symbol": str(row.get("symbol", ""))[:64], "exchange": str(row.get("exchange", ""))[:20]}
        try:
            payload = await self._payload(self._known(row), Mode.QUOTE)
        except OrderError as error:
            return {**name, "data": {}, "error": error.message}
        return {**name, "data": _quote(payload)}

    def _known(self, fields: Mapping[str, Any]) -> Instrument:
        exchange, symbol = inputs.text(fields, "exchange").upper(), inputs.text(fields, "symbol").upper()
        if exchange not in EXCHANGES:
            raise wrong("exchange", exchange, "one of " + ", ".join(sorted(EXCHANGES)))
        if self._masters.find(exchange, symbol) is None:
            raise UnknownOrderError(f"symbol {symbol} is not in the instrument master of {exchange}", "symbol")
        return Instrument(exchange, symbol)

    async def _payload(self, instrument: Instrument, mode: Mode) -> Mapping[str, Any]:
        found = await self._prices.payload(instrument, mode)
        if found is None and mode is not Mode.LTP:
            # a publisher may give less than was asked for: better a quote without depth than nothing
            found = await self._prices.payload(instrument, Mode.LTP, 0.0)
        if found is None:
            found = await self._ask(instrument)
        if found is None:
            raise NoPriceError(f"no price of {instrument.symbol} on {instrument.exchange} is known", "symbol")
        return found

    async def _ask(self, instrument: Instrument) -> Mapping[str, Any] | None:
        polled = await self._poll([instrument])
        return orjson.loads(polled[instrument]) if instrument in polled else None

    async def marks(self, instruments: Collection[Instrument]) -> dict[Instrument, Decimal]:
        """The price of each, INR: the feed's where it is at most 5 s old, else the fallback source's, else the last."""
        old = [one for one in instruments if self._prices.age_s(one) > MARK_AGE_S]
        polled = {one: _ltp(payload) for one, payload in (await self._poll(old)).items()} if old else {}
        found = {one: polled.get(one) or self._prices.last(one) for one in instruments}
        return {one: price for one, price in found.items() if price is not None}

    async def _poll(self, instruments: Collection[Instrument]) -> Mapping[Instrument, bytes]:
        try:
            return await asyncio.wait_for(self._polled.quotes(instruments), _MARK_WAIT_S)
        except Exception:
            # the fallback counts and logs its own failures; without it the last price is shown
            return {}


def _ltp(payload: bytes) -> Decimal | None:
    body = orjson.loads(payload)
    return to_decimal(body.get("ltp")) if isinstance(body, dict) else None


def _number(value: object) -> int | float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _quote(payload: Mapping[str, Any]) -> dict[str, Any]:
    depth = payload.get("depth")
    bid, ask = _best(depth, "buy"), _best(depth, "sell")
    row = {name: _number(payload.get(name)) for name in ("open", "high", "low", "ltp")}
    return {
        **row,
        "ask": _number(payload.get("ask")) or ask,
        "bid": _number(payload.get("bid")) or bid,
        "prev_close": _number(payload.get("close")),
        "volume": _number(payload.get("volume")),
        "oi": _number(payload.get("oi")),
    }


def _depth(payload: Mapping[str, Any]) -> dict[str, Any]:
    depth = payload.get("depth")
    last = payload.get("ltq", payload.get("last_trade_quantity"))
    return {
        **_quote(payload),
        "ltq": _number(last),
        "totalbuyqty": _number(payload.get("total_buy_quantity")),
        "totalsellqty": _number(payload.get("total_sell_quantity")),
        "bids": _levels(depth, "buy"),
        "asks": _levels(depth, "sell"),
    }


def _levels(depth: object, side: str) -> list[dict[str, Any]]:
    rows = depth.get(side) if isinstance(depth, dict) else None
    good = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    found = [{"price": _number(row.get("price")), "quantity": _number(row.get("quantity"))} for row in good[:_LEVELS]]
    return found + [{"price": 0, "quantity": 0}] * (_LEVELS - len(found))


def _best(depth: object, side: str) -> int | float:
    price = _levels(depth, side)[0]["price"]
    assert isinstance(price, int | float)
    return price
