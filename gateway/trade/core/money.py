"""Exact arithmetic: sums and products never round; quotients are rounded once, to 18 decimals.

Everything a command adds up is a finite decimal, so `available + used = capital + realised` holds to the last digit.
The context traps rounding: an inexact sum is an error here, not a surprise in the books.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

ZERO, ONE = Decimal(0), Decimal(1)
_SCALE = Decimal(1).scaleb(-18)
_TRAPS = [decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]
#: quantities and prices have at most 9 digits before and 8 after the point: products and sums fit by far
EXACT = decimal.Context(prec=120, traps=[*_TRAPS, decimal.Inexact])
_ROUNDED = decimal.Context(prec=120, rounding=decimal.ROUND_HALF_EVEN, traps=_TRAPS)

#: bounds of what a request may name: prices (INR) and quantities below 10^9, with at most 8 decimals
LIMIT = Decimal(10**9)
DECIMALS = 8


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Runs a function in the exact context, whatever context its thread has."""

    @wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with decimal.localcontext(EXACT):
            return function(*args, **kwargs)

    return inside


def quotient(value: Decimal, by: Decimal) -> Decimal:
    """`value / by`, rounded half-even to 18 decimals, without trailing zeros."""
    return tidy(_ROUNDED.quantize(_ROUNDED.divide(value, by), _SCALE))


def share(total: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """`total × part / whole`; exactly `total` where part is the whole, so nothing stays behind."""
    return total if part == whole else quotient(_ROUNDED.multiply(total, part), whole)


def tidy(value: Decimal) -> Decimal:
    """The same number without trailing zeros after the point (whole numbers keep theirs before it)."""
    if value == value.to_integral_value():
        return value.quantize(ONE, context=_ROUNDED) if value else ZERO
    return value.normalize(_ROUNDED)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether `value` is a whole number of steps; every value is one of step 0 (unknown)."""
    return not step or not _ROUNDED.remainder(value, step)


def text(value: Decimal, places: int = 2) -> str:
    """An amount as messages show it, rounded half-even to `places` decimals."""
    return f"{_ROUNDED.quantize(value, Decimal(1).scaleb(-places)):f}"
