"""What answers look like, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Success(BaseModel):
    """Every success."""

    model_config = ConfigDict(extra="allow")

    status: Literal["success"] = "success"
    mode: str = Field("", description="`analyze` in analyze mode, else absent")


class Failure(BaseModel):
    """Every failure."""

    status: Literal["error"] = "error"
    message: str = Field(description="what was wrong; names the field, what it was and what it may be")
    orderid: str = Field("", description="the recorded `rejected` order, where there is one")


class Message(Success):
    """A success in words."""

    message: str


class Ordered(Success):
    """The id of the order."""

    orderid: str


class SmartOrdered(Success):
    """The id of the order, or a message where nothing was to do."""

    orderid: str = ""
    message: str = ""


class FailedCancellation(BaseModel):
    """An order that could not be cancelled."""

    orderid: str
    reason: str


class CancelledAll(Message):
    """`cancelallorder`."""

    canceled_orders: list[str]
    failed_cancellations: list[FailedCancellation]


class BasketResult(BaseModel):
    """What became of one order of a basket."""

    symbol: str
    status: Literal["success", "error"]
    orderid: str = ""
    message: str = ""


class Basket(Success):
    """`basketorder`."""

    results: list[BasketResult]


class SplitResult(BaseModel):
    """What became of one order of a split."""

    order_num: int
    orderid: str = ""
    quantity: float
    status: Literal["success", "error"]
    message: str = ""


class Split(Success):
    """`splitorder`."""

    split_size: float
    total_quantity: float
    results: list[SplitResult]


class Triggered(Success):
    """The id of the GTT."""

    trigger_id: str


class Rows(Success):
    """A list."""

    data: list[dict[str, Any]]


class OrderRow(BaseModel):
    """One order; prices in INR."""

    orderid: str
    symbol: str
    exchange: str
    action: str
    quantity: float
    price: float
    trigger_price: float
    pricetype: str
    product: str
    order_status: str
    average_price: float
    timestamp: str


class OneOrderRow(Success):
    """`orderstatus`."""

    data: OrderRow


class OrderCounts(BaseModel):
    """Counts of the order book."""

    total_buy_orders: int
    total_sell_orders: int
    total_completed_orders: int
    total_open_orders: int
    total_rejected_orders: int


class Orders(BaseModel):
    """The order book."""

    orders: list[OrderRow]
    statistics: OrderCounts


class OrderBook(Success):
    """`orderbook`."""

    data: Orders


class Position(Success):
    """`openposition`: signed units, as text."""

    quantity: str


class FundsData(BaseModel):
    """INR with two decimals, as text."""

    availablecash: str
    collateral: str
    m2mrealized: str
    m2munrealized: str
    utiliseddebits: str


class Funds(Success):
    """`funds`."""

    data: FundsData


class Data(Success):
    """An object."""

    data: dict[str, Any]


class QuoteResult(BaseModel):
    """The quote of one instrument, or why there is none."""

    symbol: str
    exchange: str
    data: dict[str, Any] = {}
    error: str = ""


class Quotes(Success):
    """`multiquotes`."""

    results: list[QuoteResult]


class Dates(Success):
    """`expiry`: dates as `DD-MMM-YY`."""

    data: list[str]


class AnalyzerData(BaseModel):
    """Which mode the user trades in."""

    model_config = ConfigDict(extra="allow")

    mode: Literal["analyze", "live"]
    analyze_mode: bool
    total_logs: int


class Analyzer(Success):
    """`analyzer`, `analyzer/toggle`."""

    data: AnalyzerData


class Pong(Success):
    """`ping`."""

    data: dict[str, Any] = {}
    message: str = ""
    broker: str = ""
