"""Untrusted fields into values: numbers as text, words in any case, everything else refused by name."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from gateway.trade.core.errors import wrong
from gateway.trade.core.money import DECIMALS, LIMIT, ZERO
from gateway.trade.core.orders import Action, OrderRequest, PriceType, Product

Word = TypeVar("Word", bound=StrEnum)
_NUMBER = f"a number from 0 to below {LIMIT} with at most {DECIMALS} decimals"
_SPELLINGS = {"SLM": "SL-M", "SL_M": "SL-M", "SL-L": "SL"}


def parse_order(fields: Mapping[str, object]) -> OrderRequest:
    """An order request from the fields of a call (rest-api). Raises InvalidError naming the first wrong field."""
    return OrderRequest(
        symbol=text(fields, "symbol").upper(),
        exchange=text(fields, "exchange").upper(),
        action=word(fields, "action", Action),
        quantity=quantity(fields, "quantity"),
        pricetype=word(fields, "pricetype", PriceType, PriceType.MARKET),
        product=word(fields, "product", Product, Product.MIS),
        price=number(fields, "price"),
        trigger_price=number(fields, "trigger_price"),
        disclosed_quantity=number(fields, "disclosed_quantity"),
        strategy=text(fields, "strategy", ""),
    ).normalised()


def text(fields: Mapping[str, object], name: str, default: str | None = None, longest: int = 64) -> str:
    """A text without control characters; `default` where it is missing. Raises InvalidError."""
    value = fields.get(name)
    if (value is None or value == "") and default is not None:
        return default
    stripped = value.strip() if isinstance(value, str) else ""
    if not stripped or len(stripped) > longest or not stripped.isprintable():
        raise wrong(name, value, f"a text of 1 to {longest} printable characters")
    return stripped


def word(fields: Mapping[str, object], name: str, kind: type[Word], default: Word | None = None) -> Word:
    """One word of a list, in any case; `default` where it is missing. Raises InvalidError."""
    value = fields.get(name)
    if (value is None or value == "") and default is not None:
        return default
    if isinstance(value, str) and len(value) <= 20:
        spelled = value.strip().upper()
        try:
            return kind(_SPELLINGS.get(spelled, spelled))
        except ValueError:
            pass
    raise wrong(name, value, "one of " + ", ".join(kind))


def number(fields: Mapping[str, object], name: str) -> Decimal:
    """A bounded number from 0; missing is 0. Raises InvalidError."""
    value = fields.get(name)
    if value is None or value == "":
        return ZERO
    parsed = to_decimal(value)
    if parsed is None or not bounded(parsed) or parsed < 0:
        raise wrong(name, value, _NUMBER)
    return parsed


def quantity(fields: Mapping[str, object], name: str) -> Decimal:
    """A bounded number above 0. Raises InvalidError."""
    value = number(fields, name)
    if value <= 0:
        raise wrong(name, fields.get(name), f"a number above 0 and below {LIMIT}")
    return value


def signed(fields: Mapping[str, object], name: str) -> Decimal:
    """A bounded number of either sign that must be there. Raises InvalidError."""
    value = fields.get(name)
    parsed = to_decimal(value)
    if parsed is None or not bounded(parsed):
        raise wrong(name, value, f"a number between -{LIMIT} and {LIMIT} with at most {DECIMALS} decimals")
    return parsed


def to_decimal(value: object) -> Decimal | None:
    """The decimal that a JSON number or a text means; None for anything else and for NaN and infinities."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    if isinstance(value, int) and abs(value) >= 10**40:
        return None
    # 0.1 as text is 0.1; the binary float itself is 0.1000000000000000055…
    literal = value.strip() if isinstance(value, str) else str(value)
    if len(literal) > 60 or "_" in literal or not literal.isascii():
        return None
    try:
        parsed = Decimal(literal)
    except decimal.InvalidOperation:
        return None
    if not parsed.is_finite() or abs(parsed.adjusted()) > 40:
        return None
    return parsed if parsed else ZERO


def bounded(value: Decimal) -> bool:
    """Whether a number is small and short enough for exact arithmetic at fixed scale."""
    if not value.is_finite() or abs(value) >= LIMIT:
        return False
    digits = value.as_tuple()
    assert isinstance(digits.exponent, int)
    trailing = len(digits.digits) - len("".join(map(str, digits.digits)).rstrip("0"))
    return -(digits.exponent + trailing) <= DECIMALS
