"""The JavaScript Socket.IO client, in a process of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any


class Node:
    """A running `listen.mjs` and what it has printed."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def of(self, what: str) -> list[Any]:
        return [line["value"] for line in self.lines if line["what"] == what]


@asynccontextmanager
async def node(script: Path, url: str, **options: Any) -> AsyncIterator[Node]:
    process = await asyncio.create_subprocess_exec(
        "node", str(script), url, json.dumps(options), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    found = Node()
    assert process.stdout is not None

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            found.lines.append(json.loads(line))

    reading = asyncio.create_task(read())
    try:
        yield found
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading
