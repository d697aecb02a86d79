"""A TradeService without books: it checks fields as the trading core does and answers in the shapes of rest-api."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
from fastapi import FastAPI

from gateway.api.app import create_app
from gateway.api.keys import Keys
from gateway.api.metrics import ApiMetrics
from gateway.errors import StoreError
from gateway.model import User
from gateway.trade.core import basket, gtt, inputs, smart
from gateway.trade.core.errors import OrderError, TerminalOrderError, UnknownOrderError, wrong
from gateway.trade.ports import Kept, Once

KEY = "key-of-asha-0123456789abcdef"
OTHER_KEY = "key-of-ravi-0123456789abcdef"
ORDER = {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": "5"}


@dataclass(frozen=True)
class FakeSettings:
    """Settings of the API; limits that no test reaches by chance."""

    api_rate_limit: str = "100000 per second"
    order_rate_limit: str = "100000 per second"
    smart_order_rate_limit: str = "100000 per second"
    metrics_public: bool = False
    cors_allowed_origins: tuple[str, ...] = ()


@dataclass
class FakeService:
    """Remembers what was called; `fail` is raised instead of any answer, `hold` keeps answers back."""

    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    fail: Exception | None = None
    hold: asyncio.Event | None = None
    analyze: bool = True
    #: what an earlier process kept
    answers: dict[tuple[str, str], Kept] = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    async def call(
        self, user_id: str, endpoint: str, fields: Mapping[str, Any], once: Once | None = None
    ) -> dict[str, Any]:
        """See TradeService."""
        self.calls.append((user_id, endpoint, dict(fields)))
        if self.hold is not None:
            await self.hold.wait()
        if self.fail is not None:
            raise self.fail
        method: Callable[[Mapping[str, Any]], dict[str, Any]] = getattr(self, "_" + endpoint.replace("/", "_"))
        mode = {"mode": "analyze"} if self.analyze else {}
        return {"status": "success", **mode, **method(fields)}

    async def kept(self, user_id: str, key: str) -> Kept | None:
        """See TradeService."""
        return self.answers.get((user_id, key))

    def _new_id(self) -> str:
        return f"26112100{next(self._ids):06d}"

    def _placeorder(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        request = inputs.parse_order(fields)
        if request.symbol == "POOR":
            raise OrderError("insufficient funds", orderid=self._new_id())
        return {"orderid": self._new_id()}

    def _placesmartorder(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        target = inputs.signed(fields, "position_size")
        request = smart.smart_request(inputs.parse_order(fields), target, Decimal(0))
        return {"orderid": self._new_id()} if request else {"message": smart.MATCHED}

    def _modifyorder(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        inputs.parse_order(fields)
        return self._cancelorder(fields)

    def _cancelorder(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        orderid = inputs.text(fields, "orderid")
        if orderid == "done":
            raise TerminalOrderError("order done is complete already", "orderid")
        if orderid == "unknown":
            raise UnknownOrderError("there is no order unknown", "orderid")
        return {"orderid": orderid}

    def _cancelallorder(self, _fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"message": "Canceled 1 orders", "canceled_orders": ["1"], "failed_cancellations": []}

    def _closeposition(self, _fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"message": "All open positions squared off"}

    def _basketorder(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        rows = fields.get("orders")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise wrong("orders", rows, "a list of orders")
        basket.check_many("orders", len(rows))
        results = []
        for row in rows:
            try:
                request = inputs.parse_order(row)
                results.append({"symbol": request.symbol, "status": "success", "orderid": self._new_id()})
            except OrderError as error:
                results.append({"symbol": str(row.get("symbol")), "status": "error", "message": error.message})
        return {"results": results}

    def _splitorder(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        request, size = inputs.parse_order(fields), inputs.quantity(fields, "splitsize")
        parts = basket.split(request.quantity, size)
        results = [
            {"order_num": number, "orderid": self._new_id(), "quantity": part, "status": "success"}
            for number, part in enumerate(parts, 1)
        ]
        return {"split_size": size, "total_quantity": request.quantity, "results": results}

    def _placegttorder(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        gtt.parse_gtt(fields)
        return {"trigger_id": self._new_id()}

    def _modifygttorder(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        gtt.parse_gtt(fields)
        return {"trigger_id": inputs.text(fields, "trigger_id")}

    def _cancelgttorder(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"trigger_id": inputs.text(fields, "trigger_id")}

    def _gttorderbook(self, _fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"data": []}

    def _orderstatus(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"data": {**_row(), "orderid": inputs.text(fields, "orderid")}}

    def _openposition(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        inputs.text(fields, "symbol")
        return {"quantity": "-10"}

    def _orderbook(self, _fields: Mapping[str, Any]) -> dict[str, Any]:
        names = ("buy_orders", "sell_orders", "completed_orders", "open_orders", "rejected_orders")
        return {"data": {"orders": [_row()], "statistics": {f"total_{name}": 1 for name in names}}}

    def _tradebook(self, _fields: Mapping[str, Any]) -> dict[str, Any]:
        row = {name: value for name, value in _row().items() if name in ("orderid", "symbol", "average_price")}
        return {"data": [{**row, "trade_value": Decimal("4252.75")}]}

    def _positionbook(self, _fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"data": [{"symbol": "SBIN", "quantity": Decimal(5), "average_price": Decimal("850.55")}]}

    def _holdings(self, _fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"data": {"holdings": [], "statistics": {"totalholdingvalue": Decimal(0)}}}

    def _funds(self, _fields: Mapping[str, Any]) -> dict[str, Any]:
        names = ("collateral", "m2mrealized", "m2munrealized", "utiliseddebits")
        return {"data": {"availablecash": "10000000.00", **dict.fromkeys(names, "0.00")}}

    def _margin(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        rows = fields.get("positions")
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            raise wrong("positions", rows, "a list of 1 to 50 orders")
        for row in rows:
            inputs.parse_order(row)
        return {"data": {"total_margin_required": Decimal("850.55"), "span_margin": 0, "exposure_margin": 0}}

    def _quotes(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        inputs.text(fields, "symbol"), inputs.text(fields, "exchange")
        return {"data": {"ltp": Decimal("850.55"), "volume": 100}}

    _depth = _quotes

    def _multiquotes(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        rows = fields.get("symbols")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise wrong("symbols", rows, "a list of instruments")
        for row in rows:
            inputs.text(row, "symbol"), inputs.text(row, "exchange")
        return {"results": [{**row, "data": {"ltp": Decimal("1.5")}} for row in rows]}

    def _symbol(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"data": {"symbol": inputs.text(fields, "symbol"), "lotsize": 1, "tick_size": Decimal("0.05")}}

    def _search(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"data": [{"symbol": inputs.text(fields, "query")}]}

    def _expiry(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        inputs.text(fields, "symbol")
        return {"data": ["24-NOV-26"]}

    def _instruments(self, _fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"data": [{"symbol": f"S{number}", "tick_size": Decimal("0.05")} for number in range(5001)]}

    def _analyzer(self, _fields: Mapping[str, Any]) -> dict[str, Any]:
        mode = "analyze" if self.analyze else "live"
        return {"data": {"mode": mode, "analyze_mode": self.analyze, "total_logs": 0}}

    def _analyzer_toggle(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(fields.get("mode"), bool):
            raise wrong("mode", fields.get("mode"), "true or false")
        self.analyze = bool(fields["mode"])
        return self._analyzer(fields)

    def _ping(self, _fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"data": {"message": "pong", "broker": "sandbox"}}


def _row() -> dict[str, Any]:
    return {
        "orderid": "26112100000001", "symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": Decimal(5),
        "price": Decimal("850.55"), "trigger_price": Decimal(0), "pricetype": "LIMIT", "product": "MIS",
        "order_status": "complete", "average_price": Decimal("850.55"), "timestamp": "21-Nov-2026 10:00:00",
    }  # fmt: skip


class FakeVerifier:
    """Keys in a dictionary; counts how often it was asked."""

    def __init__(self) -> None:
        self.owners = {KEY: User("asha", 1), OTHER_KEY: User("ravi", 2)}
        self.asked = 0
        self.away = False

    def verify(self, api_key: str) -> User | None:
        """See KeyVerifier."""
        self.asked += 1
        if self.away:
            raise StoreError("no connection")
        return self.owners.get(api_key)


class Clock:
    """A clock that stands still until told, s."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """The application with fakes around it, called in memory."""

    def __init__(self, settings: FakeSettings | None = None) -> None:
        self.service, self.verifier, self.clock = FakeService(), FakeVerifier(), Clock()
        self.keys = Keys(self.verifier.verify)
        self.ready = {"feed": True, "database": True, "publisher": True}
        self.counts = ApiMetrics()
        self.app: FastAPI = create_app(
            self.service,
            self.keys.look_up,
            settings or FakeSettings(),
            ready={name: lambda name=name: self.ready[name] for name in self.ready},  # type: ignore[misc]
            metrics=lambda: b"gateway_up 1\n",
            websocket_url=lambda: "ws://127.0.0.1:8765",
            counts=self.counts,
            clock=self.clock,
        )

    def client(self, address: str = "127.0.0.1") -> httpx.AsyncClient:
        """A client that never leaves the process; what the application raises reaches the test."""
        transport = httpx.ASGITransport(self.app, client=(address, 40000))
        return httpx.AsyncClient(transport=transport, base_url="http://gateway")

    async def post(self, path: str, body: Any = None, **fields: Any) -> httpx.Response:
        """POST with the key in the body; `body` replaces it."""
        sent = {"apikey": KEY, **fields} if body is None else body
        async with self.client() as client:
            return await client.post(f"/api/v1/{path}", json=sent)

    async def raw(self, content: bytes, path: str = "placeorder", **headers: str) -> httpx.Response:
        """POST of these bytes; underscores in the names of headers are hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client() as client:
            return await client.post(f"/api/v1/{path}", content=content, headers=named)
