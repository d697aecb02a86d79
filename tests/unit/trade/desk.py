"""Instruments, an account and short ways to give it orders."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from gateway.instruments.record import InstrumentRecord, from_row
from gateway.trade.core.audit import check_ledger
from gateway.trade.core.book import Account
from gateway.trade.core.calendar import IST, builtin
from gateway.trade.core.changes import Changes
from gateway.trade.core.gtt import GttRequest, parse_gtt
from gateway.trade.core.inputs import parse_order
from gateway.trade.core.judge import Quote
from gateway.trade.core.ledger import OcoMode, Rules
from gateway.trade.core.margin import LeverageModel
from gateway.trade.core.orders import Key, Order, OrderRequest, Product
from gateway.trade.core.positions import Position

CALENDAR = builtin()
#: a Wednesday, and no holiday
NOON = datetime(2026, 7, 15, 12, 0, tzinfo=IST)
CAPITAL = Decimal(10_000_000)


def instrument(exchange: str, symbol: str, **fields: str) -> InstrumentRecord:
    """A record of the common form."""
    return from_row({"exchange": exchange, "symbol": symbol, "tick_size": "0.05", **fields})


RECORDS = {
    record.symbol: record
    for record in (
        instrument("NSE", "SBIN"),
        instrument("BSE", "INFY"),
        instrument("NFO", "NIFTY28JUL26FUT", lotsize="75", instrumenttype="FUT", expiry="28-JUL-26"),
        instrument("NFO", "NIFTY28JUL2625000CE", lotsize="75", instrumenttype="CE", expiry="28-JUL-26"),
        instrument(
            "CDS", "USDINR29JUL26FUT", lotsize="1", instrumenttype="FUT", expiry="29-JUL-26", tick_size="0.0025"
        ),
        instrument("MCX", "CRUDEOIL20AUG26FUT", lotsize="100", instrumenttype="FUT", expiry="20-AUG-26", tick_size="1"),
        instrument("CRYPTO", "BTCUSDFUT", instrumenttype="PERPFUT", tick_size="0.5", contract_value="0.001"),
        instrument("CRYPTO", "SOLUSDT", instrumenttype="SPOT", tick_size="0.0001"),
    )
}
FUT, CALL = "NIFTY28JUL26FUT", "NIFTY28JUL2625000CE"


def dec(value: object) -> Decimal:
    """A decimal from how it is written."""
    return Decimal(str(value))


def quote(ltp: object, bid: object = 0, ask: object = 0, low: object = 0, high: object = 0) -> Quote:
    """A fresh price."""
    return Quote(dec(ltp), dec(bid), dec(ask), dec(low), dec(high))


def ask_for(action: str, quantity: object, symbol: str = "SBIN", **fields: Any) -> OrderRequest:
    """An order request as a call would bring it; `exchange` follows the symbol."""
    record = RECORDS[symbol]
    return parse_order(
        {"symbol": symbol, "exchange": record.exchange, "action": action, "quantity": quantity, **fields}
    )


def ask_gtt(action: str, quantity: object, symbol: str = "SBIN", **fields: Any) -> GttRequest:
    """A GTT request as a call would bring it."""
    record = RECORDS[symbol]
    return parse_gtt({"symbol": symbol, "exchange": record.exchange, "action": action, "quantity": quantity, **fields})


def numbered(prefix: str = "o") -> Callable[[], str]:
    """Ids that never repeat: o1, o2, …"""
    numbers = count(1)
    return lambda: f"{prefix}{next(numbers)}"


class Desk:
    """An account with a clock, checked after every command."""

    def __init__(self, capital: Decimal = CAPITAL, oco: OcoMode = "max", model: LeverageModel | None = None) -> None:
        self.now = NOON
        rules = Rules(CALENDAR, model or LeverageModel(), capital, oco)
        self.account = Account(rules, numbered(), self.now)

    def place(self, action: str, quantity: object, symbol: str = "SBIN", ltp: object = None, **fields: Any) -> Changes:
        price = fields.pop("quote", None) or (quote(ltp) if ltp is not None else None)
        return self._checked(
            self.account.place(ask_for(action, quantity, symbol, **fields), RECORDS[symbol], price, self.now)
        )

    def modify(self, orderid: str, quantity: object, ltp: object = None, **fields: Any) -> Changes:
        order = self.order(orderid)
        symbol, action = order.key.symbol, fields.pop("action", str(order.request.action))
        request = ask_for(action, quantity, symbol, **{"product": str(order.key.product), **fields})
        price = quote(ltp) if ltp is not None else None
        return self._checked(self.account.modify(orderid, request, RECORDS[symbol], price, self.now))

    def fill(self, orderid: str, price: object) -> Changes:
        return self._checked(self.account.fill(orderid, dec(price), self.now))

    def cancel(self, orderid: str) -> Changes:
        return self._checked(self.account.cancel(orderid, self.now))

    def gtt(self, action: str, quantity: object, symbol: str = "SBIN", **fields: Any) -> Changes:
        return self._checked(
            self.account.place_gtt(ask_gtt(action, quantity, symbol, **fields), RECORDS[symbol], self.now)
        )

    def order(self, orderid: str) -> Order:
        return self.account.ledger.orders[orderid]

    def position(self, symbol: str = "SBIN", product: str = "MIS") -> Position:
        return self.account.ledger.positions[Key(RECORDS[symbol].exchange, symbol, Product(product))]

    @property
    def used(self) -> Decimal:
        return self.account.ledger.funds.used

    @property
    def available(self) -> Decimal:
        return self.account.ledger.funds.available

    @property
    def realised(self) -> Decimal:
        return self.account.ledger.funds.realised

    def later(self, **delta: float) -> None:
        self.now += timedelta(**delta)

    def at(self, *when: int) -> None:
        self.now = datetime(*when, tzinfo=IST)  # type: ignore[arg-type,misc]

    def _checked(self, changes: Changes) -> Changes:
        assert check_ledger(self.account.ledger) == []
        return changes
