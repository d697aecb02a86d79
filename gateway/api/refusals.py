"""Why the API itself refuses a request, before any order is looked at; and what other errors become."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.errors import CapacityError, FeedError, GatewayError, InstrumentError, StoreError
from gateway.trade.core.errors import OrderError


class RefusedError(GatewayError):
    """A request that is answered with `status` and `{"status":"error","message":…}` (rest-api)."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        #: the recorded `rejected` order; empty where nothing was recorded
        self.orderid = ""


#: what is away, for errors whose own text is for the operator's log only
_AWAY = {
    StoreError: "the database is away; nothing was changed, try again",
    InstrumentError: "the instrument master cannot be used; the gateway's log says why",
    FeedError: "the feed or the broker is away; try again",
    CapacityError: "the gateway is at its limit; try again",
}


def refusal_of(error: Exception) -> RefusedError | None:
    """The refusal that a foreseen error becomes; None for one that nobody foresaw."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, OrderError):
        refusal = RefusedError(error.status, error.message)
        refusal.orderid = error.orderid
        return refusal
    for kind, message in _AWAY.items():
        if isinstance(error, kind):
            return RefusedError(503, message, {"Retry-After": "1"})
    return None
