"""Looks after connections: grace period, pings, readers that stay too slow, closes that nobody answers.

One timer serves all. Each turn visits a slice of the connections, so that ten thousand of them cost a
fraction of a millisecond at a time, and each is seen about once a second.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from gateway import closes
from gateway.stream.connection import Connection
from gateway.stream.hub import Hub

#: Turns per second; each connection is seen once in as many turns.
_TURNS: Final = 20
#: How long a peer may take to answer our close frame, ns.
_GOODBYE_NS: Final = 1_000_000_000
#: A slow one finds its close frame behind everything that still waits for it.
_SLOW_GOODBYE_NS: Final = 5_000_000_000
_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the sweep waits, ns."""

    auth_ns: int = 15 * _S
    ping_interval_ns: int = 20 * _S
    ping_timeout_ns: int = 20 * _S
    slow_ns: int = 10 * _S


class Sweep:
    """The timer and the order in which connections are visited."""

    def __init__(self, hub: Hub, patience: Patience) -> None:
        self.hub = hub
        self.patience = patience
        self._round: deque[Connection] = deque()
        self._slice = 1
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begins; once per second every connection is looked at."""
        self._handle = asyncio.get_running_loop().call_later(1 / _TURNS, self._turn)

    def stop(self) -> None:
        """Ends the timer."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _turn(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(1 / _TURNS, self._turn)
        if not self._round:
            self._round.extend(self.hub.connections.values())
            self._slice = len(self._round) // _TURNS + 1
        now = time.monotonic_ns()
        for _ in range(min(len(self._round), self._slice)):
            self.visit(self._round.popleft(), now)

    def visit(self, connection: Connection, now_ns: int) -> None:
        """Does for one connection what time demands."""
        listener, patience = connection.listener, self.patience
        if listener is None:
            return
        if connection.closing is not None:
            patient = _SLOW_GOODBYE_NS if connection.closing is closes.SLOW_READER else _GOODBYE_NS
            if now_ns - connection.closing_ns > patient:
                listener.disconnect(False)
        elif connection.reader < 0 and now_ns - connection.opened_ns > patience.auth_ns:
            self.hub.perform(connection, connection.session.auth_expired())
        elif connection.paused_ns:
            # Its pings wait behind the data that it does not read: only time over the mark counts.
            if now_ns - connection.paused_ns > patience.slow_ns:
                self.hub.end(connection, closes.SLOW_READER)
        elif connection.unanswered and listener.last_seen_ns < connection.pinged_ns:
            if now_ns - connection.pinged_ns > patience.ping_timeout_ns:
                self.hub.end(connection, closes.PING_TIMEOUT)
        elif now_ns - connection.pinged_ns >= patience.ping_interval_ns:
            connection.unanswered = True
            connection.pinged_ns = now_ns
            listener.ping()
