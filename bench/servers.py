"""The three servers under measurement, each started alone on the server's core."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bench.tool import ROOT, ToolError, cpus

START_TIMEOUT_S = 20.0


@dataclass(slots=True)
class Running:
    """A server that answers."""

    name: str
    process: subprocess.Popen[bytes]
    ws_port: int
    zmq_port: int
    #: API key for the load; the references take any
    key: str = field(default="bench", repr=False)
    #: True where the server takes no requests
    bare: bool = False

    def cpu_ns(self) -> int:
        """CPU time that all threads have used, user and system, ns.

        `/proc/PID/stat` counts in hundredths of a second; the scheduler's own sum is exact.
        """
        return sum(int(float(path.read_text().split()[0])) for path in self._tasks("schedstat"))

    def rss_bytes(self) -> int:
        """Resident memory, bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _tasks(self, name: str) -> Iterator[Path]:
        return Path(f"/proc/{self.process.pid}/task").glob(f"*/{name}")


@contextmanager
def reference(name: str) -> Iterator[Running]:
    """One of `bench/references`."""
    ws_port, zmq_port = free_ports(2)
    command = [sys.executable, "-m", f"bench.references.{name}", "--ws-port", str(ws_port), "--zmq-port", str(zmq_port)]
    with _process(command, dict(os.environ)) as process:
        running = Running(name, process, ws_port, zmq_port, bare=name == "bare")
        _wait(running, lambda: _listens(ws_port))
        yield running


@contextmanager
def gateway(
    conflate_ms: int = 0, command: Sequence[str] | None = None, settings: dict[str, str] | None = None
) -> Iterator[Running]:
    """The market process on the bus alone, in a home of its own with one key.

    `command` replaces `python -m gateway market`: that is how a test runs a doctored gateway.
    """
    ws_port, zmq_port = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as home:
        environment = clean_environment(
            GATEWAY_HOME=home,
            WEBSOCKET_HOST="127.0.0.1",
            WEBSOCKET_PORT=str(ws_port),
            ZMQ_HOST="127.0.0.1",
            ZMQ_PORT=str(zmq_port),
            FEEDS="none",
            MESSAGE_THROTTLE_MS=str(conflate_ms),
            **(settings or {}),
        )
        prepared, key = _prepared_home()
        shutil.copytree(prepared, home, dirs_exist_ok=True)
        market = command or [sys.executable, "-m", "gateway", "market"]
        with _process(market, environment) as process:
            running = Running("gateway", process, ws_port, zmq_port, key)
            _wait(running, lambda: _ready(ws_port))
            yield running


def start(name: str, conflate_ms: int = 0) -> AbstractContextManager[Running]:
    """The server of that name."""
    return gateway(conflate_ms) if name == "gateway" else reference(name)


def free_ports(count: int) -> list[int]:
    """Ports that are free now. Below the range that outgoing connections take, so that readers do not take them."""
    sockets = []
    for port in range(20_000 + os.getpid() % 5_000, 32_000):
        candidate = socket.socket()
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            candidate.close()
            continue
        sockets.append(candidate)
        if len(sockets) == count:
            break
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def _process(command: Sequence[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server on its core; a child inherits the affinity that its parent has while starting it."""
    usable = os.sched_getaffinity(0)
    with tempfile.TemporaryFile() as log:
        os.sched_setaffinity(0, {cpus()[0]})
        try:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        finally:
            os.sched_setaffinity(0, usable)
        try:
            yield process
        except ToolError as error:
            log.seek(0)
            error.add_note(f"{command[-1]}: {log.read()[-2000:].decode(errors='replace')}")
            raise
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Stops a server; kills it where it does not follow."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(8)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@cache
def _prepared_home() -> tuple[Path, str]:
    """A home with a database and one key, made once and copied for each start; and the key."""
    home = Path(tempfile.mkdtemp(prefix="gateway-bench-home-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "keys", "add", "bench"],
        cwd=ROOT,
        env=clean_environment(GATEWAY_HOME=str(home)),
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise ToolError(f"no key for the bench: {done.stderr.strip()[-2000:]}")
    return home, done.stdout.strip()


def clean_environment(**settings: str) -> dict[str, str]:
    """The machine's environment without settings of a gateway, plus `settings`."""
    process = ("GATEWAY_", "WEBSOCKET_", "WS_", "ZMQ_", "TICK_", "SIMULATED_", "DATABASE_", "LOG_")
    ours = (*process, "API_", "ORDER_", "SMART_", "SANDBOX_", "CLOCK_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(ours)}, **settings}


def _wait(running: Running, answers: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not answers():
        if running.process.poll() is not None:
            raise ToolError(f"{running.name} ended with {running.process.returncode} before it answered")
        if time.monotonic() > deadline:
            raise ToolError(f"{running.name} does not answer within {START_TIMEOUT_S:.0f} s")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
