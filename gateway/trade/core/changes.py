"""What a command did: the rows to write and the events to raise, for one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from gateway.trade.core.errors import OrderError
from gateway.trade.core.funds import Funds
from gateway.trade.core.gtt import Gtt
from gateway.trade.core.orders import Action, Key, Order
from gateway.trade.core.positions import Holding, Position


@dataclass(frozen=True, slots=True)
class Trade:
    """The fill of an order. An order fills once, so its id is the order's."""

    orderid: str
    key: Key
    action: Action
    quantity: Decimal
    #: INR
    price: Decimal
    contract_value: Decimal
    at: datetime
    #: trading day
    day: date
    #: INR that it realised
    realised: Decimal
    #: which books it belongs to (`Funds.epoch`)
    epoch: int

    @property
    def signed_quantity(self) -> Decimal:
        """The quantity, negative for a sale."""
        return self.quantity if self.action is Action.BUY else -self.quantity


@dataclass(frozen=True, slots=True)
class Settlement:
    """The delivery of a CNC position at T+1: it leaves the position and is netted into the holding."""

    exchange: str
    symbol: str
    #: signed; negative where holdings were sold
    quantity: Decimal
    #: INR: Σ price × quantity of what moved
    cost: Decimal
    at: datetime
    day: date
    #: INR that a sale out of holdings realised
    realised: Decimal
    epoch: int


Row: TypeAlias = Order | Trade | Position | Holding | Settlement | Funds | Gtt


class What(StrEnum):
    """What happened to the row of an event."""

    PLACED = "placed"
    MODIFIED = "modified"
    TRIGGERED = "triggered"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    FIRED = "fired"
    FAILED = "failed"
    EXPIRED = "expired"
    SETTLED = "settled"
    RESET = "reset"


class Event(NamedTuple):
    """One thing to tell, with the row as it was right after it."""

    what: What
    row: Row


@dataclass
class Changes:
    """The outcome of one command. Nothing in it means there was nothing to do."""

    #: the newest version of each row that changed, in the order they first changed
    rows: dict[tuple[object, ...], Row] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    #: why the order was recorded as rejected, to be answered to the caller after the commit
    refusal: OrderError | None = None
    #: the order, GTT or orders that the command was about
    orderids: list[str] = field(default_factory=list)
    #: positions that could not be closed or settled because no price was given
    waiting: list[Key] = field(default_factory=list)
    #: takes the rows out of the account again, newest first
    undo: list[Callable[[], None]] = field(default_factory=list)

    @property
    def orderid(self) -> str:
        """The order or GTT that the command was about."""
        return self.orderids[0]


def identity(row: Row) -> tuple[object, ...]:
    """What a row is stored by, within one user."""
    match row:
        case Order():
            return "order", row.orderid
        case Trade():
            return "trade", row.orderid
        case Position():
            return "position", *row.key
        case Holding():
            return "holding", row.exchange, row.symbol
        case Settlement():
            return "settlement", row.exchange, row.symbol, row.day, row.epoch
        case Funds():
            return ("funds",)
        case Gtt():
            return "gtt", row.trigger_id
