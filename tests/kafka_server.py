"""A real Apache Kafka broker for tests (scripts/kafka), which can be killed and started again at the same address."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "kafka"
#: `skip` leaves out every test that needs the broker; anything else, or nothing, demands it
CHOICE = "GATEWAY_TEST_KAFKA"
#: fetching from Maven included, s
START_S = 300.0
#: as it was before any test changed it
_ENVIRONMENT = dict(os.environ)
_SERVES = "Kafka Server started"


def wanted() -> None:
    """Skips the calling test where GATEWAY_TEST_KAFKA=skip says so; fails it where Java or Maven is missing."""
    if _ENVIRONMENT.get(CHOICE, "").lower() == "skip":
        pytest.skip(f"{CHOICE}=skip: no test ran against a real Kafka broker")
    for tool, package in (("java", "default-jre-headless"), ("mvn", "maven")):
        if shutil.which(tool) is None:
            raise RuntimeError(
                f"{tool} is not installed; `apt-get install {package}`, run .ci/run, or set {CHOICE}=skip"
            )


class Broker:
    """One broker, its data and ports in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    @property
    def address(self) -> str:
        """`host:port` to bootstrap from; the same after a restart."""
        return (self._folder / "env").read_text("utf-8").strip().partition("=")[2]

    @property
    def pid(self) -> int:
        """Of the broker that runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Starts it and returns once it serves. Raises RuntimeError with the end of its log where it does not."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Starts it without waiting."""
        assert self._process is None
        self._starts += 1
        with self._log().open("wb") as log:
            self._process = subprocess.Popen(
                [str(SCRIPT), "run", str(self._folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_ENVIRONMENT,
            )

    def wait(self) -> None:
        """Returns once it serves: its port opens before that."""
        assert self._process is not None
        until = time.monotonic() + START_S
        while _SERVES not in self._log().read_text("utf-8", "replace"):
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Kafka did not start: {self._log().read_text('utf-8', 'replace')[-3000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Lets it finish."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _log(self) -> Path:
        return self._folder / f"start-{self._starts}.log"


@contextmanager
def kafka() -> Iterator[Broker]:
    """A broker that serves, and is thrown away afterwards."""
    wanted()
    with tempfile.TemporaryDirectory(prefix="gw-kafka-", ignore_cleanup_errors=True) as name:
        broker = Broker(Path(name))
        try:
            broker.start()
            yield broker
        finally:
            broker.kill()
