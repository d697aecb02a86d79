"""How uvicorn runs the API: its socket and its bounds."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from gateway.errors import StartError


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound TCP socket (port 0: any free one) for `uvicorn.Server.serve(sockets=[…])`. Raises StartError.

    Its connections send at once. asyncio sets that only where the protocol number is given, and without it each
    answer, written as head and body, waits 40 ms for the client's delayed acknowledgement.
    """
    made = None
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, socket.IPPROTO_TCP)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.bind(address)
        made.listen(1024)
        made.setblocking(False)
    except OSError as error:
        if made is not None:
            made.close()
        raise StartError(f"API_HOST, API_PORT: cannot listen on {host}:{port}: {error.strerror or error}") from None
    return made


def server_config(app: Any, websocket: Any = "none") -> uvicorn.Config:
    """uvicorn's settings: no access log of its own (it would write the keys in queries), bounded connections.

    `app` is any ASGI application, `websocket` the protocol class for WebSocket, without pings of its own and without
    compression (it costs more than it saves for short messages). h11 bounds the size of headers, httptools does not.
    """
    return uvicorn.Config(
        app,
        http="h11",
        ws=websocket,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        ws_max_size=65_536,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=4096,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=65_536,
    )


class ApiServer(uvicorn.Server):
    """The server as a part of a process that handles its signals itself: `start`, then `stop`."""

    _serving: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to the process."""
        yield

    async def start(self, sock: socket.socket) -> str:
        """Answers on a socket made by `listening_socket`; returns the URL once it does. Raises StartError."""
        self._serving = asyncio.create_task(self.serve(sockets=[sock]))
        while not self.started:
            if self._serving.done():
                raise StartError("the REST API did not start; the log says why") from self._serving.exception()
            await asyncio.sleep(0.005)
        host, port = sock.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self) -> None:
        """Answers what is under way for at most 2 s, then ends."""
        self.should_exit = True
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)
