"""The WebSocket server: listening socket, upgrades, health pages, TLS, orderly shutdown. Thin around the hub."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import resource
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiofastnet import create_server
from picows import (
    WSAutoPingStrategy,
    WSListener,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in picows' stub

from gateway._fastpath.fanout import Listener
from gateway.closes import Close
from gateway.errors import StartError
from gateway.log import limited
from gateway.stream.connection import Connection
from gateway.stream.hub import Hub

log = structlog.get_logger(__name__)

#: Read buffer per connection at first, bytes: requests are short, ten thousand readers are many.
_READ_BUFFER: Final = 2048
_BACKLOG: Final = 4096

_HANDSHAKE_S: Final = 5.0
#: How long a peer may take to end TLS in order, s.
_TLS_GOODBYE_S: Final = 1.0
#: Open files that are not readers: database, bus, feeds, connections that have not asked for anything yet.
_OTHER_FILES: Final = 512

#: Answers a plain HTTP GET of a path, told whether the peer is on this machine: `(status, content type, body)`,
#: or None for "no such page".
Page = Callable[[str, bool], "tuple[int, str, bytes] | None"]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Where and how to listen. Sizes in bytes."""

    host: str
    port: int
    send_buffer: int = 131_072
    high_water: int = 262_144
    max_frame: int = 65_536
    max_connections: int = 20_000
    tls_cert: str = ""
    tls_key: str = ""


def tls_context(config: ServerConfig) -> ssl.SSLContext | None:
    """The TLS context of the settings, or None for plain TCP. Raises StartError."""
    if not config.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without the third argument OpenSSL would ask the terminal for the password of an encrypted key.
        context.load_cert_chain(config.tls_cert, config.tls_key or None, lambda: "")
    except (OSError, ssl.SSLError) as error:
        names = f"WS_TLS_CERT {config.tls_cert!r}, WS_TLS_KEY {config.tls_key!r}"
        raise StartError(f"{names}: cannot be loaded: {error}") from error
    return context


class _ListeningSocket(socket.socket):
    """Where accept() fails for want of open files, aiofastnet asks the socket, not the loop, to be left alone."""

    def remove_reader(self, descriptor: int) -> None:
        """Stops accepting for a while; aiofastnet begins again after a second."""
        asyncio.get_running_loop().remove_reader(descriptor)


class _PicowsLog:
    """What picows logs of connections, at a bounded rate: a peer that sends rubbish must not fill the disk.

    No `logging.Logger`: of one, picows would make a child per connection.
    """

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        """False: nothing below a warning is written."""
        return False

    def log(self, level: int, text: str, *values: object) -> None:
        """Writes nothing: handshakes, pings, disconnects."""

    def info(self, text: str, *values: object) -> None:
        """Writes nothing."""

    debug = info

    def error(self, text: str, *values: object) -> None:
        """A peer broke the protocol, or a callback of ours failed."""
        limited(log, "picows").warning("connection dropped", reason=text % values if values else text)

    warning = error

    def exception(self, text: str, *values: object) -> None:
        """A callback of ours raised."""
        limited(log, "picows exception").exception(text % values if values else text)


_PICOWS_LOG: Final = _PicowsLog()


