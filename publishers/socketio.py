"""The Socket.IO publisher: each user a room, missed events replayed (order-events, "Socket.IO")."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, Final, Protocol

import orjson
import socketio

from gateway import log as logs
from gateway.errors import CapacityError, StoreError
from gateway.model import User
from publishers.base import Event, EventPublisher, PoisonError, TransportDownError
from publishers.sio_doors import Doors, Visit, place_key
from publishers.sio_engine import QUEUE_MAX, ClientSocket, EngineServer
from publishers.sio_manager import NAMESPACE, Held, History, HoldingManager, SharedManager

log = logs.get(__name__)

PATH: Final = "/socket.io"
PING_INTERVAL_S: Final = 5
PING_TIMEOUT_S: Final = 10
#: Engine.IO connections in all; more are told to come again. The server takes 4,096 of all kinds
CONNECTIONS_MAX: Final = 3_000
#: what a client may send at once, bytes: it has nothing to say beside its key
_RECEIVED_MAX: Final = 65_536
#: how often revoked keys and clients that did not identify themselves are looked for, s
SWEEP_S: Final = 2.0
#: how long a client may take to identify itself, s
IDENTIFY_S: Final = 10.0
#: missed events read and sent at a time
REPLAY_ROWS: Final = 1_000
#: how long a client may take to read what stands in its queue during a replay, s
_READ_S: Final = 30.0
#: replays that read the outbox at the same time
_READERS: Final = 4
_LOCALHOST: Final = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
_PUBLIC: Final = "public"

LookUp = Callable[[str], Awaitable[User | None]]
#: `KeyStore.revoked_since`: newest revocation number and the key ids revoked after the given one
Revoked = Callable[[int], tuple[int, Sequence[int]]]
Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Any, Any], Awaitable[None]]


class SocketIoSettings(Protocol):
    """The settings that the publisher reads."""

    @property
    def socketio_transports(self) -> tuple[str, ...]:
        """`polling`, `websocket`."""

    @property
    def socketio_public(self) -> bool:
        """Whether everyone sees everything without a key."""

    @property
    def socketio_redis_url(self) -> Any:
        """SecretStr; empty: this process alone."""

    @property
    def cors_allowed_origins(self) -> tuple[str, ...]:
        """Empty: own origin and localhost; `*`: all."""

    @property
    def ws_auth_failures_per_minute(self) -> int:
        """Wrong keys from one address."""


class _Server(socketio.AsyncServer):  # type: ignore[misc]
    """With sockets that are bounded."""

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer


class SocketIoPublisher(EventPublisher):
    """Serves Socket.IO beside an ASGI application and tells its clients their users' events.

    `look_up` is `Keys.look_up`; `history` is `Outbox.missed`; `revoked` is `KeyStore.revoked_since`. The latter two run
    in worker threads.
    """

    name = "socketio"

    def __init__(self, settings: SocketIoSettings, look_up: LookUp, history: History, revoked: Revoked) -> None:
        url = settings.socketio_redis_url.get_secret_value()
        logs.know_secret(url)
        self._shared, self._public = bool(url), settings.socketio_public
        self._manager = self._make_manager(url, history)
        self._origins = settings.cors_allowed_origins
        self._doors = Doors(look_up, settings.ws_auth_failures_per_minute, settings.socketio_public)
        self._history, self._revoked = history, revoked
        self._revocation = 0
        #: clients by session id
        self.clients: dict[str, Visit] = {}
        self._reading = asyncio.Semaphore(_READERS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.Task[None] | None = None
        self._sio = self._server(settings.socketio_transports)

    def wrap(self, app: Asgi) -> Asgi:
        """`app` with Socket.IO beside it at /socket.io."""
        inner = socketio.ASGIApp(self._sio, app, socketio_path=PATH)

        async def served(scope: Scope, receive: Any, send: Any) -> None:
            if scope["type"] in ("http", "websocket") and (scope["path"] + "/").startswith(PATH + "/"):
                # the server's log and the library see the query without the key
                place_key(scope)
                if b"sid=" not in scope.get("query_string", b"") and len(self._sio.eio.sockets) >= CONNECTIONS_MAX:
                    await _full(scope, send)
                    return
            await inner(scope, receive, send)

        return served

    async def start(self) -> None:
        """Begins to look after its clients."""
        self._sweeping = asyncio.create_task(self._sweep_on())

    async def stop(self) -> None:
        """Disconnects everyone."""
        tasks = [*self._tasks, *([self._sweeping] if self._sweeping else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for socket in list(self._sio.eio.sockets.values()):
            await socket.cut()
        await self._sio.shutdown()
        if isinstance(self._manager, SharedManager):
            await self._manager.close()

    async def publish(self, events: Sequence[Event]) -> int:
        """Hands the events to the connected clients' queues; never waits for a client."""
        for index, event in enumerate(events):
            try:
                if self._shared or self.clients:
                    await self._sio.emit(event.event_type, _data(event), room=self._room(event.user_id))
            except (PoisonError, TransportDownError):
                if index:
                    return index
                raise
            if index % 50 == 49:
                await asyncio.sleep(0)
        return len(events)

    def _room(self, user_id: str) -> str:
        return _PUBLIC if self._public else f"user:{user_id}"

    def _make_manager(self, url: str, history: History) -> HoldingManager:
        if not url:
            return HoldingManager()
        manager = SharedManager(url, history)
        manager.room = self._room
        return manager

    def _server(self, transports: Iterable[str]) -> _Server:
        server = _Server(
            client_manager=self._manager,
            async_mode="asgi",
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_TIMEOUT_S,
            transports=list(transports),
            cors_allowed_origins=self._allowed,
            cors_credentials=False,
            max_http_buffer_size=_RECEIVED_MAX,
            namespaces=[NAMESPACE],
        )
        server.on("connect", self._connect)
        server.on("disconnect", self._disconnect)
        return server

    def _allowed(self, origin: str | None, environ: MutableMapping[str, Any]) -> bool:
        """Whether pages of `origin` may connect. Asked where a browser names one."""
        if origin is None:
            return True
        own = f"{environ.get('wsgi.url_scheme', 'http')}://{environ.get('HTTP_HOST', '')}"
        if origin == own or "*" in self._origins:
            return True
        return origin.lower() in self._origins if self._origins else _LOCALHOST.fullmatch(origin) is not None

    async def _connect(self, sid: str, environ: MutableMapping[str, Any], auth: Any = None) -> None:
        eio_sid = self._manager.eio_sid_from_sid(sid, NAMESPACE)
        try:
            visit = await self._doors.admit(eio_sid, environ["asgi.scope"], auth)
        except (StoreError, CapacityError):
            raise socketio.exceptions.ConnectionRefusedError("keys cannot be checked now; try again") from None
        if any(one.eio_sid == eio_sid for one in self.clients.values()):
            raise socketio.exceptions.ConnectionRefusedError("this connection has identified itself already")
        socket = self._sio.eio.sockets.get(eio_sid)
        if socket is None or socket.closed:
            raise socketio.exceptions.ConnectionRefusedError("gone")
        # from here to the answer nothing waits: no live event can come between
        self.clients[sid] = visit
        if visit.last_event_id is not None:
            self._manager.held[sid] = Held(visit.last_event_id)
            self._in_background(self._replay(sid, visit))
        await self._sio.enter_room(sid, self._room(visit.user_id))

    async def _disconnect(self, sid: str, _reason: object = None) -> None:
        self.clients.pop(sid, None)
        self._manager.held.pop(sid, None)

    async def _replay(self, sid: str, visit: Visit) -> None:
        """Sends what the client missed, then what was held back meanwhile."""
        held = self._manager.held[sid]
        try:
            while True:
                async with self._reading:
                    user = None if self._public else visit.user_id
                    events = await asyncio.to_thread(self._history, user, held.floor, REPLAY_ROWS)
                for event in events:
                    await self._manager.send(sid, event.event_type, _data(event))
                    held.floor = event.id
                await self._until_read(visit)
                if len(events) < REPLAY_ROWS:
                    break
            await self._manager.release(sid, lambda: self._until_read(visit))
        except (StoreError, PoisonError, TimeoutError) as error:
            logs.limited(log, "replay").warning("missed events were not sent", reason=str(error) or "client too slow")
            held.lost = True
        if held.lost:
            # it comes again with the last event it got
            await self._cut(visit.eio_sid)

    async def _until_read(self, visit: Visit) -> None:
        """Waits until the client has room for another batch. Raises TimeoutError."""
        async with asyncio.timeout(_READ_S):
            while True:
                socket: ClientSocket | None = self._sio.eio.sockets.get(visit.eio_sid)
                if socket is None or socket.queue.qsize() <= QUEUE_MAX - REPLAY_ROWS - 1:
                    return
                await asyncio.sleep(0.01)

    async def _cut(self, eio_sid: str) -> None:
        socket: ClientSocket | None = self._sio.eio.sockets.get(eio_sid)
        if socket is not None:
            await socket.cut()

    async def _sweep_on(self) -> None:
        while True:
            try:
                await self._sweep()
            except StoreError as error:
                logs.limited(log, "sweep").warning("revoked keys cannot be looked for", reason=str(error))
            except Exception:
                logs.limited(log, "sweep").exception("Socket.IO clients cannot be looked after")
            await asyncio.sleep(SWEEP_S)

    async def _sweep(self) -> None:
        """Lets go of clients whose key was revoked, and of those that never showed one."""
        self._revocation, key_ids = await asyncio.to_thread(self._revoked, self._revocation)
        self._doors.revoke(key_ids)
        for sid, visit in list(self.clients.items()):
            if visit.key_id in self._doors.revoked:
                log.info("a Socket.IO client's key was revoked", user=visit.user_id)
                await self._sio.disconnect(sid)
                await asyncio.sleep(0)
                self.clients.pop(sid, None)
        known = {visit.eio_sid for visit in self.clients.values()}
        before = time.monotonic() - IDENTIFY_S
        for eio_sid, socket in list(self._sio.eio.sockets.items()):
            if eio_sid not in known and socket.born < before:
                await socket.cut()

    def _in_background(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _data(event: Event) -> dict[str, Any]:
    """The payload and the event's number. Raises PoisonError."""
    try:
        payload = orjson.loads(event.payload)
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        raise PoisonError("the payload is no JSON object", event.id)
    return {**payload, "event_id": event.id}


async def _full(scope: Scope, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1013})
        return
    await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"5")]})
    await send({"type": "http.response.body", "body": b"too many Socket.IO clients"})
