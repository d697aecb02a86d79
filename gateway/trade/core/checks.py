"""The checks at entry (sandbox): one per rule, one message each. They hold for modify as for place."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from gateway.instruments.record import InstrumentRecord, plain
from gateway.trade.core.calendar import IST, Calendar
from gateway.trade.core.errors import InvalidError, wrong
from gateway.trade.core.inputs import bounded
from gateway.trade.core.money import DECIMALS, LIMIT, ZERO, is_multiple
from gateway.trade.core.orders import OrderRequest, Product, Terms

#: where orders can be placed; the index exchanges are for quotes only
TRADABLE = ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCDEX", "NCO", "CRYPTO")
#: F&O, currency and commodity trade in lots
IN_LOTS = frozenset({"NFO", "BFO", "CDS", "BCD", "MCX", "NCDEX", "NCO"})
#: the cash exchanges: CNC is only there, and NRML is not
CASH = frozenset({"NSE", "BSE"})


def check_request(request: OrderRequest, record: InstrumentRecord | None, calendar: Calendar, at: datetime) -> Terms:
    """Everything that can be said of a request alone; gives the instrument's terms. Raises InvalidError."""
    known = check_instrument(request, record)
    terms = Terms.of(known)
    check_expiry(request, terms, calendar, at)
    check_product(request)
    check_quantity(request, known)
    check_price("price", request.price, request, known, needed=request.pricetype.has_price)
    check_price("trigger_price", request.trigger_price, request, known, needed=request.pricetype.has_trigger)
    return terms


def check_instrument(request: OrderRequest, record: InstrumentRecord | None) -> InstrumentRecord:
    """The instrument is known and can be traded."""
    if request.exchange not in TRADABLE:
        raise wrong("exchange", request.exchange, "one of " + ", ".join(TRADABLE))
    if record is None or (record.exchange, record.symbol) != (request.exchange, request.symbol):
        raise wrong("symbol", request.symbol, f"a symbol of the instrument master of {request.exchange}")
    return record


def check_expiry(request: OrderRequest, terms: Terms, calendar: Calendar, at: datetime) -> None:
    """The contract has not expired."""
    if terms.expiry is not None and at >= calendar.expires(request.exchange, terms.expiry):
        raise wrong("symbol", request.symbol, f"a contract that has not expired (it did on {terms.expiry:%d-%b-%Y})")


def check_product(request: OrderRequest) -> None:
    """CNC only on NSE and BSE, and NRML not there."""
    cash = request.exchange in CASH
    if request.product is Product.CNC and not cash:
        raise wrong("product", "CNC", f"MIS or NRML on {request.exchange} (CNC is for NSE and BSE)")
    if request.product is Product.NRML and cash:
        raise wrong("product", "NRML", f"MIS or CNC on {request.exchange} (NRML is for derivatives)")


def check_quantity(request: OrderRequest, record: InstrumentRecord) -> None:
    """The quantity is positive, whole outside CRYPTO, and a multiple of the lot where lots are traded."""
    quantity = request.quantity
    if not bounded(quantity) or quantity <= 0:
        raise wrong("quantity", quantity, f"above 0 and below {LIMIT}, with at most {DECIMALS} decimals")
    if request.exchange != "CRYPTO" and not is_multiple(quantity, Decimal(1)):
        raise wrong("quantity", quantity, f"a whole number on {request.exchange} (fractions are for CRYPTO)")
    if request.exchange in IN_LOTS and not is_multiple(quantity, Decimal(record.lotsize)):
        raise wrong("quantity", quantity, f"a multiple of the lot size {record.lotsize} of {request.symbol}")
    disclosed = request.disclosed_quantity
    if not bounded(disclosed) or not 0 <= disclosed <= quantity:
        raise wrong("disclosed_quantity", disclosed, f"from 0 to the quantity {quantity}")


def check_price(
    field: str, price: Decimal, request: OrderRequest, record: InstrumentRecord, needed: bool, kind: str = ""
) -> None:
    """A price is there where the price type needs it, and lies on the tick size."""
    if not needed:
        return
    kind = kind or f"{request.pricetype} orders"
    if not bounded(price) or price < 0:
        raise wrong(field, price, f"above 0 and below {LIMIT}, with at most {DECIMALS} decimals")
    if price == 0:
        raise wrong(field, price, f"above 0 for {kind}")
    if not is_multiple(price, record.tick_size):
        raise wrong(field, price, f"a multiple of the tick size {plain(record.tick_size)} of {request.symbol}")


def check_session(request: OrderRequest, excess: Decimal, calendar: Calendar, at: datetime) -> None:
    """MIS outside its hours only reduces a position (`excess` is what it would open)."""
    if request.product is Product.MIS and excess > 0 and not calendar.mis_open(request.exchange, at):
        may = f"another product at {at.astimezone(IST):%a %H:%M} IST, or an order that only reduces a position"
        raise wrong("product", "MIS", f"{may} (MIS on {request.exchange}: {calendar.mis_hours(request.exchange)})")


def cover_problem(
    request: OrderRequest, position: Decimal, holdings: Decimal, reserved: Decimal
) -> InvalidError | None:
    """Why a CNC sell is above what position plus holdings cover, pending sells counted; None where it is not."""
    free = position + holdings - reserved
    if request.quantity <= free:
        return None
    held = f"position {plain(position)}, holdings {plain(holdings)}, pending sells {plain(reserved)}"
    return wrong("quantity", request.quantity, f"at most {plain(max(ZERO, free))} for a CNC sell ({held})")
