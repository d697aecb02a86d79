"""A real Redis for tests, started here and thrown away."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers import free_port

PASSWORD = "a-password-of-redis"


class Redis:
    """A server on loopback that keeps nothing. Raises OSError where none is installed."""

    def __init__(self, folder: str) -> None:
        self.port = free_port()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Also after `stop`, on the same port."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command = ["redis-server", *options, "--dir", self._folder, "--requirepass", PASSWORD]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait(self.port, self._process)

    def stop(self) -> None:
        """At once."""
        self._process.kill()
        self._process.wait(10)


@contextmanager
def redis() -> Iterator[Redis]:
    """A throw-away Redis."""
    with tempfile.TemporaryDirectory(prefix="gw-redis-") as folder:
        server = Redis(folder)
        try:
            yield server
        finally:
            server.stop()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("Redis did not start")
