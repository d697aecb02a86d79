"""One WebSocket connection: the session, the listener and what the hub keeps about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from gateway.closes import Close
from gateway.log import limited
from gateway.stream.protocol import error
from gateway.stream.session import Phase, Session

if TYPE_CHECKING:
    from gateway._fastpath.fanout import Listener
    from gateway.stream.hub import Hub

log = structlog.get_logger(__name__)


class Connection:
    """Handler of a `Listener`: forwards its events to the session and the hub."""

    __slots__ = (
        "address",
        "closing",
        "closing_ns",
        "feed_status",
        "hub",
        "listener",
        "number",
        "opened_ns",
        "orders",
        "paused_ns",
        "pinged_ns",
        "reader",
        "session",
        "unanswered",
    )

    def __init__(self, hub: Hub, number: int, address: str) -> None:
        self.hub = hub
        self.number = number
        self.address = address
        self.session = Session(hub.rules)
        self.listener: Listener | None = None
        #: the engine's number; -1 before authentication and after the end
        self.reader = -1
        self.orders = False
        self.feed_status = False
        self.closing: Close | None = None
        self.closing_ns = 0
        #: since when it is over its high-water mark; 0 while it is not
        self.paused_ns = 0
        #: when the last ping was sent, or the connection opened
        self.pinged_ns = 0
        #: a ping was sent; any frame after it is the answer
        self.unanswered = False
        self.opened_ns = time.monotonic_ns()

    @property
    def user_id(self) -> str:
        """Whose connection it is; empty before authentication."""
        return self.session.user.user_id if self.session.user else ""

    @property
    def ready(self) -> bool:
        """True for an authenticated connection that is not ending."""
        return self.session.phase is Phase.READY and self.reader >= 0

    def on_open(self, listener: Listener) -> None:
        self.listener = listener
        self.pinged_ns = time.monotonic_ns()
        self.hub.opened(self)

    def on_message(self, payload: bytes) -> None:
        try:
            self.hub.perform(self, self.session.on_message(payload, time.monotonic_ns()))
        except Exception:
            # A fault of ours costs this request its answer, not the client its connection.
            limited(log, "request failed").exception("a request failed", connection=self.number)
            self.hub.send(self, error("SERVER_ERROR", "the gateway could not do this; its log says why"))

    def on_oversize(self) -> None:
        self.hub.perform(self, self.session.oversize())

    def on_close_frame(self, code: int) -> None:
        self.hub.left(self)

    def on_pause(self) -> None:
        self.paused_ns = time.monotonic_ns()
        self.hub.paused(self)

    def on_resume(self) -> None:
        self.paused_ns = 0
        # A ping that waited behind the data is due from now on.
        self.pinged_ns = time.monotonic_ns()
        self.hub.resumed(self)

    def on_lost(self) -> None:
        self.session.phase = Phase.ENDED
        self.hub.lost(self)