def listening_socket(host: str, port: int, send_buffer: int) -> socket.socket:
    """A bound socket whose accepted connections inherit the send buffer. Raises StartError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = _ListeningSocket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Larger kernel buffers would hold seconds of old prices for a slow reader.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        reason = error.strerror or error
        raise StartError(f"WEBSOCKET_HOST, WEBSOCKET_PORT: cannot listen on {host}:{port}: {reason}") from error
    return sock


class StreamServer:
    """Accepts readers and hands them to the hub."""

    def __init__(self, hub: Hub, config: ServerConfig, page: Page) -> None:
        self.hub = hub
        self.config = config
        self._page = page
        self._numbers = itertools.count(1)
        self._server: asyncio.Server | None = None
        self._context: ssl.SSLContext | None = None
        self._stopping = False
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._room = max(1, files - _OTHER_FILES)

    async def start(self, sock: socket.socket) -> None:
        """Listens on a socket made by `listening_socket`."""
        self._context = tls_context(self.config)
        extra: dict[str, Any] = {}
        if self._context:
            extra = {
                "ssl": self._context,
                "ssl_handshake_timeout": _HANDSHAKE_S,
                "ssl_shutdown_timeout": _TLS_GOODBYE_S,
            }
        loop = asyncio.get_running_loop()
        self._server = await create_server(loop, self._protocol, sock=sock, backlog=_BACKLOG, **extra)

    def _protocol(self) -> Any:
        """A protocol as `picows.ws_create_server` makes it, but with the peer's address known at the upgrade."""
        made: list[Any] = []

        def upgrade(request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
            # picows shows the text of an exception to the client, so none may leave here.
            try:
                peer = made[0].transport.underlying_transport.get_extra_info("peername")
                return self._answer(request, str(peer[0]) if isinstance(peer, tuple) and peer else "local")
            except Exception:
                log.exception("upgrade failed")
                return _plain(500, "text/plain", b"server error\n")

        made.append(
            WSProtocol(
                None,
                None,
                False,
                upgrade,
                _PICOWS_LOG,
                True,
                _HANDSHAKE_S,
                False,
                0.0,
                0.0,
                WSAutoPingStrategy.PING_WHEN_IDLE,
                False,
                self.config.max_frame,
                None,
                _READ_BUFFER,
            )
        )
        return made[0]

    @property
    def url(self) -> str:
        """The address to connect to, with the port really bound."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{'wss' if self._context else 'ws'}://{f'[{host}]' if ':' in host else host}:{port}"

    def reload_tls(self) -> None:
        """Reads the certificate files again; new connections use them. Raises StartError and keeps the old ones."""
        if self._context is not None and tls_context(self.config) is not None:
            self._context.load_cert_chain(self.config.tls_cert, self.config.tls_key or None, lambda: "")

    async def stop(self, close: Close, within_s: float) -> None:
        """Stops accepting, says goodbye to everyone, and cuts who has not left in time."""
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.hub.connections.values()):
            self.hub.end(connection, close)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while self.hub.connections and loop.time() < deadline:  # noqa: ASYNC110  # bounded, at shutdown only
            await asyncio.sleep(0.01)
        for connection in list(self.hub.connections.values()):
            if connection.listener is not None:
                connection.listener.disconnect(False)
        await asyncio.sleep(0)

    def _answer(self, request: WSUpgradeRequest, address: str) -> WSListener | WSUpgradeResponseWithListener:
        if request.headers.get("upgrade", "").lower() != "websocket":
            path = request.path.decode("latin-1").partition("?")[0]
            return _plain(*(self._page(path, is_loopback(address)) or (404, "text/plain", b"no such page\n")))
        if self._stopping:
            return _plain(503, "text/plain", b"shutting down\n")
        if len(self.hub.connections) >= min(self.config.max_connections, self._room):
            return _plain(503, "text/plain", b"too many connections\n")
        tokens = [word.strip().lower() for word in request.headers.get("connection", "").split(",")]
        if "upgrade" in tokens:
            # Firefox sends `keep-alive, Upgrade`, which picows does not take apart.
            request.headers["connection"] = "Upgrade"
        return _GatewayListener(Connection(self.hub, next(self._numbers), address), self.config)


class _GatewayListener(Listener):
    """A listener that sets the buffer limits once it is connected."""

    def __init__(self, connection: Connection, config: ServerConfig) -> None:
        super().__init__(connection, config.max_frame)
        self._high_water = config.high_water

    def on_ws_connected(self, transport: Any) -> None:
        under = transport.underlying_transport
        # uvloop's own low-water mark is 16 bytes: a reader would be called drained only when it is empty.
        under.set_write_buffer_limits(high=self._high_water, low=self._high_water // 4)
        super().on_ws_connected(transport)


def is_loopback(address: str) -> bool:
    """True for addresses of this machine."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address == "local"
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def _plain(status: int, content_type: str, body: bytes) -> WSUpgradeResponseWithListener:
    headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
    if status == 200:
        response = WSUpgradeResponse.create_ok_response(body, headers)
    else:
        response = WSUpgradeResponse.create_error_response(status, body, headers)
    return WSUpgradeResponseWithListener(response, None)
