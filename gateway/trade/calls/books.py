"""orderstatus, openposition, orderbook, tradebook, positionbook, holdings, funds, margin. Only what is committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from gateway.model import Instrument
from gateway.trade.calls.call import Call, objects
from gateway.trade.calls.orders import OrderCalls
from gateway.trade.calls.quotes import QuoteCalls
from gateway.trade.calls.rows import order_book, order_row, percent, rupees, trade_row
from gateway.trade.core import inputs
from gateway.trade.core.checks import check_request
from gateway.trade.core.errors import UnknownOrderError
from gateway.trade.core.margin import basis, exposure_of
from gateway.trade.core.money import ZERO, text
from gateway.trade.core.orders import Key, Order, Product
from gateway.trade.core.positions import Holding, Position
from gateway.trade.events import shown
from gateway.trade.marks import mark
from gateway.trade.queries import Queries

#: orders that one `margin` call may name
_MOST: Final = 50


class BookCalls:
    """Handlers; prices of marks are at most some seconds old, or the last that are known."""

    def __init__(self, orders: OrderCalls, quotes: QuoteCalls, queries: Queries) -> None:
        self._orders = orders
        self._quotes = quotes
        self._queries = queries

    async def orderstatus(self, call: Call) -> dict[str, Any]:
        """One order of any day."""
        orderid = inputs.text(call.fields, "orderid")
        await call.entry.settled()
        order: Order | None = call.entry.account.ledger.orders.get(orderid)
        if order is None:
            order = await self._queries.order(call.entry.user_id, orderid)
        if order is None:
            raise UnknownOrderError(f"orderid {orderid[:40]!r} is none of your orders", "orderid")
        return {"data": order_row(order)}

    async def openposition(self, call: Call) -> dict[str, Any]:
        """The signed quantity as text; 0 where there is no position."""
        key = Key(
            inputs.text(call.fields, "exchange").upper(),
            inputs.text(call.fields, "symbol").upper(),
            inputs.word(call.fields, "product", Product, Product.MIS),
        )
        await call.entry.settled()
        return {"quantity": f"{call.entry.account.ledger.position(key).quantity:f}"}

    async def orderbook(self, call: Call) -> dict[str, Any]:
        """Orders of the trading day, and older ones that still rest."""
        await call.entry.settled()
        return {"data": order_book(call.entry.account.ledger.orders.values())}

    async def tradebook(self, call: Call) -> dict[str, Any]:
        """Fills of the trading day, oldest first."""
        await call.entry.settled()
        return {"data": [trade_row(trade) for trade in call.entry.trades]}

    async def positionbook(self, call: Call) -> dict[str, Any]:
        """Open positions, and those that were traded today."""
        day = call.entry.account.ledger.day(call.desk.now())
        prices = await self._prices(position.key for position in _shown(call, day))
        await call.entry.settled()
        return {"data": [_position_row(one, prices, day) for one in _shown(call, day)]}

    async def holdings(self, call: Call) -> dict[str, Any]:
        """What was delivered, marked at the last price."""
        prices = await self._prices(_held(call))
        await call.entry.settled()
        held = _held(call)
        rows = [_holding_row(one, prices) for one in held]
        invested = sum((one.net.cost for one in held), ZERO)
        profit = sum((row["pnl"] for row in rows), ZERO)
        statistics = {
            "totalholdingvalue": rupees(invested + profit),
            "totalinvvalue": rupees(invested),
            "totalpnlpercentage": percent(profit, invested),
            "totalprofitandloss": rupees(profit),
        }
        return {"data": {"holdings": rows, "statistics": statistics}}

    async def funds(self, call: Call) -> dict[str, Any]:
        """Amounts in INR as text; available + utilised = capital + realised."""
        day = call.entry.account.ledger.day(call.desk.now())
        prices = await self._prices(position.key for position in _shown(call, day) if position.quantity)
        await call.entry.settled()
        ledger = call.entry.account.ledger
        open_now = [(one, prices.get(_place(one.key))) for one in ledger.positions.values() if one.quantity]
        unrealised = sum((one.unrealised(ltp) for one, ltp in open_now if ltp is not None), ZERO)
        return {
            "data": {
                "availablecash": text(ledger.funds.available),
                "collateral": text(ZERO),
                "m2mrealized": text(ledger.funds.realised),
                "m2munrealized": text(unrealised),
                "utiliseddebits": text(ledger.funds.used),
            }
        }

    async def margin(self, call: Call) -> dict[str, Any]:
        """What orders would block, each for itself."""
        requests = [inputs.parse_order(row) for row in objects(call.fields, "positions", _MOST)]
        rules, total = call.entry.account.rules, ZERO
        for asked in await self._orders.all_asked(requests):
            terms = check_request(asked.request, asked.record, rules.calendar, call.desk.now())
            price = basis(asked.request, asked.quote.ltp if asked.quote else None)
            total += rules.margin.required(exposure_of(asked.request, terms, asked.request.quantity, price))
        return {
            "data": {
                "total_margin_required": rupees(total),
                "span_margin": rupees(total),
                "exposure_margin": rupees(ZERO),
            }
        }

    async def _prices(self, places: Iterable[Key | Holding]) -> Mapping[Instrument, Decimal]:
        return await self._quotes.marks({_place(one) for one in places})


def _shown(call: Call, day: object) -> list[Position]:
    positions = call.entry.account.ledger.positions.values()
    return [one for one in positions if one.quantity or one.traded_on == day]


def _held(call: Call) -> list[Holding]:
    return [one for one in call.entry.account.ledger.holdings.values() if one.quantity]


def _place(row: Key | Holding) -> Instrument:
    return Instrument(row.exchange, row.symbol)


def _position_row(position: Position, prices: Mapping[Instrument, Decimal], day: Any) -> dict[str, Any]:
    ltp = prices.get(_place(position.key))
    found = mark(position, ltp if ltp is not None else ZERO, day) if ltp is not None or not position.quantity else None
    return {
        "symbol": position.key.symbol,
        "exchange": position.key.exchange,
        "product": position.key.product,
        "quantity": position.quantity,
        "average_price": shown(position.average_price),
        "ltp": shown(ltp) if ltp is not None else ZERO,
        "pnl": found.pnl if found else ZERO,
        "pnl_percent": found.pnl_percent if found else ZERO,
    }


def _holding_row(holding: Holding, prices: Mapping[Instrument, Decimal]) -> dict[str, Any]:
    ltp = prices.get(_place(holding))
    profit = holding.unrealised(ltp) if ltp is not None else ZERO
    return {
        "symbol": holding.symbol,
        "exchange": holding.exchange,
        "product": "CNC",
        "quantity": holding.quantity,
        "average_price": shown(holding.average_price),
        "ltp": shown(ltp) if ltp is not None else ZERO,
        "pnl": rupees(profit),
        "pnlpercent": percent(profit, holding.net.cost),
    }
