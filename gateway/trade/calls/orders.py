"""placeorder, placesmartorder, modifyorder, cancelorder, cancelallorder, closeposition, basketorder, splitorder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from gateway import order_events
from gateway.instruments.record import InstrumentRecord
from gateway.model import Instrument
from gateway.trade.calls.call import Call, objects
from gateway.trade.core import basket, inputs, smart
from gateway.trade.core.changes import Changes
from gateway.trade.core.errors import OrderError, TerminalOrderError, UnknownOrderError
from gateway.trade.core.judge import Quote
from gateway.trade.core.money import ONE, ZERO
from gateway.trade.core.orders import OrderRequest
from gateway.trade.desk import Masters
from gateway.trade.ports import Prices
from gateway.trade.queries import Queries
from gateway.trade.user import Work


class Asked(NamedTuple):
    """An order request with what is known of its instrument."""

    request: OrderRequest
    record: InstrumentRecord | None
    quote: Quote | None

    def place(self, work: Work) -> Changes:
        """Places it. Raises OrderError."""
        return work.do(work.account.place(self.request, self.record, self.quote, work.at))


class OrderCalls:
    """Handlers; each waits for prices first, then does everything in one go."""

    def __init__(self, prices: Prices, masters: Masters, queries: Queries) -> None:
        self._prices = prices
        self._masters = masters
        self._queries = queries

    async def placeorder(self, call: Call) -> dict[str, Any]:
        """`orderid`."""
        asked = await self.asked(inputs.parse_order(call.fields))
        return _placed(call, asked.place(call.start()))

    async def placesmartorder(self, call: Call) -> dict[str, Any]:
        """`orderid`, or `message` where the position is what it should be."""
        target = inputs.signed(call.fields, "position_size")
        asked = await self.asked(_smart_request(call.fields))
        work = call.start()
        current = work.account.ledger.position(asked.request.key).quantity
        request = smart.smart_request(asked.request, target, current)
        if request is None:
            work.events.append(order_events.order_notification(asked.request.symbol))
            return {"message": smart.MATCHED}
        return _placed(call, asked._replace(request=request).place(work))

    async def modifyorder(self, call: Call) -> dict[str, Any]:
        """`orderid`."""
        orderid = inputs.text(call.fields, "orderid")
        await self._must_rest(call, orderid)
        order = call.entry.account.ledger.resting.get(orderid)
        own = _own_fields(order.request) if order is not None else {}
        asked = await self.asked(inputs.parse_order({**own, **_given(call.fields)}))
        work = call.start()
        before = work.account.ledger.resting.get(orderid)
        # its old terms must not fill while the new ones are on their way
        call.desk.matching.take(orderid)
        try:
            work.do(work.account.modify(orderid, asked.request, asked.record, asked.quote, work.at))
        except OrderError:
            if before is not None:
                call.desk.matching.restore(call.entry, before)
            raise
        return {"orderid": orderid}

    async def cancelorder(self, call: Call) -> dict[str, Any]:
        """`orderid`."""
        orderid = inputs.text(call.fields, "orderid")
        await self._must_rest(call, orderid)
        work = call.start()
        work.do(work.account.cancel(orderid, work.at))
        return {"orderid": orderid}

    async def cancelallorder(self, call: Call) -> dict[str, Any]:
        """`message`, `canceled_orders`, `failed_cancellations`."""
        work = call.start()
        cancelled, failed = list[str](), list[dict[str, str]]()
        for orderid in basket.cancel_all(work.account.ledger.resting.values()):
            try:
                work.do(work.account.cancel(orderid, work.at))
                cancelled.append(orderid)
            except OrderError as error:
                failed.append({"orderid": orderid, "reason": error.message})
        message = f"{len(cancelled)} orders cancelled, {len(failed)} could not be cancelled"
        return {"message": message, "canceled_orders": cancelled, "failed_cancellations": failed}

    async def closeposition(self, call: Call) -> dict[str, Any]:
        """`message`, and `failed` where positions stay open."""
        strategy = inputs.text(call.fields, "strategy", "")
        keys = [position.key for position in call.entry.account.ledger.positions.values() if position.quantity]
        await self._wait(Instrument(key.exchange, key.symbol) for key in keys)
        work = call.start()
        closed, failed = 0, list[dict[str, str]]()
        for request in basket.close_all(work.account.ledger.positions.values(), strategy):
            problem = self._close(work, request)
            if problem:
                failed.append({"symbol": request.symbol, "exchange": request.exchange, "message": problem})
            else:
                closed += 1
        message = f"{closed} positions closed" if closed or failed else "no position is open"
        return {"message": message, "failed": failed} if failed else {"message": message}

    def _close(self, work: Work, request: OrderRequest) -> str:
        """Closes one position; returns why it could not be."""
        terms = work.account.ledger.positions[request.key].terms
        record = self._masters.find(request.exchange, request.symbol)
        quote = self._prices.fresh(Instrument(request.exchange, request.symbol))
        if record is None:
            return f"{request.symbol} has left the instrument master; it settles at expiry ({terms.expiry})"
        try:
            refusal = work.do(work.account.place(request, record, quote, work.at)).refusal
        except OrderError as error:
            return error.message
        return refusal.message if refusal else ""

    async def basketorder(self, call: Call) -> dict[str, Any]:
        """`results`, in the order in which they were placed: buys first."""
        rows = objects(call.fields, "orders", basket.MOST)
        strategy = call.fields.get("strategy", "")
        parsed = [_parsed({"strategy": strategy, **row}) for row in rows]
        good = [one for one in parsed if isinstance(one, OrderRequest)]
        asked = iter(await self.all_asked(good))
        work = call.start()
        whole = [next(asked) if isinstance(one, OrderRequest) else one for one in parsed]
        first = [place for place, one in enumerate(whole) if not isinstance(one, Asked)]
        places = [place for place, one in enumerate(whole) if isinstance(one, Asked)]
        ordered = [places[number] for number in basket.basket_order(good)] if good else []
        results = [_result(work, whole[place], rows[place]) for place in [*ordered, *first]]
        return {"results": results}

    async def splitorder(self, call: Call) -> dict[str, Any]:
        """`split_size`, `total_quantity`, `results`."""
        size = inputs.quantity(call.fields, "splitsize")
        asked = await self.asked(inputs.parse_order(call.fields))
        requests = basket.split_requests(asked.request, size)
        work, results = call.start(), list[dict[str, Any]]()
        for number, request in enumerate(requests, 1):
            found = _result(work, asked._replace(request=request), {})
            del found["symbol"]
            results.append({"order_num": number, "quantity": request.quantity, **found})
        return {"split_size": size, "total_quantity": asked.request.quantity, "results": results}

    async def asked(self, request: OrderRequest) -> Asked:
        """The request with its record and a fresh price; an unknown instrument is not waited for."""
        return (await self.all_asked([request]))[0]

    async def all_asked(self, requests: list[OrderRequest]) -> list[Asked]:
        """As `asked`, waiting for all prices at once."""
        records = [self._masters.find(one.exchange, one.symbol) for one in requests]
        places = [Instrument(one.exchange, one.symbol) for one in requests]
        await self._wait(place for place, record in zip(places, records, strict=True) if record is not None)
        found = zip(requests, records, places, strict=True)
        return [Asked(one, record, self._prices.fresh(place) if record else None) for one, record, place in found]

    async def _wait(self, instruments: Iterable[Instrument]) -> None:
        """Waits (at most 1 s) until each has a fresh price."""
        missing = {one for one in instruments if self._prices.fresh(one) is None}
        if missing:
            await asyncio.gather(*(self._prices.wait_for(one) for one in missing))

    async def _must_rest(self, call: Call, orderid: str) -> None:
        """Raises UnknownOrderError, or TerminalOrderError for an order that ended and has left memory."""
        if orderid in call.entry.account.ledger.orders:
            return
        old = await self._queries.order(call.entry.user_id, orderid)
        if old is not None:
            raise TerminalOrderError(f"order {orderid} is {old.status} already", "orderid", orderid)
        raise UnknownOrderError(f"orderid {orderid[:40]!r} is none of your orders", "orderid")


def _placed(call: Call, changes: Changes) -> dict[str, Any]:
    call.refusal = changes.refusal
    return {"orderid": changes.orderid}


def _parsed(fields: Mapping[str, Any]) -> OrderRequest | OrderError:
    try:
        return inputs.parse_order(fields)
    except OrderError as error:
        return error


def _result(work: Work, asked: Asked | OrderError, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What became of one order among many."""
    symbol = asked.request.symbol if isinstance(asked, Asked) else str(fields.get("symbol", ""))[:64]
    try:
        if isinstance(asked, OrderError):
            raise asked
        changes = asked.place(work)
    except OrderError as error:
        return {"symbol": symbol, "status": "error", "message": error.message}
    if changes.refusal is not None:
        message = changes.refusal.message
        return {"symbol": symbol, "status": "error", "message": message, "orderid": changes.orderid}
    return {"symbol": symbol, "status": "success", "orderid": changes.orderid}


def _smart_request(fields: Mapping[str, Any]) -> OrderRequest:
    """The request of a smart order; a quantity of 0 is for plans that do not need one."""
    if inputs.number(fields, "quantity"):
        return inputs.parse_order(fields)
    return replace(inputs.parse_order({**fields, "quantity": ONE}), quantity=ZERO)


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def _own_fields(request: OrderRequest) -> dict[str, Any]:
    """What a modification leaves out stays as it is in the order."""
    names = ("symbol", "exchange", "action", "product", "pricetype", "quantity", "price", "trigger_price")
    return {name: getattr(request, name) for name in names}
