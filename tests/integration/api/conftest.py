"""The API on a real port: uvicorn in a thread, keys in a real database, a fake service."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gateway.api.app import create_app
from gateway.api.keys import Keys
from gateway.api.metrics import ApiMetrics
from gateway.api.server import ApiServer, listening_socket, server_config
from gateway.home import Home
from gateway.store.keys import KeyStore
from gateway.store.migrate import open_store
from tests.unit.api.fakes import FakeService, FakeSettings

T = TypeVar("T")


class Served:
    """A running API. `key` is valid; `store` adds and revokes others."""

    def __init__(self, folder: Path) -> None:
        home = Home(folder / "home").prepare()
        self.engine = open_store(f"sqlite:///{home.path}/gateway.db", home)
        self.store = KeyStore(self.engine, home.key_secret())
        self.key = self.store.add("asha")
        self.service, self.keys = FakeService(), Keys(self.store.verify)
        self.app = create_app(
            self.service,
            self.keys.look_up,
            FakeSettings(),
            ready={"database": lambda: True},
            metrics=lambda: b"",
            websocket_url=lambda: "ws://127.0.0.1:8765",
            counts=ApiMetrics(),
        )
        self.url = ""
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._server = ApiServer(server_config(self.app))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def __enter__(self) -> Served:
        self._thread.start()
        self._socket = listening_socket("127.0.0.1", 0)
        self.port = self._socket.getsockname()[1]
        self.url = self._run(self._server.start(self._socket))
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._loop.close()
        self._socket.close()
        self.keys.close()
        self.engine.dispose()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running API for the tests of one module."""
    with Served(tmp_path_factory.mktemp("api")) as running:
        yield running
