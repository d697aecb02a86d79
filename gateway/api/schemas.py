"""What requests look like, for the OpenAPI document. The trading core checks them (gateway/trade/core/inputs.py)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from gateway.model import EXCHANGES
from gateway.trade.core.gtt import GttType
from gateway.trade.core.orders import Action, PriceType, Product


def _words(words: list[str], what: str) -> dict[str, Any]:
    return {"type": "string", "enum": words, "description": f"{what}, in any case"}


def _number(what: str, **bounds: Any) -> dict[str, Any]:
    shapes = [{"type": "number", **bounds}, {"type": "string", "pattern": r"^-?\d{1,9}(\.\d{1,8})?$"}]
    return {"anyOf": shapes, "description": f"{what}; a number, or a number in a text"}


def _quantity(what: str) -> dict[str, Any]:
    shapes = [
        {"type": "integer", "minimum": 1, "maximum": 10**9 - 1},
        {"type": "string", "pattern": r"^(0|[1-9]\d{0,7})\.\d{0,7}[1-9]$|^[1-9]\d{0,8}$"},
    ]
    return {"anyOf": shapes, "description": f"{what}; a number, or a number in a text"}


_TEXT = {"type": "string", "pattern": "^[!-~]{1,64}$"}

Symbol = Annotated[str, WithJsonSchema({**_TEXT, "description": "common symbol", "examples": ["SBIN"]})]
Exchange = Annotated[str, WithJsonSchema(_words(sorted(EXCHANGES), "exchange"))]
Side = Annotated[str, WithJsonSchema(_words([*Action], "side"))]
Kind = Annotated[str, WithJsonSchema(_words([*PriceType], "price type"))]
Holding = Annotated[str, WithJsonSchema(_words([*Product], "product"))]
Price = Annotated[object, WithJsonSchema(_number("INR", minimum=0, exclusiveMaximum=10**9))]
Quantity = Annotated[object, WithJsonSchema(_quantity("units (fractions for CRYPTO, as text)"))]
Disclosed = Annotated[object, WithJsonSchema(_number("units", minimum=0, exclusiveMaximum=10**9))]
Signed = Annotated[object, WithJsonSchema(_number("signed units", minimum=-(10**9) + 1, maximum=10**9 - 1))]
Strategy = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": "^[!-~]{0,64}$", "description": "name of the strategy"})
]
OrderId = Annotated[str, WithJsonSchema({**_TEXT, "description": "id of an order"})]
TriggerId = Annotated[str, WithJsonSchema({**_TEXT, "description": "id of a GTT"})]
GttKind = Annotated[str, WithJsonSchema(_words([*GttType], "number of legs"))]
GttPrice = Annotated[str, WithJsonSchema(_words(["LIMIT", "MARKET"], "price type of the order that a leg places"))]
Many = Field(min_length=1, max_length=100)


class Keyed(BaseModel):
    """Any POST: the API key is in the body or in header X-API-KEY."""

    model_config = ConfigDict(extra="allow")

    apikey: Annotated[str, Field(description="API key; or header X-API-KEY")] = ""


class Strategic(Keyed):
    """A call that names its strategy and nothing else."""

    strategy: Strategy = ""


class InstrumentFields(BaseModel):
    """One instrument."""

    symbol: Symbol
    exchange: Exchange


class OrderFields(InstrumentFields):
    """What an order is."""

    model_config = ConfigDict(extra="allow")

    action: Side
    quantity: Quantity
    pricetype: Kind = "MARKET"
    product: Holding = "MIS"
    price: Price = 0
    trigger_price: Price = 0
    disclosed_quantity: Disclosed = 0


class PlaceOrder(OrderFields, Strategic):
    """`placeorder`."""


class PlaceSmartOrder(PlaceOrder):
    """`placesmartorder`."""

    position_size: Signed


class ModifyOrder(PlaceOrder):
    """`modifyorder`."""

    orderid: OrderId


class OneOrder(Strategic):
    """`cancelorder`, `orderstatus`."""

    orderid: OrderId


class BasketOrder(Strategic):
    """`basketorder`: buys are placed first."""

    orders: Annotated[list[OrderFields], Many]


class SplitOrder(PlaceOrder):
    """`splitorder`."""

    splitsize: Quantity


class PlaceGtt(InstrumentFields, Strategic):
    """`placegttorder`: SINGLE has one trigger and `price`; OCO both triggers, `stoploss` and `target`."""

    trigger_type: GttKind = "SINGLE"
    action: Side
    quantity: Quantity
    pricetype: GttPrice = "LIMIT"
    product: Holding = "CNC"
    triggerprice_sl: Price = 0
    triggerprice_tg: Price = 0
    price: Price = 0
    stoploss: Price = 0
    target: Price = 0


class ModifyGtt(PlaceGtt):
    """`modifygttorder`."""

    trigger_id: TriggerId


class OneGtt(Strategic):
    """`cancelgttorder`."""

    trigger_id: TriggerId


class OpenPosition(InstrumentFields, Strategic):
    """`openposition`."""

    product: Holding


class Margin(Keyed):
    """`margin`."""

    positions: Annotated[list[OrderFields], Field(min_length=1, max_length=50)]


class OneInstrument(InstrumentFields, Keyed):
    """`quotes`, `depth`, `symbol`."""


class ManyInstruments(Keyed):
    """`multiquotes`."""

    symbols: Annotated[list[InstrumentFields], Field(min_length=1)]


class Search(Keyed):
    """`search`."""

    query: Annotated[str, WithJsonSchema({**_TEXT, "description": "words, all of which occur"})]
    exchange: Exchange = ""


class Expiry(InstrumentFields, Keyed):
    """`expiry`."""

    instrumenttype: Annotated[str, WithJsonSchema(_words(["futures", "options"], "kind of contract"))]


class Toggle(Keyed):
    """`analyzer/toggle`."""

    mode: Annotated[bool, Field(description="true for analyze mode, false for live mode")]
