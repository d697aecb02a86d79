"""Starts a real gateway, as its users do, for tests that talk to it from outside."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from sqlalchemy import Engine

from gateway.config import load_settings
from gateway.home import Home
from gateway.store.keys import KeyStore
from gateway.store.migrate import open_store

ROOT = Path(__file__).resolve().parent.parent
_READY = re.compile(r"^ready ws=(\S+) api=(\S+) zmq=(\S+)$")
#: variables of the machine that a gateway under test may see
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")


def clean_environment(**variables: str) -> dict[str, str]:
    """The machine's environment without anything that could be a setting, plus `variables`."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "LOG_FORMAT": "json", **variables}


class Gateway:
    """`with Gateway("--feed", "simulated", SIMULATED_RATE="100") as gateway:` – a running `gateway serve`.

    Leaving the block stops it by SIGTERM and asserts exit code 0 within 5 s, unless the test ended it itself.
    """

    def __init__(self, *arguments: str, home: Path | None = None, **variables: str) -> None:
        self._temporary = None if home else tempfile.TemporaryDirectory(prefix="gw-", ignore_cleanup_errors=True)
        self.home = home or Path(self._temporary.name if self._temporary else "")
        self.arguments: Sequence[str] = arguments
        self.variables: Mapping[str, str] = variables
        self.ws_url = self.api_url = self.zmq_url = ""
        self.log_path = self.home / "serve.log"
        self.process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """The parent's process id."""
        assert self.process is not None
        return self.process.pid

    @property
    def environment(self) -> dict[str, str]:
        """What `serve`, and any other command on the same home, is started with."""
        free = {"WEBSOCKET_PORT": "0", "ZMQ_PORT": "0", "API_PORT": "0", "GATEWAY_HOME": str(self.home)}
        return clean_environment(**{**free, **self.variables})

    @property
    def log(self) -> str:
        """Everything it wrote to standard error so far."""
        return self.log_path.read_text("utf-8") if self.log_path.exists() else ""

    def start(self, seconds: float = 30.0) -> Gateway:
        """Starts it and waits for the ready line."""
        self.home.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "serve", *self.arguments],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        line = self._first_line(seconds)
        match = _READY.match(line)
        if match is None:
            self.kill()
            raise AssertionError(f"no ready line within {seconds} s but {line!r}; log:\n{self.log}")
        self.ws_url, self.api_url, self.zmq_url = match.groups()
        return self

    def _first_line(self, seconds: float) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline().rstrip("\n") if readable else ""

    def add_key(self, user: str, key: str | None = None) -> str:
        """A new API key for `user`, straight into the gateway's database."""
        engine = self._engine()
        try:
            return KeyStore(engine, Home(self.home).key_secret()).add(user, key)
        finally:
            engine.dispose()

    def keys(self) -> KeyStore:
        """The gateway's key store."""
        return KeyStore(self._engine(), Home(self.home).key_secret())

    def _engine(self) -> Engine:
        url = self.variables.get("DATABASE_URL", f"sqlite:///{self.home}/gateway.db")
        return open_store(load_settings(database_url=url).database_url, Home(self.home))

    def command(self, *arguments: str, text: str = "", timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Runs another `gateway` command on the same home."""
        return subprocess.run(
            [sys.executable, "-m", "gateway", *arguments],
            env=self.environment,
            cwd=self.home,
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def child_pid(self, name: str = "market", other_than: int | None = None, seconds: float = 10.0) -> int:
        """The process id of a running child, by the lock it holds; `other_than`: wait for its successor."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            pid = Home(self.home).holder(name)
            if pid and pid != other_than:
                return pid
            time.sleep(0.02)
        raise AssertionError(f"no {name} process after {seconds} s; log:\n{self.log}")

    def kill_child(self, name: str) -> int:
        """Ends a child at once, as a crash would; gives its process id."""
        pid = self.child_pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self, number: int = signal.SIGTERM, seconds: float = 6.0) -> int:
        """Sends a signal and returns the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """Ends it at once, if it still runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(5)

    def __enter__(self) -> Gateway:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self.process
        try:
            if process is not None and process.poll() is None:
                if error is not None:
                    self.kill()
                else:
                    began = time.monotonic()
                    code = self.stop()
                    assert code == 0, f"exit code {code}; log:\n{self.log}"
                    assert time.monotonic() - began < 5.5, f"slow stop; log:\n{self.log}"
        finally:
            self.kill()
            if process is not None and process.stdout is not None:
                process.stdout.close()
            if self._temporary is not None:
                self._temporary.cleanup()


def wait_gone(pid: int, seconds: float) -> bool:
    """True when process `pid` is gone (or a zombie) within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            state = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0]
            if state != "Z":
                time.sleep(0.02)
                continue
        return True
    return False
