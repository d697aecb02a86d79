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


@contextmanager
def redis() -> Iterator[str]:
    """Redis on loopback, nothing kept; gives its URL. Raises OSError where none is installed."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gw-redis-") as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        command = ["redis-server", *options, "--requirepass", PASSWORD]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait(port, process)
            yield f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(10)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("Redis did not start")
