"""Order and position updates on their way to the market process: a PUB socket on the tick bus (zmq-bus)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import orjson
import structlog
import zmq

from gateway.log import limited

log = structlog.get_logger(__name__)

#: messages that wait while the market process is away or busy; beyond that they are dropped and counted: clients ask
#: for what they missed by `seq`
SEND_MARK: Final = 100_000
_LINGER_MS: Final = 1000


class UpdatePublisher:
    """Publishes on topic `MODE_USERID_orders`. Never blocks, never raises."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, server_key: bytes | None) -> None:
        self._sock = context.socket(zmq.PUB)
        if server_key is not None:
            self._sock.curve_serverkey = server_key
            self._sock.curve_publickey, self._sock.curve_secretkey = zmq.curve_keypair()
        self._sock.linger = _LINGER_MS
        self._sock.sndhwm = SEND_MARK
        self._sock.setsockopt(zmq.RECONNECT_IVL, 50)
        self._sock.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        self._monitor = self._sock.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        self._sock.connect(endpoint)
        self.sent = 0
        self.dropped = 0

    async def ready(self, wait_s: float) -> bool:
        """Waits until the market process has taken the connection; what is sent before reaches nobody."""
        deadline = asyncio.get_running_loop().time() + wait_s
        while asyncio.get_running_loop().time() < deadline:
            try:
                self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                await asyncio.sleep(0.01)
            else:
                # its subscription follows the handshake
                await asyncio.sleep(0.02)
                return True
        return False

    def publish(self, user_id: str, payload: bytes, mode: str = "ANALYZE") -> None:
        """See Updates."""
        try:
            self._sock.send_multipart([f"{mode}_{user_id}_orders".encode(), payload], zmq.NOBLOCK)
            self.sent += 1
        except zmq.ZMQError as error:
            self.dropped += 1
            limited(log, "updates").error("an order update was not published", reason=error.strerror)

    def reply(self, user_id: str, payloads: Sequence[bytes], connection: int) -> None:
        """Sends missed updates to one connection of the market process."""
        for payload in payloads:
            self.publish(user_id, orjson.dumps({**orjson.loads(payload), "conn": connection}))

    def stop(self) -> None:
        """Closes the socket; what waits has a second to leave."""
        self._sock.disable_monitor()
        self._monitor.close()
        self._sock.close()
