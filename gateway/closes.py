"""Close codes of the WebSocket as data: what each means and whether reconnecting helps."""

from __future__ import annotations

from typing import NamedTuple


class Close(NamedTuple):
    """One way a connection ends. `reason` goes out in the close frame and labels the metric."""

    code: int
    reason: str
    #: may the same client expect better luck when it connects again at once?
    reconnect: bool


NORMAL = Close(1000, "bye", True)
GOING_AWAY = Close(1001, "server shutting down", True)
PROTOCOL_ERROR = Close(1002, "broken WebSocket framing", False)
#: never sent: the socket ended without a close frame
LOST = Close(1006, "connection lost", True)
TOO_BIG = Close(1009, "frame too big", False)
SERVER_ERROR = Close(1011, "server error", True)
SERVICE_RESTART = Close(1012, "server restarting", True)
TRY_LATER = Close(1013, "too many connections", True)
AUTH_TIMEOUT = Close(4401, "authentication timeout", True)
KEY_REVOKED = Close(4403, "api key revoked", False)
AUTH_FAILED = Close(4403, "repeated failed authentication", False)
SLOW_READER = Close(4408, "reader too slow", True)
PING_TIMEOUT = Close(4409, "no answer to ping", True)

ALL: tuple[Close, ...] = (
    NORMAL,
    GOING_AWAY,
    PROTOCOL_ERROR,
    LOST,
    TOO_BIG,
    SERVER_ERROR,
    SERVICE_RESTART,
    TRY_LATER,
    AUTH_TIMEOUT,
    KEY_REVOKED,
    AUTH_FAILED,
    SLOW_READER,
    PING_TIMEOUT,
)
