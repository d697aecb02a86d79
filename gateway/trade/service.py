"""The trade service: routes each call to its handler, commits what it did, and tells of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from gateway import order_events
from gateway.trade.calls.books import BookCalls
from gateway.trade.calls.call import Call
from gateway.trade.calls.gtts import GttCalls
from gateway.trade.calls.orders import OrderCalls
from gateway.trade.calls.quotes import Polled, QuoteCalls
from gateway.trade.calls.symbols import Directory, SymbolCalls
from gateway.trade.core.errors import OrderError, wrong
from gateway.trade.desk import Desk
from gateway.trade.ports import Kept, Once, Prices
from gateway.trade.queries import Queries

Handler = Callable[[Call], Awaitable[dict[str, Any]]]

ANALYZE: Final = "analyze"
LIVE: Final = "live"
_TRUE: Final = {"true": True, "1": True, "false": False, "0": False}


class LiveError(OrderError):
    """The call needs a broker's order side, which this gateway does not have."""

    status = 403


class Service:
    """The one TradeService; see gateway.trade.ports."""

    def __init__(self, desk: Desk, prices: Prices, directory: Directory, queries: Queries, polled: Polled) -> None:
        self._desk = desk
        self._queries = queries
        orders = OrderCalls(prices, directory, queries)
        gtts = GttCalls(directory, queries)
        quotes = QuoteCalls(prices, directory, polled)
        books = BookCalls(orders, quotes, queries)
        symbols = SymbolCalls(directory)
        self._changing: dict[str, Handler] = {
            "placeorder": orders.placeorder,
            "placesmartorder": orders.placesmartorder,
            "modifyorder": orders.modifyorder,
            "cancelorder": orders.cancelorder,
            "cancelallorder": orders.cancelallorder,
            "closeposition": orders.closeposition,
            "basketorder": orders.basketorder,
            "splitorder": orders.splitorder,
            "placegttorder": gtts.placegttorder,
            "modifygttorder": gtts.modifygttorder,
            "cancelgttorder": gtts.cancelgttorder,
        }
        self._account: dict[str, Handler] = {
            "gttorderbook": gtts.gttorderbook,
            "orderstatus": books.orderstatus,
            "openposition": books.openposition,
            "orderbook": books.orderbook,
            "tradebook": books.tradebook,
            "positionbook": books.positionbook,
            "holdings": books.holdings,
            "funds": books.funds,
            "margin": books.margin,
        }
        self._open: dict[str, Handler] = {
            "quotes": quotes.quotes,
            "depth": quotes.depth,
            "multiquotes": quotes.multiquotes,
            "symbol": symbols.symbol,
            "search": symbols.search,
            "expiry": symbols.expiry,
            "instruments": symbols.instruments,
            "analyzer": self._analyzer,
            "ping": self._ping,
        }

    async def call(
        self, user_id: str, endpoint: str, fields: Mapping[str, Any], once: Once | None = None
    ) -> dict[str, Any]:
        """See TradeService."""
        entry = self._desk.entry(user_id)
        call = Call(self._desk, entry, endpoint, fields)
        if endpoint == "analyzer/toggle":
            answer = await self._toggle(call, once)
        elif endpoint in self._open:
            answer = await self._open[endpoint](call)
        else:
            self._refuse_live(call)
            account = self._account.get(endpoint)
            answer = await (account(call) if account else self._change(call, self._changing[endpoint], once))
        mode = {"mode": ANALYZE} if entry.state.mode == ANALYZE else {}
        return {"status": "success", **mode, **answer}

    async def kept(self, user_id: str, key: str) -> Kept | None:
        """See TradeService."""
        return await self._queries.kept(user_id, key)

    def _refuse_live(self, call: Call) -> None:
        if call.entry.state.mode == LIVE:
            raise LiveError(
                "you trade in live mode, and no broker with an order side is set up here; "
                "analyzer/toggle with mode true goes back to analyze mode",
                "mode",
            )

    async def _change(self, call: Call, handler: Handler, once: Once | None) -> dict[str, Any]:
        """A call that changes the books: handler and submission are one step for the event loop once prices are there.

        The answer, a refusal too, is kept and told in the transaction that it is the answer of.
        """
        try:
            answer, error = await self._handled(call, handler)
            work = call.start()
            told = order_events.analyzer_update(call.fields, _response(answer, error), call.endpoint)
            work.events.insert(0, told)
            call.entry.state = replace(call.entry.state, logs=call.entry.state.logs + 1)
            if once is not None:
                whole = {"status": "success", "mode": ANALYZE, **answer}
                work.kept = once.refusal(error) if error is not None else once.success(whole)
            committed = work.commit()
        except BaseException:
            # a fault of ours, or a client that went away before anything was submitted: nothing has happened
            if call.work is not None:
                call.work.abandon()
            raise
        await committed
        if error is not None:
            raise error
        return answer

    async def _handled(self, call: Call, handler: Handler) -> tuple[dict[str, Any], OrderError | None]:
        try:
            answer = await handler(call)
        except OrderError as refused:
            return {}, refused
        return answer, call.refusal

    async def _toggle(self, call: Call, once: Once | None) -> dict[str, Any]:
        value = call.fields.get("mode")
        wanted = value if isinstance(value, bool) else _TRUE.get(str(value).strip().lower())
        if wanted is None:
            raise wrong("mode", value, "true (analyze) or false (live)")
        work = call.start()
        call.entry.state = replace(call.entry.state, mode=ANALYZE if wanted else LIVE)
        answer = await self._analyzer(call)
        if once is not None:
            mode = {"mode": ANALYZE} if wanted else {}
            work.kept = once.success({"status": "success", **mode, **answer})
        await work.commit()
        return answer

    async def _analyzer(self, call: Call) -> dict[str, Any]:
        state = call.entry.state
        return {"data": {"mode": state.mode, "analyze_mode": state.mode == ANALYZE, "total_logs": state.logs}}

    async def _ping(self, _call: Call) -> dict[str, Any]:
        return {"data": {"message": "pong", "broker": "sandbox"}, "message": "pong", "broker": "sandbox"}


def _response(answer: Mapping[str, Any], error: OrderError | None) -> dict[str, Any]:
    if error is None:
        return {"status": "success", **answer}
    orderid = {"orderid": error.orderid} if error.orderid else {}
    return {"status": "error", "message": error.message, **orderid}
