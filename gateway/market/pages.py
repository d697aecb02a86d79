"""The HTTP pages on the WebSocket port: live prices at `/`, `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST

from gateway import __version__
from gateway.model import FeedState, FeedStatus

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Pages:
    """Answers GET requests that are no upgrade."""

    metrics: Callable[[], bytes]
    statuses: Callable[[], list[FeedStatus]]
    #: False while the database cannot be reached
    database_ok: Callable[[], bool]
    metrics_public: bool = False

    def __call__(self, path: str, local: bool) -> tuple[int, str, bytes] | None:
        """The page at `path`, or None; `local` says that the peer is on this machine."""
        if path == "/":
            return 200, "text/html; charset=utf-8", _watch_page()
        if path == "/healthz":
            return 200, _JSON, orjson.dumps({"status": "ok", "version": __version__})
        if path == "/readyz":
            return self._ready()
        if path == "/metrics" and (local or self.metrics_public):
            return 200, CONTENT_TYPE_LATEST, self.metrics()
        return None

    def _ready(self) -> tuple[int, str, bytes]:
        feeds = {status.name: status.state.value for status in self.statuses()}
        database = self.database_ok()
        ready = database and all(state != FeedState.REFUSED for state in feeds.values())
        body: dict[str, Any] = {"status": "ready" if ready else "not ready", "database": database, "feeds": feeds}
        return 200 if ready else 503, _JSON, orjson.dumps(body)


@cache
def _watch_page() -> bytes:
    return resources.files("gateway").joinpath("static/watch.html").read_bytes()
