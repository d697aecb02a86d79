"""GTT (good till triggered) as values: SINGLE and OCO requests, their checks, legs and states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from gateway.instruments.record import InstrumentRecord
from gateway.trade.core import inputs
from gateway.trade.core.calendar import Calendar
from gateway.trade.core.checks import check_expiry, check_instrument, check_price, check_product, check_quantity
from gateway.trade.core.errors import wrong
from gateway.trade.core.money import ZERO
from gateway.trade.core.orders import Action, OrderRequest, PriceType, Product, Terms


class GttType(StrEnum):
    """One leg, or two of which one cancels the other."""

    SINGLE = "SINGLE"
    OCO = "OCO"


class GttStatus(StrEnum):
    """The life of a GTT: it ends by firing (its order placed, or failed), cancelling or expiring."""

    ACTIVE = "active"
    TRIGGERED = "triggered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Side(StrEnum):
    """Which leg: `sl` fires on a fall to its price, `tg` on a rise, inclusive, whatever the action."""

    SL = "sl"
    TG = "tg"


class LegStatus(StrEnum):
    """The life of a leg; the sibling of one that fired is cancelled."""

    WAITING = "waiting"
    FIRED = "fired"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class GttRequest:
    """A GTT as asked for. Prices in INR, 0 where there is none."""

    trigger_type: GttType
    symbol: str
    exchange: str
    action: Action
    quantity: Decimal
    pricetype: PriceType = PriceType.LIMIT
    product: Product = Product.CNC
    triggerprice_sl: Decimal = ZERO
    triggerprice_tg: Decimal = ZERO
    #: limit of a SINGLE
    price: Decimal = ZERO
    #: limits of the two legs of an OCO
    stoploss: Decimal = ZERO
    target: Decimal = ZERO
    strategy: str = ""

    def trigger(self, side: Side) -> Decimal:
        """The trigger of a leg, INR; 0 where there is no such leg."""
        return self.triggerprice_sl if side is Side.SL else self.triggerprice_tg

    def limit(self, side: Side) -> Decimal:
        """The limit of a leg's order, INR; 0 where it is a MARKET order."""
        if self.pricetype is PriceType.MARKET:
            return ZERO
        if self.trigger_type is GttType.SINGLE:
            return self.price
        return self.stoploss if side is Side.SL else self.target

    @property
    def sides(self) -> list[Side]:
        """The legs it has."""
        return [side for side in Side if self.trigger(side)]

    def order(self, side: Side | None = None) -> OrderRequest:
        """The order that a leg places when it fires (without a leg: its shape, without a price)."""
        return OrderRequest(
            symbol=self.symbol,
            exchange=self.exchange,
            action=self.action,
            quantity=self.quantity,
            pricetype=self.pricetype,
            product=self.product,
            price=self.limit(side) if side else ZERO,
            strategy=self.strategy,
        )

    def basis(self, side: Side) -> Decimal:
        """What margin of a leg is reckoned at: its limit, or its trigger where there is none."""
        return self.limit(side) or self.trigger(side)


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg at one moment."""

    side: Side
    #: INR
    trigger: Decimal
    status: LegStatus = LegStatus.WAITING
    #: the order that it placed
    orderid: str = ""
    #: why that order was refused
    reason: str = ""

    def reached(self, ltp: Decimal) -> bool:
        """Whether `ltp` fires it."""
        return 0 < ltp <= self.trigger if self.side is Side.SL else ltp >= self.trigger


@dataclass(frozen=True, slots=True)
class Gtt:
    """One GTT of one user, at one moment."""

    trigger_id: str
    request: GttRequest
    terms: Terms
    legs: tuple[Leg, ...]
    placed_at: datetime
    updated_at: datetime
    expires_at: datetime
    status: GttStatus = GttStatus.ACTIVE
    #: INR blocked for it now
    margin: Decimal = ZERO

    @property
    def active(self) -> bool:
        """Whether a leg may still fire."""
        return self.status is GttStatus.ACTIVE

    def leg(self, side: Side) -> Leg | None:
        """The leg on one side."""
        return next((leg for leg in self.legs if leg.side is side), None)

    def ended(self, status: GttStatus, at: datetime, leg_status: LegStatus, fired: Leg | None = None) -> Gtt:
        """The GTT at its end: `fired` as it became, every other leg in `leg_status`; its margin is released."""
        legs = tuple(
            fired if fired and leg.side is fired.side else replace(leg, status=leg_status) for leg in self.legs
        )
        return replace(self, status=status, updated_at=at, legs=legs, margin=ZERO)


def parse_gtt(fields: Mapping[str, object]) -> GttRequest:
    """A GTT request from the fields of a call. Raises InvalidError naming the first wrong field."""
    pricetype = inputs.word(fields, "pricetype", PriceType, PriceType.LIMIT)
    return GttRequest(
        trigger_type=inputs.word(fields, "trigger_type", GttType, GttType.SINGLE),
        symbol=inputs.text(fields, "symbol").upper(),
        exchange=inputs.text(fields, "exchange").upper(),
        action=inputs.word(fields, "action", Action),
        quantity=inputs.quantity(fields, "quantity"),
        pricetype=pricetype,
        product=inputs.word(fields, "product", Product, Product.CNC),
        strategy=inputs.text(fields, "strategy", ""),
        **{name: inputs.number(fields, name) for name in _PRICES},
    )


_PRICES = ("triggerprice_sl", "triggerprice_tg", "price", "stoploss", "target")


def check_gtt(request: GttRequest, record: InstrumentRecord | None, calendar: Calendar, at: datetime) -> Terms:
    """Every check of a GTT at entry; gives the instrument's terms. Raises InvalidError.

    What depends on the book when a leg fires (MIS hours, cover of a CNC sell) is checked then, by the order it places.
    """
    if request.pricetype not in (PriceType.LIMIT, PriceType.MARKET):
        raise wrong("pricetype", request.pricetype, "LIMIT or MARKET for a GTT")
    shape = request.order()
    known = check_instrument(shape, record)
    terms = Terms.of(known)
    check_expiry(shape, terms, calendar, at)
    check_product(shape)
    check_quantity(shape, known)
    _check_triggers(request, known)
    _check_limits(request, known)
    return terms


def _check_triggers(request: GttRequest, record: InstrumentRecord) -> None:
    lower, upper = request.triggerprice_sl, request.triggerprice_tg
    kind = f"GTT {request.trigger_type}"
    if request.trigger_type is GttType.SINGLE:
        if bool(lower) and bool(upper):
            raise wrong("triggerprice_tg", upper, "0 where triggerprice_sl is given: a GTT SINGLE has one trigger")
        field = "triggerprice_tg" if upper else "triggerprice_sl"
        check_price(field, upper or lower, request.order(), record, needed=True, kind=kind)
        return
    check_price("triggerprice_sl", lower, request.order(), record, needed=True, kind=kind)
    check_price("triggerprice_tg", upper, request.order(), record, needed=True, kind=kind)
    if lower >= upper:
        raise wrong("triggerprice_sl", lower, f"below triggerprice_tg ({upper})")


def _check_limits(request: GttRequest, record: InstrumentRecord) -> None:
    needed = request.pricetype is PriceType.LIMIT
    fields = ["price"] if request.trigger_type is GttType.SINGLE else ["stoploss", "target"]
    for name in fields:
        kind = f"GTT {request.trigger_type} with LIMIT orders"
        check_price(name, getattr(request, name), request.order(), record, needed, kind=kind)
