"""The values of the books as rows of the tables, and back. Everything comes back equal, to the last digit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import RowMapping

from gateway.store.tables import Base
from gateway.store.trade_tables import FundsRow, GttRow, HoldingRow, OrderRow, PositionRow, SettlementRow, TradeRow
from gateway.trade.core.changes import Row, Settlement, Trade
from gateway.trade.core.funds import Funds
from gateway.trade.core.gtt import Gtt, GttRequest, GttStatus, GttType, Leg, LegStatus, Side
from gateway.trade.core.orders import Action, Key, Kind, Order, OrderRequest, PriceType, Product, Source, Status, Terms
from gateway.trade.core.positions import Holding, Net, Position

#: a row of a table: column -> value
Fields = dict[str, Any]
#: a row as a query gave it
Stored = Mapping[str, Any] | RowMapping

#: where each kind of value is kept
TABLE_OF: Final[dict[type[Row], type[Base]]] = {
    Order: OrderRow,
    Trade: TradeRow,
    Position: PositionRow,
    Holding: HoldingRow,
    Settlement: SettlementRow,
    Funds: FundsRow,
    Gtt: GttRow,
}


def fields_of(user_id: str, row: Row, number: int = 0) -> Fields:
    """The table row of a value; `number` is the place of a trade or settlement among those of all users."""
    match row:
        case Order():
            fields = _order(row)
        case Trade():
            fields = _trade(row)
            fields["number"] = number
        case Position():
            fields = _position(row)
        case Holding():
            fields = _holding(row)
        case Settlement():
            fields = _settlement(row)
            fields["number"] = number
        case Funds():
            fields = _funds(row)
        case Gtt():
            fields = _gtt(row)
    fields["user_id"] = user_id
    return fields


def _order(row: Order) -> Fields:
    ask, terms = row.request, row.terms
    return {
        "orderid": row.orderid, "exchange": ask.exchange, "symbol": ask.symbol, "product": ask.product.value,
        "action": ask.action.value, "quantity": ask.quantity, "pricetype": ask.pricetype.value, "price": ask.price,
        "trigger_price": ask.trigger_price, "disclosed_quantity": ask.disclosed_quantity, "strategy": ask.strategy,
        "status": row.status.value, "placed_at": row.placed_at, "updated_at": row.updated_at, "margin": row.margin,
        "blocked_quantity": row.blocked_quantity, "triggered": row.triggered, "average_price": row.average_price,
        "reason": row.reason, "source": row.source.value, "kind": terms.kind.value,
        "contract_value": terms.contract_value, "expiry": terms.expiry,
    }  # fmt: skip


def order_of(row: Stored) -> Order:
    """The order that a row of `orders` keeps."""
    request = OrderRequest(
        symbol=row["symbol"],
        exchange=row["exchange"],
        action=Action(row["action"]),
        quantity=row["quantity"],
        pricetype=PriceType(row["pricetype"]),
        product=Product(row["product"]),
        price=row["price"],
        trigger_price=row["trigger_price"],
        disclosed_quantity=row["disclosed_quantity"],
        strategy=row["strategy"],
    )
    return Order(
        orderid=row["orderid"],
        request=request,
        terms=_terms_of(row),
        status=Status(row["status"]),
        placed_at=row["placed_at"],
        updated_at=row["updated_at"],
        margin=row["margin"],
        blocked_quantity=row["blocked_quantity"],
        triggered=row["triggered"],
        average_price=row["average_price"],
        reason=row["reason"],
        source=Source(row["source"]),
    )


def _trade(row: Trade) -> Fields:
    exchange, symbol, product = row.key
    return {
        "orderid": row.orderid, "exchange": exchange, "symbol": symbol, "product": product.value,
        "action": row.action.value, "quantity": row.quantity, "price": row.price,
        "contract_value": row.contract_value, "at": row.at, "day": row.day, "realised": row.realised,
        "epoch": row.epoch,
    }  # fmt: skip


def trade_of(row: Stored) -> Trade:
    """The fill that a row of `trades` keeps."""
    return Trade(
        orderid=row["orderid"],
        key=_key_of(row),
        action=Action(row["action"]),
        quantity=row["quantity"],
        price=row["price"],
        contract_value=row["contract_value"],
        at=row["at"],
        day=row["day"],
        realised=row["realised"],
        epoch=row["epoch"],
    )


def _position(row: Position) -> Fields:
    exchange, symbol, product = row.key
    return {
        "exchange": exchange, "symbol": symbol, "product": product.value, "opened_at": row.opened_at,
        "updated_at": row.updated_at, "traded_on": row.traded_on, "realised": row.realised,
        "realised_on_day": row.realised_on_day, "day": row.day, **row.net._asdict(), **row.terms._asdict(),
        "kind": row.terms.kind.value,
    }  # fmt: skip


def position_of(row: Stored) -> Position:
    """The position that a row of `positions` keeps."""
    return Position(
        key=_key_of(row),
        terms=_terms_of(row),
        opened_at=row["opened_at"],
        updated_at=row["updated_at"],
        traded_on=row["traded_on"],
        net=_net_of(row),
        realised=row["realised"],
        realised_on_day=row["realised_on_day"],
        day=row["day"],
    )


def _holding(row: Holding) -> Fields:
    return {
        "exchange": row.exchange, "symbol": row.symbol, "updated_at": row.updated_at, "realised": row.realised,
        **row.net._asdict(), **row.terms._asdict(), "kind": row.terms.kind.value,
    }  # fmt: skip


def holding_of(row: Stored) -> Holding:
    """The holding that a row of `holdings` keeps."""
    return Holding(row["exchange"], row["symbol"], _terms_of(row), row["updated_at"], _net_of(row), row["realised"])


def _settlement(row: Settlement) -> Fields:
    return {
        "exchange": row.exchange, "symbol": row.symbol, "quantity": row.quantity, "cost": row.cost, "at": row.at,
        "day": row.day, "realised": row.realised, "epoch": row.epoch,
    }  # fmt: skip


def settlement_of(row: Stored) -> Settlement:
    """The delivery that a row of `settlements` keeps."""
    names = ("exchange", "symbol", "quantity", "cost", "at", "day", "realised", "epoch")
    return Settlement(**{name: row[name] for name in names})


_FUNDS: Final = ("capital", "available", "since", "used", "realised", "realised_on_day", "day", "epoch")


def _funds(row: Funds) -> Fields:
    return {name: getattr(row, name) for name in _FUNDS}


def funds_of(row: Stored) -> Funds:
    """The money that a row of `funds` keeps."""
    return Funds(**{name: row[name] for name in _FUNDS})


def _gtt(row: Gtt) -> Fields:
    ask = row.request
    return {
        "trigger_id": row.trigger_id, "trigger_type": ask.trigger_type.value, "exchange": ask.exchange,
        "symbol": ask.symbol, "product": ask.product.value, "action": ask.action.value, "quantity": ask.quantity,
        "pricetype": ask.pricetype.value, "triggerprice_sl": ask.triggerprice_sl,
        "triggerprice_tg": ask.triggerprice_tg, "price": ask.price, "stoploss": ask.stoploss, "target": ask.target,
        "strategy": ask.strategy, "legs": _legs(row.legs), "status": row.status.value, "placed_at": row.placed_at,
        "updated_at": row.updated_at, "expires_at": row.expires_at, "margin": row.margin, **row.terms._asdict(),
        "kind": row.terms.kind.value,
    }  # fmt: skip


def gtt_of(row: Stored) -> Gtt:
    """The GTT that a row of `gtts` keeps."""
    prices = ("triggerprice_sl", "triggerprice_tg", "price", "stoploss", "target")
    request = GttRequest(
        trigger_type=GttType(row["trigger_type"]),
        symbol=row["symbol"],
        exchange=row["exchange"],
        action=Action(row["action"]),
        quantity=row["quantity"],
        pricetype=PriceType(row["pricetype"]),
        product=Product(row["product"]),
        strategy=row["strategy"],
        **{name: row[name] for name in prices},
    )
    return Gtt(
        trigger_id=row["trigger_id"],
        request=request,
        terms=_terms_of(row),
        legs=tuple(_leg_of(leg) for leg in json.loads(row["legs"])),
        placed_at=row["placed_at"],
        updated_at=row["updated_at"],
        expires_at=row["expires_at"],
        status=GttStatus(row["status"]),
        margin=row["margin"],
    )


def _legs(legs: tuple[Leg, ...]) -> str:
    """A JSON list; triggers are text, so that no reader of JSON makes binary floats of them."""
    return json.dumps(
        [
            {
                "side": leg.side.value,
                "trigger": format(leg.trigger, "f"),
                "status": leg.status.value,
                "orderid": leg.orderid,
                "reason": leg.reason,
            }
            for leg in legs
        ]
    )


def _leg_of(leg: Stored) -> Leg:
    return Leg(Side(leg["side"]), Decimal(leg["trigger"]), LegStatus(leg["status"]), leg["orderid"], leg["reason"])


def _key_of(row: Stored) -> Key:
    return Key(row["exchange"], row["symbol"], Product(row["product"]))


def _terms_of(row: Stored) -> Terms:
    return Terms(Kind(row["kind"]), row["contract_value"], row["expiry"])


def _net_of(row: Stored) -> Net:
    return Net(row["quantity"], row["cost"], row["margin"])
