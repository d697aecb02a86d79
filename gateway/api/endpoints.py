"""The endpoints as data: path, limit, whether it changes something, and the shapes for the OpenAPI document."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel

from gateway.api import replies, schemas
from gateway.api.rates import Rate


class Endpoint(NamedTuple):
    """One call of the TradeService, by POST. `path` is also its name there."""

    path: str
    summary: str
    request: type[BaseModel]
    reply: type[BaseModel]
    rate: Rate = Rate.API
    #: whether it changes orders, positions or the mode: then `Idempotency-Key` counts, and it is logged
    changes: bool = False


def _order(path: str, summary: str, request: type[BaseModel], reply: type[BaseModel]) -> Endpoint:
    return Endpoint(path, summary, request, reply, Rate.ORDER, changes=True)


ENDPOINTS = (
    _order("placeorder", "Place an order", schemas.PlaceOrder, replies.Ordered),
    Endpoint(
        "placesmartorder",
        "Take a position to a target",
        schemas.PlaceSmartOrder,
        replies.SmartOrdered,
        Rate.SMART,
        True,
    ),
    _order("modifyorder", "Modify a resting order", schemas.ModifyOrder, replies.Ordered),
    _order("cancelorder", "Cancel a resting order", schemas.OneOrder, replies.Ordered),
    _order("cancelallorder", "Cancel all resting orders", schemas.Strategic, replies.CancelledAll),
    _order("closeposition", "Close all open positions", schemas.Strategic, replies.Message),
    _order("basketorder", "Place many orders", schemas.BasketOrder, replies.Basket),
    _order("splitorder", "Place an order in parts", schemas.SplitOrder, replies.Split),
    _order("placegttorder", "Place a good-till-triggered order", schemas.PlaceGtt, replies.Triggered),
    _order("modifygttorder", "Modify a GTT", schemas.ModifyGtt, replies.Triggered),
    _order("cancelgttorder", "Cancel a GTT", schemas.OneGtt, replies.Triggered),
    Endpoint("gttorderbook", "All GTTs", schemas.Keyed, replies.Rows),
    Endpoint("orderstatus", "One order", schemas.OneOrder, replies.OneOrderRow),
    Endpoint("openposition", "Quantity of one position", schemas.OpenPosition, replies.Position),
    Endpoint("orderbook", "Orders of today", schemas.Keyed, replies.OrderBook),
    Endpoint("tradebook", "Trades of today", schemas.Keyed, replies.Rows),
    Endpoint("positionbook", "Positions", schemas.Keyed, replies.Rows),
    Endpoint("holdings", "Holdings", schemas.Keyed, replies.Data),
    Endpoint("funds", "Funds", schemas.Keyed, replies.Funds),
    Endpoint("margin", "Margin that orders would need", schemas.Margin, replies.Data),
    Endpoint("quotes", "Quote of an instrument", schemas.OneInstrument, replies.Data),
    Endpoint("depth", "Market depth of an instrument", schemas.OneInstrument, replies.Data),
    Endpoint("multiquotes", "Quotes of many instruments", schemas.ManyInstruments, replies.Quotes),
    Endpoint("symbol", "The record of an instrument", schemas.OneInstrument, replies.Data),
    Endpoint("search", "Find instruments", schemas.Search, replies.Rows),
    Endpoint("expiry", "Expiry dates of an underlying", schemas.Expiry, replies.Dates),
    Endpoint("analyzer", "Which mode the user trades in", schemas.Keyed, replies.Analyzer),
    Endpoint("analyzer/toggle", "Change the mode", schemas.Toggle, replies.Analyzer, Rate.ORDER, True),
    Endpoint("ping", "Whether the API and the key work", schemas.Keyed, replies.Pong),
)

#: what this gateway does not serve: 501 (rest-api)
NOT_SERVED = (
    "history",
    "intervals",
    "market/holidays",
    "market/timings",
    "optionchain",
    "optiongreeks",
    "optionsmultiorder",
    "optionsorder",
    "optionsymbol",
    "syntheticfuture",
    "telegram/notify",
)
#: paths that begin so are not served either, whatever follows
NOT_SERVED_BELOW = ("market/{rest:path}", "telegram/{rest:path}", "option{rest:path}")
