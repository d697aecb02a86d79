"""The one tree of errors that the gateway raises on purpose. Data rides on the error, not in its text."""

from __future__ import annotations


class GatewayError(Exception):
    """Base of all errors that the gateway raises on purpose."""


class SettingsError(GatewayError):
    """A setting is wrong; `problems` holds one line each: the variable, what it holds, what it may hold."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StartError(GatewayError):
    """A process cannot start: a lock is held, a port is taken. The text says what to do."""


class StoreError(GatewayError):
    """The database cannot be reached or is not at the schema this version needs."""


class InstrumentError(GatewayError):
    """An instrument master row or file cannot be used."""


class FeedError(GatewayError):
    """A broker feed failed in a way that a retry may mend."""


class TokenRefusedError(FeedError):
    """The broker refused the access token: retrying is useless until a new one is there."""


class CapacityError(GatewayError):
    """A bound was reached; `limit` says which number."""

    def __init__(self, message: str, limit: int) -> None:
        super().__init__(message)
        self.limit = limit
