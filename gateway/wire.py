"""JSON as it leaves the gateway: exact decimals, digit by digit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import orjson


def encode(value: object, option: int = 0) -> bytes:
    """JSON in which a Decimal is the number it is, digit by digit; one that is not finite is null."""
    return orjson.dumps(value, default=_other, option=orjson.OPT_NON_STR_KEYS | option)


def _other(value: object) -> object:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}") if value.is_finite() else None
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, Sequence | set | frozenset):
        return list(value)
    raise TypeError(f"a {type(value).__name__} has no form in JSON")
