"""Socket.IO on a real port with a real outbox, as the trade process runs it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import socketio
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine

from gateway.api.keys import Keys
from gateway.api.server import ApiServer, listening_socket
from gateway.home import Home
from gateway.store.keys import KeyStore
from gateway.store.migrate import open_store
from gateway.store.outbox import NewEvent, append_events
from publishers.base import EventPublisher
from publishers.cursors import Outbox
from publishers.relays import Relays
from publishers.sio_engine import CuttingProtocol
from publishers.socketio import SocketIoPublisher


@dataclass(frozen=True)
class FakeSettings:
    """What the publisher reads."""

    socketio_transports: tuple[str, ...] = ("polling", "websocket")
    socketio_public: bool = False
    socketio_redis_url: SecretStr = field(default_factory=lambda: SecretStr(""))
    cors_allowed_origins: tuple[str, ...] = ()
    ws_auth_failures_per_minute: int = 10


def database(folder: Path) -> tuple[Engine, KeyStore]:
    """A migrated database and its keys."""
    home = Home(folder / "home").prepare()
    engine = open_store(f"sqlite:///{home.path}/gateway.db", home)
    return engine, KeyStore(engine, home.key_secret())


def commit(engine: Engine, user_id: str, numbers: Sequence[int], **more: Any) -> None:
    """Writes one event for each number, in one transaction, as raising code does."""
    events = [
        NewEvent(user_id, "order_update", orjson.dumps({"n": number, **more}).decode(), datetime.now(UTC))
        for number in numbers
    ]
    with engine.begin() as connection:
        append_events(connection, events)


class RefusedError(Exception):
    """The server did not let a client in."""


class Site:
    """One server process' worth of Socket.IO; runs on the event loop of the test."""

    def __init__(
        self, engine: Engine, store: KeyStore, settings: FakeSettings | None = None, *, relay: bool = True
    ) -> None:
        self.engine, self.store = engine, store
        self.keys, self.outbox = Keys(store.verify), Outbox(engine)
        self.publisher = SocketIoPublisher(
            settings or FakeSettings(), self.keys.look_up, self.outbox.missed, store.revoked_since
        )
        app = FastAPI()

        @app.get("/hello")
        async def hello() -> str:
            return "hello"

        publishers: list[EventPublisher] = [self.publisher] if relay else []
        self.relays = Relays(self.outbox, publishers)
        self._alone = not relay
        config = uvicorn.Config(
            self.publisher.wrap(app), http="h11", ws=CuttingProtocol, lifespan="off", log_config=None, access_log=False,
            ws_ping_interval=None, ws_per_message_deflate=False, ws_max_size=65_536, timeout_graceful_shutdown=2,
        )  # fmt: skip
        self._server = ApiServer(config)
        self.url = ""

    async def __aenter__(self) -> Site:
        self.relays.start()
        if self._alone:
            await self.publisher.start()
        self.url = await self._server.start(listening_socket("127.0.0.1", 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.relays.stop()
        if self._alone:
            await self.publisher.stop()
        await self._server.stop()
        self.keys.close()

    async def tell(self, user_id: str, numbers: Sequence[int], **more: Any) -> None:
        """Commits events and wakes the relays, as the trade process does after a commit."""
        await asyncio.to_thread(commit, self.engine, user_id, numbers, **more)
        self.relays.wake(2**62)


class Listener:
    """A python-socketio client that notes what it gets."""

    def __init__(self, url: str, transports: Sequence[str]) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.got: list[dict[str, Any]] = []
        self.at: list[float] = []
        self.client.on("order_update", self._note)
        self._url, self._transports = url, list(transports)

    async def connect(self, **auth: Any) -> Listener:
        """Raises RefusedError with what the server says."""
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def on_connect() -> None:
            answered.set_result("")

        async def on_refusal(said: Any = None) -> None:
            if not answered.done():
                answered.set_result(str(said["message"] if isinstance(said, dict) else said))

        self.client.on("connect", on_connect)
        self.client.on("connect_error", on_refusal)
        await self.client.connect(self._url, auth=auth or None, transports=self._transports, wait=False)
        async with asyncio.timeout(15):
            reason = await answered
        if reason:
            await self.client.disconnect()
            raise RefusedError(reason)
        return self

    async def close(self) -> None:
        await self.client.disconnect()

    @property
    def numbers(self) -> list[int]:
        return [data["n"] for data in self.got]

    @property
    def ids(self) -> list[int]:
        return [data["event_id"] for data in self.got]

    async def _note(self, data: dict[str, Any]) -> None:
        self.at.append(time.time())
        self.got.append(data)


async def eventually(holds: Callable[[], bool], wait_s: float = 20.0) -> None:
    """Waits for a condition."""
    async with asyncio.timeout(wait_s):
        while not holds():  # noqa: ASYNC110 - the condition is anybody's
            await asyncio.sleep(0.01)
