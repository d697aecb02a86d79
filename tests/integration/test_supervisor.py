"""The parent process against a fake child: start, restart, stop, and death of either."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness import ROOT, clean_environment, wait_gone

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[subprocess.Popen[str]] = []

    def begin(behaviour: str) -> subprocess.Popen[str]:
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.fake_parent", behaviour, str(tmp_path)],
                cwd=ROOT,
                env=clean_environment(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate(timeout=5)
    for pid in pids(tmp_path):
        assert wait_gone(pid, 5), f"child {pid} outlived its parent"


def pids(folder: Path) -> list[int]:
    """Process ids of the children so far, oldest first."""
    return [int(path.read_text()) for path in sorted(folder.glob("pid-*")) if path.read_text()]


def wait_for(condition: Callable[[], bool], seconds: float) -> float:
    """Seconds until the condition holds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited too long"
        time.sleep(0.01)
    return time.monotonic() - began


def ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ready_line_is_all_it_prints_and_it_stops_cleanly(start: Start, tmp_path: Path, number: int) -> None:
    parent = start("good")
    assert ready(parent) == "ready ws=ws://127.0.0.1:4711 api=- zmq=tcp://127.0.0.1:2\n"
    began = time.monotonic()
    parent.send_signal(number)
    output, _ = parent.communicate(timeout=6)
    assert (parent.returncode, output) == (0, "")
    assert time.monotonic() - began < 2
    assert "noise on standard output" in (tmp_path / "log").read_text()


def test_a_killed_child_is_back_within_two_seconds_again_and_again(start: Start, tmp_path: Path) -> None:
    parent = start("good")
    ready(parent)
    for count in range(1, 4):
        wait_for(lambda count=count: len(pids(tmp_path)) == count, 10)  # type: ignore[misc]
        os.kill(pids(tmp_path)[-1], signal.SIGKILL)
        took = wait_for(lambda count=count: len(pids(tmp_path)) == count + 1, 10)  # type: ignore[misc]
        if count == 1:
            assert took < 2
    parent.terminate()
    output, _ = parent.communicate(timeout=6)
    assert (parent.returncode, output) == (0, "")


def test_children_end_with_a_killed_parent(start: Start, tmp_path: Path) -> None:
    parent = start("good")
    ready(parent)
    parent.kill()
    assert wait_gone(pids(tmp_path)[0], 2)


def test_even_a_deaf_child_ends_with_a_killed_parent(start: Start, tmp_path: Path) -> None:
    parent = start("deaf")
    ready(parent)
    parent.kill()
    assert wait_gone(pids(tmp_path)[0], 3.5)


def test_a_deaf_child_is_killed_within_five_seconds_of_the_stop(start: Start, tmp_path: Path) -> None:
    parent = start("deaf")
    ready(parent)
    began = time.monotonic()
    parent.terminate()
    assert parent.wait(6) == 0
    assert 4 < time.monotonic() - began < 5.2
    assert wait_gone(pids(tmp_path)[0], 0.1)


def test_a_child_with_wrong_settings_is_not_tried_again(start: Start) -> None:
    parent = start("wrong-settings")
    output, _ = parent.communicate(timeout=10)
    assert (parent.returncode, output) == (2, "")


def test_a_child_that_never_starts_is_given_up(start: Start, tmp_path: Path) -> None:
    parent = start("never-starts")
    output, _ = parent.communicate(timeout=20)
    assert (parent.returncode, output) == (1, "")
    assert (tmp_path / "starts").read_text() == "xxx"


def test_hangup_reaches_the_child(start: Start, tmp_path: Path) -> None:
    parent = start("good")
    ready(parent)
    parent.send_signal(signal.SIGHUP)
    wait_for((tmp_path / "hangup").exists, 5)
    assert parent.poll() is None
