"""Orders as values: what is asked for, what an order is, and the states it may pass through."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from gateway.instruments.record import InstrumentRecord
from gateway.trade.core.money import ONE, ZERO


class Action(StrEnum):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Action.BUY else -1

    @property
    def other(self) -> Action:
        """The opposite action."""
        return Action.SELL if self is Action.BUY else Action.BUY


class PriceType(StrEnum):
    """How an order is priced."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    SL = "SL"
    SL_M = "SL-M"

    @property
    def has_price(self) -> bool:
        """Whether a limit price belongs to it."""
        return self in (PriceType.LIMIT, PriceType.SL)

    @property
    def has_trigger(self) -> bool:
        """Whether a trigger price belongs to it."""
        return self in (PriceType.SL, PriceType.SL_M)


class Product(StrEnum):
    """Intraday (MIS), delivery (CNC) or carried forward (NRML)."""

    MIS = "MIS"
    CNC = "CNC"
    NRML = "NRML"


class Status(StrEnum):
    """Where an order is in its life, spelled as answers and events spell it."""

    OPEN = "open"
    TRIGGER_PENDING = "trigger pending"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def resting(self) -> bool:
        """Whether the order can still fill."""
        return self in (Status.OPEN, Status.TRIGGER_PENDING)


_ENDS = frozenset({Status.COMPLETE, Status.CANCELLED, Status.REJECTED})
#: the state machine (sandbox, "Order life"); an order modified from or to SL or SL-M changes between the two resting
#: states, and one whose trigger fills it on the same tick goes to complete at once
NEXT: dict[Status, frozenset[Status]] = {
    Status.TRIGGER_PENDING: _ENDS | {Status.OPEN, Status.TRIGGER_PENDING},
    Status.OPEN: _ENDS | {Status.OPEN, Status.TRIGGER_PENDING},
    Status.COMPLETE: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.REJECTED: frozenset(),
}


class Kind(StrEnum):
    """What margin and settlement want to know of an instrument."""

    EQUITY = "equity"
    FUTURE = "future"
    OPTION = "option"


_OPTIONS = frozenset({"CE", "PE", "TCE", "TPE", "SYNCE", "SYNPE", "MOVE"})
_FUTURES = frozenset({"FUT", "PERPFUT", "IRS", "SPREAD", "COMBO"})
_MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()


class Terms(NamedTuple):
    """The facts of an instrument that its orders and positions keep, also when it has left the master."""

    kind: Kind
    #: value of one contract in units of the underlying; PnL and margin are multiplied by it
    contract_value: Decimal = ONE
    #: expiry day of the contract at its exchange; None where it never expires
    expiry: date | None = None

    @classmethod
    def of(cls, record: InstrumentRecord) -> Terms:
        """The terms of a master record (INSTRUMENTS section 3)."""
        kind = Kind.EQUITY
        if record.instrumenttype in _OPTIONS:
            kind = Kind.OPTION
        elif record.instrumenttype in _FUTURES:
            kind = Kind.FUTURE
        return cls(kind, record.contract_value or ONE, expiry_of(record.expiry))


def expiry_of(text: str) -> date | None:
    """The day of an expiry such as `24-NOV-26`; None for the empty text."""
    if not text:
        return None
    day, month, year = text.split("-")
    return date(2000 + int(year), _MONTHS.index(month) + 1, int(day))


class Key(NamedTuple):
    """What a position is kept by, within one user."""

    exchange: str
    symbol: str
    product: Product


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as asked for; prices and trigger in INR (0 = none), quantity in units of the instrument."""

    symbol: str
    exchange: str
    action: Action
    quantity: Decimal
    pricetype: PriceType = PriceType.MARKET
    product: Product = Product.MIS
    price: Decimal = ZERO
    trigger_price: Decimal = ZERO
    disclosed_quantity: Decimal = ZERO
    strategy: str = ""

    def normalised(self) -> OrderRequest:
        """Without the fields that do not belong to its price type (a LIMIT has no trigger, an SL-M no price)."""
        return replace(
            self,
            price=self.price if self.pricetype.has_price else ZERO,
            trigger_price=self.trigger_price if self.pricetype.has_trigger else ZERO,
        )

    @property
    def key(self) -> Key:
        """The position that a fill of it would change."""
        return Key(self.exchange, self.symbol, self.product)


class Source(StrEnum):
    """Who asked for an order."""

    USER = "user"
    GTT = "gtt"
    SQUARE_OFF = "square off"
    EXPIRY = "expiry"


@dataclass(frozen=True, slots=True)
class Order:
    """One order, at one moment. Values are never changed in place: `advanced` makes the next one."""

    orderid: str
    request: OrderRequest
    terms: Terms
    status: Status
    placed_at: datetime
    updated_at: datetime
    #: INR blocked for it now; 0 once it has ended (the fill moved it to the position, or it was released)
    margin: Decimal = ZERO
    #: how much of its quantity that margin is for; the rest was to reduce a position
    blocked_quantity: Decimal = ZERO
    #: the trigger of an SL is spent: it rests as a LIMIT and the trigger is not looked at again
    triggered: bool = False
    #: INR; the price of the fill, 0 before
    average_price: Decimal = ZERO
    #: why it was rejected or cancelled by the gateway
    reason: str = ""
    source: Source = Source.USER

    @property
    def key(self) -> Key:
        """The position that its fill changes."""
        return self.request.key

    @property
    def filled_quantity(self) -> Decimal:
        """All or nothing: an order fills once."""
        return self.request.quantity if self.status is Status.COMPLETE else ZERO

    @property
    def reserved_quantity(self) -> Decimal:
        """How much of what can be sold (or bought back) it counts against while it rests."""
        return self.request.quantity - self.blocked_quantity if self.status.resting else ZERO

    def advanced(self, status: Status, at: datetime, **changes: object) -> Order:
        """The order in its next state. Raises ValueError where the state machine has no such step."""
        if status not in NEXT[self.status]:
            raise ValueError(f"order {self.orderid} cannot go from {self.status} to {status}")
        if not status.resting:
            changes |= {"margin": ZERO, "blocked_quantity": ZERO}
        return replace(self, status=status, updated_at=at, **changes)  # type: ignore[arg-type]


def resting_status(pricetype: PriceType, triggered: bool = False) -> Status:
    """The state in which an order of this price type waits."""
    return Status.TRIGGER_PENDING if pricetype.has_trigger and not triggered else Status.OPEN
