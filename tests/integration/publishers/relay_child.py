"""A relay in a process that may be killed: its publisher appends each event to a file, which acknowledges it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from gateway.store.engine import make_engine
from publishers.base import Event, EventPublisher
from publishers.cursors import Outbox
from publishers.relays import Relays


class FilePublisher(EventPublisher):
    """Delivers into a file, a few at a time."""

    name = "file"
    batch: ClassVar[int] = 20

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def publish(self, events: Sequence[Event]) -> int:
        part = events[:7]
        os.write(self._file, b"".join(b"%d\n" % event.id for event in part))
        await asyncio.sleep(0.002)
        return len(part)


async def main(url: str, path: str) -> None:
    """Runs until it is killed."""
    relays = Relays(Outbox(make_engine(url)), [FilePublisher(Path(path))])
    relays.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
