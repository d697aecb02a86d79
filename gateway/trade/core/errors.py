"""Why an order command is refused: one class per kind, with its HTTP status (rest-api) and the field at fault."""

from __future__ import annotations

from decimal import Decimal

from gateway.errors import GatewayError


class OrderError(GatewayError):
    """An order command that changes nothing, or, with an `orderid`, only recorded a rejected order."""

    status = 400

    def __init__(self, message: str, field: str = "", orderid: str = "") -> None:
        super().__init__(message)
        self.message = message
        #: the request field that is wrong; empty where no single one is
        self.field = field
        #: the recorded `rejected` order; empty where nothing was recorded
        self.orderid = orderid


class InvalidError(OrderError):
    """A field is missing or wrong; the message names it, what it was and what it may be."""


class FundsError(OrderError):
    """The margin needed is more than what is available; both in INR."""


class UnknownOrderError(OrderError):
    """There is no such order, trigger or symbol."""

    status = 404


class TerminalOrderError(OrderError):
    """The order or trigger is complete, cancelled or rejected already."""

    status = 409


class NoPriceError(OrderError):
    """No fresh price is known where one is needed."""

    status = 503


def wrong(field: str, value: object, may: str) -> InvalidError:
    """The message every check of a field has: the field, what it was, what it may be."""
    return InvalidError(f"{field} is {_shown(value)}; it must be {may}", field)


def _shown(value: object) -> str:
    if value is None or value == "":
        return "missing"
    # an int of a million digits must not be written out (and Python refuses to)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        return "a number of more than 40 digits"
    try:
        text = str(value) if isinstance(value, Decimal) else repr(str(value) if isinstance(value, str) else value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."
