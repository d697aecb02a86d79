"""What an order blocks. A margin model is a plug-in; the leverage model is the first."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Protocol

from gateway.trade.core.errors import NoPriceError
from gateway.trade.core.money import ZERO, exact, quotient
from gateway.trade.core.orders import Action, Kind, OrderRequest, PriceType, Product, Terms


class Exposure(NamedTuple):
    """A trade that needs margin: what, which way, how much (units of the instrument), at which price (INR)."""

    exchange: str
    symbol: str
    product: Product
    action: Action
    quantity: Decimal
    price: Decimal
    terms: Terms


class MarginModel(Protocol):
    """Says how much money a trade blocks. It must be deterministic and never negative."""

    def required(self, exposure: Exposure) -> Decimal:
        """The margin in INR; a finite decimal with at most 18 places."""


@dataclass(frozen=True)
class LeverageModel:
    """Margin = price × quantity × contract value ÷ leverage (sandbox, "Funds"). Leverages are above 0."""

    equity_mis: Decimal = Decimal(5)
    #: CNC, and NRML of what is no derivative (crypto spot)
    equity_cnc: Decimal = Decimal(1)
    futures: Decimal = Decimal(10)
    option_buy: Decimal = Decimal(1)
    option_sell: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        for name in ("equity_mis", "equity_cnc", "futures", "option_buy", "option_sell"):
            value = getattr(self, name)
            if not isinstance(value, Decimal) or not value.is_finite() or value <= 0:
                raise ValueError(f"leverage {name} is {value}; it must be a Decimal above 0")

    @exact
    def required(self, exposure: Exposure) -> Decimal:
        """The margin in INR."""
        value = exposure.price * exposure.quantity * exposure.terms.contract_value
        return quotient(value, self.leverage(exposure)) if value > 0 else ZERO

    def leverage(self, exposure: Exposure) -> Decimal:
        """By how much the value is divided."""
        kind = exposure.terms.kind
        if kind is Kind.FUTURE:
            return self.futures
        if kind is Kind.OPTION:
            return self.option_buy if exposure.action is Action.BUY else self.option_sell
        return self.equity_mis if exposure.product is Product.MIS else self.equity_cnc


def basis(request: OrderRequest, ltp: Decimal | None) -> Decimal:
    """The price margin is reckoned at: LTP for MARKET, the limit for LIMIT, the trigger for SL and SL-M.

    Raises NoPriceError for a MARKET order without an LTP.
    """
    if request.pricetype is PriceType.LIMIT:
        return request.price
    if request.pricetype.has_trigger:
        return request.trigger_price
    if ltp is None or ltp <= 0:
        raise NoPriceError(f"no fresh price of {request.symbol} on {request.exchange} is known", "symbol")
    return ltp


def exposure_of(request: OrderRequest, terms: Terms, quantity: Decimal, price: Decimal) -> Exposure:
    """What `quantity` of a request exposes at `price`."""
    return Exposure(request.exchange, request.symbol, request.product, request.action, quantity, price, terms)


def reducible(action: Action, position: Decimal, holdings: Decimal, reserved: Decimal = ZERO) -> Decimal:
    """How much an `action` can trade while it only reduces.

    `position` and `holdings` are signed quantities (holdings 0 but for CNC); a sell also covers itself from holdings.
    `reserved` is what resting orders of the same side already count on.
    """
    free = -position if action is Action.BUY else position + holdings
    return max(ZERO, max(ZERO, free) - reserved)
