"""The parent process of `gateway serve`: starts, watches, restarts and stops its children; does nothing else."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

from gateway import log
from gateway.settings.load import PARENT_FD, READY_FD

#: from the signal to the exit, s; the children get a little less than the promised 5 s
STOP_SECONDS = 4.5
#: a child that is not ready by then is ended and counts as failed, s
START_SECONDS = 60.0
#: delays before the restarts of a child that keeps dying, s; the first is immediate
BACKOFF = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
#: a child that was ready for so long begins its backoff anew, s
HEALTHY_SECONDS = 10.0
#: a child that dies so often before it was ever ready will not come up
FIRST_TRIES = 3
#: exit code of wrong usage or settings: a restart cannot help
EXIT_WRONG = 2

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A process to keep running: its name in logs, and what follows `python`."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """One child: its process, its ready pipe, its history of deaths."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None
        self.urls: dict[str, str] | None = None
        self.was_ready = False
        self.deaths = 0
        self.ready_pipe = -1
        self.started_at = 0.0
        #: monotonic time of the next start; None while it runs
        self.start_at: float | None = 0.0
        self._received = b""

    def start(self, parent_pipe: int, now: float) -> None:
        """Starts the process; its standard output joins our standard error, which is for people."""
        self.ready_pipe, write_end = os.pipe()
        os.set_blocking(self.ready_pipe, False)
        environment = {**os.environ, **self.spec.environment, PARENT_FD: str(parent_pipe), READY_FD: str(write_end)}
        try:
            self.process = subprocess.Popen(  # noqa: S603 -- our own interpreter and arguments
                [sys.executable, *self.spec.arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                pass_fds=(parent_pipe, write_end),
                process_group=0,
            )
        finally:
            os.close(write_end)
        self.urls, self._received = None, b""
        self.started_at, self.start_at = now, None
        _log.info("child started", child=self.spec.name, pid=self.process.pid)

    def read_ready(self) -> bool:
        """Takes what is in the ready pipe; True when the child has just become ready."""
        try:
            chunk = os.read(self.ready_pipe, 4096)
        except BlockingIOError:
            return False
        self._received += chunk
        if b"\n" not in self._received and chunk:
            return False
        self.close_pipe()
        try:
            self.urls = json.loads(self._received)
        except ValueError:
            return False
        self.was_ready = True
        return True

    @property
    def starting(self) -> bool:
        """True while it runs and is not ready."""
        return self.process is not None and self.urls is None

    def close_pipe(self) -> None:
        """Closes our end of the ready pipe."""
        if self.ready_pipe >= 0:
            os.close(self.ready_pipe)
            self.ready_pipe = -1

    def died(self, now: float) -> int:
        """Books the death and plans the restart; returns the exit code."""
        assert self.process is not None
        code = self.process.returncode
        if self.urls is not None and now - self.started_at >= HEALTHY_SECONDS:
            self.deaths = 0
        self.start_at = now + BACKOFF[min(self.deaths, len(BACKOFF) - 1)]
        self.deaths += 1
        self.process, self.urls = None, None
        return code

    def signal(self, number: int) -> None:
        """Sends a signal, if the process runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


class Supervisor:
    """Runs children until a signal. `on_ready` is called once, with the merged URLs, when all are ready."""

    def __init__(self, specs: Sequence[ChildSpec], on_ready: Callable[[dict[str, str]], None]) -> None:
        self._children = [Child(spec) for spec in specs]
        self._on_ready: Callable[[dict[str, str]], None] | None = on_ready
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._hangup = False
        self._exit_code = 0

    def run(self) -> int:
        """Blocks until SIGTERM or SIGINT (returns 0) or until a child cannot be started (1, or 2: wrong settings)."""
        parent_read, parent_write = os.pipe()
        wake_read, wake_write = socket.socketpair()
        for end in (wake_read, wake_write):
            end.setblocking(False)
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        old_wakeup = signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
        self._selector.register(wake_read, selectors.EVENT_READ)
        try:
            while not self._stopping:
                self._turn(parent_read, wake_read)
        finally:
            self._stop()
            signal.set_wakeup_fd(old_wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            for end in (wake_read, wake_write):
                end.close()
            os.close(parent_read)
            os.close(parent_write)
            self._selector.close()
        return self._exit_code

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Only notes the signal; the wake-up socket ends the wait."""
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stopping = True
        elif number == signal.SIGHUP:
            self._hangup = True

    def _turn(self, parent_pipe: int, wake: socket.socket) -> None:
        """One round: start what is due, wait, take readiness and deaths."""
        for child in self._children:
            if child.start_at is not None and child.start_at <= time.monotonic():
                child.start(parent_pipe, time.monotonic())
                self._selector.register(child.ready_pipe, selectors.EVENT_READ, child)
        for key, _ in self._selector.select(self._patience()):
            if key.data is None:
                _drain(wake)
            else:
                self._read_ready(key.data)
        if self._hangup:
            self._hangup = False
            self._forward_hangup()
        for child in self._children:
            self._check(child)

    def _patience(self) -> float | None:
        """Seconds until the next planned start or start deadline."""
        now = time.monotonic()
        waits = [child.start_at - now for child in self._children if child.start_at is not None]
        waits += [child.started_at + START_SECONDS - now for child in self._children if child.starting]
        return max(0.0, min(waits)) if waits else None

    def _read_ready(self, child: Child) -> None:
        pipe = child.ready_pipe
        became_ready = child.read_ready()
        if child.ready_pipe < 0:
            self._selector.unregister(pipe)
        if became_ready:
            took = round(time.monotonic() - child.started_at, 3)
            _log.info("child ready", child=child.spec.name, seconds=took, **(child.urls or {}))
        if self._on_ready is not None and all(one.urls is not None for one in self._children):
            merged = {name: url for one in self._children for name, url in (one.urls or {}).items()}
            on_ready, self._on_ready = self._on_ready, None
            on_ready(merged)

    def _check(self, child: Child) -> None:
        """Notices a death, and a start that takes too long."""
        if child.process is None:
            return
        now = time.monotonic()
        if child.process.poll() is None:
            if child.starting and now - child.started_at >= START_SECONDS:
                _log.error("child does not become ready, ending it", child=child.spec.name, seconds=START_SECONDS)
                child.process.kill()
            return
        if child.ready_pipe >= 0:
            self._selector.unregister(child.ready_pipe)
            child.close_pipe()
        code = child.died(now)
        if not child.was_ready and (code == EXIT_WRONG or child.deaths >= FIRST_TRIES):
            _log.error("child cannot start", child=child.spec.name, exit_code=code)
            self._exit_code = EXIT_WRONG if code == EXIT_WRONG else 1
            self._stopping = True
            return
        delay = max(0.0, (child.start_at or now) - now)
        _log.warning("child died", child=child.spec.name, exit_code=code, restart_in=delay)

    def _forward_hangup(self) -> None:
        """Children read their settings again; one that is still starting reads the new ones anyway."""
        for child in self._children:
            if child.urls is not None:
                child.signal(signal.SIGHUP)

    def _stop(self) -> None:
        """SIGTERM to all at once, SIGKILL to those that are still there when the time is up."""
        deadline = time.monotonic() + STOP_SECONDS
        for child in self._children:
            child.signal(signal.SIGTERM)
        for child in self._children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _log.warning("child did not stop in time, killed", child=child.spec.name, seconds=STOP_SECONDS)
                child.process.kill()
                child.process.wait()
            child.close_pipe()


_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def _drain(wake: socket.socket) -> None:
    try:
        while wake.recv(4096):
            pass
    except BlockingIOError:
        pass
