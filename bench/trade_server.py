"""The whole gateway under measurement: `gateway serve`, market and trade process, SQLite on disk, nothing pinned."""

from __future__ import annotations

import os
import re
import select
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.payloads import symbol
from bench.servers import Running, clean_environment, end
from bench.tool import ROOT, ToolError
from gateway.home import Home

#: a Wednesday, and no holiday
NOON = "2026-07-15T12:00:00+05:30"
#: instruments of the load tool's publisher; orders that a case watches have instruments of their own
SYMBOLS, WATCHED = 1_000, 100
LIMITS = dict.fromkeys(("API_RATE_LIMIT", "ORDER_RATE_LIMIT", "SMART_ORDER_RATE_LIMIT"), "1000000 per second")
START_TIMEOUT_S = 30.0
_READY = re.compile(r"^ready ws=\S+:(\d+) api=\S+:(\d+) zmq=\S+:(\d+)$")


def watched(index: int) -> str:
    """Name of the instrument number `index` that only the bench's own ticks move."""
    return f"T{index + 1:04}"


@dataclass(slots=True)
class Trading(Running):
    """A gateway that trades. As a `Running` it is its market process: CPU and memory are that process'."""

    api_port: int = 0
    home: Path = Path()

    def pid(self, name: str) -> int:
        """The process id of `market` or `trade`."""
        found = Home(self.home).holder(name)
        if not found:
            raise ToolError(f"the gateway's {name} process is gone")
        return found

    def used_ns(self, name: str) -> int:
        """CPU time that all threads of a child have used, ns."""
        tasks = Path(f"/proc/{self.pid(name)}/task").glob("*/schedstat")
        return sum(int(path.read_text().split()[0]) for path in tasks)

    def cpu_ns(self) -> int:
        """CPU time of the market process, ns."""
        return self.used_ns("market")

    def count(self, query: str) -> int:
        """One number from the database."""
        with closing(sqlite3.connect(f"file:{self.home}/gateway.db?mode=ro", uri=True)) as connection:
            return int(connection.execute(query).fetchone()[0])

    def add_key(self, user: str) -> str:
        """Another user's API key."""
        return _command(self.home, "keys", "add", user)


@contextmanager
def trading(**settings: str) -> Iterator[Trading]:
    """A running gateway without a feed and with one key; conflation of market data off. Raises ToolError."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        (home / "master.csv").write_text(_master(), "utf-8")
        _command(home, "instruments", "load", "common", str(home / "master.csv"))
        key = _command(home, "keys", "add", "bench")
        with (home / "serve.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "serve", "--feed", "none"],
                cwd=ROOT, env=_settings(home, **settings), stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        try:
            ws, api, bus = _ports(process)
            yield Trading("gateway", process, ws, bus, key, api_port=api, home=home)
        except ToolError as error:
            error.add_note((home / "serve.log").read_text("utf-8")[-2000:])
            raise
        finally:
            end(process)
            assert process.stdout is not None
            process.stdout.close()


def _ports(process: subprocess.Popen[bytes]) -> list[int]:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
    line = process.stdout.readline().decode().strip() if readable else ""
    match = _READY.match(line)
    if match is None:
        raise ToolError(f"the gateway does not answer within {START_TIMEOUT_S:.0f} s but says {line!r}")
    return [int(port) for port in match.groups()]


def _settings(home: Path, **settings: str) -> dict[str, str]:
    free = {"WEBSOCKET_PORT": "0", "ZMQ_PORT": "0", "API_PORT": "0"}
    fixed = {"GATEWAY_HOME": str(home), "CLOCK_START": NOON, "MESSAGE_THROTTLE_MS": "0", "LOG_FORMAT": "json"}
    return clean_environment(**{**free, **fixed, **LIMITS, **settings})


def _command(home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=ROOT,
        env=_settings(home),
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise ToolError(f"gateway {arguments[0]} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()


def _master() -> str:
    names = [symbol(index) for index in range(SYMBOLS)] + [watched(index) for index in range(WATCHED)]
    rows = [f"NSE,{name},1,0.05,EQ,,{name}" for name in names]
    return os.linesep.join(["exchange,symbol,lotsize,tick_size,instrumenttype,expiry,name", *rows, ""])
