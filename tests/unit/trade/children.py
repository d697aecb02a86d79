"""Other processes on the same database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sqlalchemy import Engine

ROOT = Path(__file__).resolve().parents[3]

#: holds the lock of the outbox for a while, then adds an event
HOLD = """
import sys, time
from datetime import UTC, datetime
from gateway.store.engine import make_engine
from gateway.store.outbox import NewEvent, append_events
engine = make_engine(sys.argv[1])
with engine.begin() as connection:
    append_events(connection, [NewEvent("cli", "key_change", "{}", datetime.now(UTC))])
    print("locked", flush=True)
    time.sleep(float(sys.argv[2]))
"""

#: writes for ever, and prints what is acknowledged
CHILD = """
import asyncio, sys
from pathlib import Path
from gateway.store.engine import make_engine
from gateway.trade.writer import Writer
from tests.unit.trade.clerk import Clerk

async def main():
    writer = Writer(make_engine(sys.argv[1]))
    writer.start()
    clerks = [Clerk(writer, f"user{n}") for n in range(20)]
    last = None
    while True:
        futures = [(c, c.submit(c.buy(1, ltp=100 + n)), c.state.seq) for n, c in enumerate(clerks) for _ in range(10)]
        for clerk, future, seq in futures:
            assert await future is None
            print(clerk.user, seq, flush=True)

asyncio.run(main())
"""


def spawned(code: str, engine: Engine, *arguments: str) -> subprocess.Popen[bytes]:
    """A process that runs `code` on the database of `engine`; its output is piped."""
    url = engine.url.render_as_string(hide_password=False)
    return subprocess.Popen([sys.executable, "-c", code, url, *arguments], stdout=subprocess.PIPE, cwd=ROOT)
