"""Checks of the settings of order events."""

from __future__ import annotations

import re

from pydantic import SecretStr

TRANSPORTS = ("polling", "websocket")
_REDIS = re.compile(r"(rediss?|unix)://\S+")


def transports(value: object) -> object:
    """A comma list of `polling` and `websocket`."""
    if not isinstance(value, str):
        return value
    found = tuple(dict.fromkeys(part.strip().lower() for part in value.split(",") if part.strip()))
    if not found or not set(found) <= set(TRANSPORTS):
        raise ValueError("no transports")
    return found


def redis_url(value: SecretStr) -> SecretStr:
    """A URL that Redis' client takes, or nothing."""
    if value.get_secret_value() and not _REDIS.fullmatch(value.get_secret_value()):
        raise ValueError("no URL of Redis")
    return value
