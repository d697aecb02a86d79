"""python-engineio and uvicorn's WebSocket with bounds: clients that do not read are let go."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any, Final

import engineio
from engineio.async_socket import AsyncSocket
from engineio.exceptions import QueueEmpty
from engineio.payload import Payload
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from gateway import log as logs

log = logs.get(__name__)

#: packets that wait for one client at most; then it is disconnected
QUEUE_MAX: Final = 2_000
#: a client's TCP connection that takes nothing for so long is cut, s
STALLED_S: Final = 10.0
#: packets handed over at once: clients in Python refuse a long-polling answer with more
_AT_ONCE: Final = int(Payload.max_decode_packets)


class ClientSocket(AsyncSocket):  # type: ignore[misc]
    """One Engine.IO connection. The library's queue has no bound, and one `poll` empties it whole."""

    #: monotonic time, s
    born: float

    async def poll(self) -> list[Any]:
        """The next packets for the client, at most 16; waits for the first. Raises QueueEmpty after 15 s."""
        try:
            async with asyncio.timeout(self.server.ping_interval + self.server.ping_timeout):
                packets = [await self.queue.get()]
        except (TimeoutError, asyncio.CancelledError):
            raise QueueEmpty from None
        self.queue.task_done()
        if packets == [None]:
            return []
        while len(packets) < _AT_ONCE and not self.queue.empty():
            packet = self.queue.get_nowait()
            self.queue.task_done()
            if packet is None:
                self.queue.put_nowait(None)
                break
            packets.append(packet)
        return packets

    async def send(self, pkt: Any) -> None:
        """Queues a packet; a client with too many waiting is disconnected."""
        if self.queue.qsize() >= QUEUE_MAX and not self.closed:
            logs.limited(log, "slow client").warning(
                "a Socket.IO client that does not read is let go", waiting=QUEUE_MAX
            )
            await self.cut()
            return
        await super().send(pkt)

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """Closes; a long-polling request that waits is answered, the task that writes to a WebSocket ends."""
        await super().close(wait=wait, abort=abort, reason=reason)
        self.queue.put_nowait(None)

    async def cut(self) -> None:
        """Ends the connection without waiting for the client; what waited for it is thrown away."""
        while not self.queue.empty():
            self.queue.get_nowait()
            self.queue.task_done()
        await self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_ERROR)


class _Sockets(dict[str, Any]):
    """The library makes its sockets itself; here they become ours."""

    def __setitem__(self, sid: str, socket: Any) -> None:
        socket.__class__ = ClientSocket
        socket.born = time.monotonic()
        super().__setitem__(sid, socket)


class EngineServer(engineio.AsyncServer):  # type: ignore[misc]
    """An Engine.IO server of `ClientSocket`s."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.sockets = _Sockets()


class CuttingProtocol(WSProtocol):
    """uvicorn's WebSocket over wsproto; a peer that takes nothing for 10 s is cut.

    Closing in order would wait for ever for such a peer to take what is buffered.
    """

    _stalled: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """The buffer is full."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_S, self._cut)

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._let_go()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._let_go()
        super().connection_lost(exc)

    def _let_go(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _cut(self) -> None:
        with suppress(AttributeError):
            self.transport.abort()
