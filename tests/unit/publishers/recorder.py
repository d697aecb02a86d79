"""Publishers that note what they get, and an outbox in SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from gateway.home import Home
from gateway.store.migrate import open_store
from gateway.store.outbox import NewEvent, append_events
from publishers.base import Event, EventPublisher

NOW = datetime(2026, 1, 29, 10, 30, tzinfo=UTC)


class Recorder(EventPublisher):
    """Takes what it is given; `act` may raise, or say how many it takes."""

    name = "recorder"

    def __init__(self, name: str = "recorder", act: Callable[[Sequence[Event]], int] = len) -> None:
        self.name = name  # type: ignore[misc]
        self.act = act
        self.got: list[int] = []
        self.stopped = False

    async def publish(self, events: Sequence[Event]) -> int:
        taken = self.act(events)
        self.got += [event.id for event in events[:taken]]
        return taken

    async def stop(self) -> None:
        self.stopped = True


def store(folder: Path) -> Engine:
    home = Home(folder / "home").prepare()
    return open_store(f"sqlite:///{home.path}/gateway.db", home)


def write(engine: Engine, count: int, user: str = "asha", created: datetime = NOW, payload: str = "{}") -> None:
    with engine.begin() as connection:
        append_events(connection, [NewEvent(user, "order_update", payload, created) for _ in range(count)])


def event(number: int = 1, event_type: str = "order_update", payload: bytes = b"{}", **more: Any) -> Event:
    return Event(number, more.get("user_id", "asha"), event_type, payload, more.get("seq"), NOW)


async def until(holds: Callable[[], bool], wait_s: float = 20.0) -> None:
    async with asyncio.timeout(wait_s):
        while not holds():  # noqa: ASYNC110 - the condition is anybody's
            await asyncio.sleep(0.005)
