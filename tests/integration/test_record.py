"""The recorder on a real socket: nothing is lost at 20,000 ticks a second, and a loss is told."""

from __future__ import annotations

import io
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from gateway.model import Instrument
from gateway.tools import record
from gateway.tools.recording import Writer, read
from gateway.tools.stream import Place

from .fake_stream import native

ROOT = Path(__file__).parents[2]


class At:
    """Settings that know where the stream is."""

    def __init__(self, endpoint: str, keys: tuple[bytes, bytes] | None = None) -> None:
        self.endpoint = endpoint
        self.keys = keys

    def curve(self) -> tuple[bytes, bytes] | None:
        return self.keys

    def tick_stream_to_connect(self) -> str:
        return self.endpoint


@contextmanager
def publishing(count: int, rate: int, skip: int = -1) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    module = ["-m", "tests.integration.fake_stream"]
    command = [sys.executable, *module, "tcp://127.0.0.1:0", str(count), str(rate), str(skip)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
        assert process.stdin is not None
        process.stdin.close()


def recorded(file: Path, endpoint: str, done: Callable[[record.Recorder], bool], *symbols: Instrument) -> record.Result:
    """Records in a thread until `done`."""
    with Writer(file) as writer:
        recorder = record.Recorder(writer, symbols)
        results: queue.Queue[record.Result] = queue.Queue()
        thread = threading.Thread(target=lambda: results.put(recorder.run(Place(endpoint))))
        thread.start()
        deadline = time.monotonic() + 30
        while not done(recorder) and time.monotonic() < deadline:
            time.sleep(0.02)
        recorder.stop()
        thread.join()
        return results.get(timeout=1)


def test_nothing_is_lost_at_20000_ticks_per_second(tmp_path: Path) -> None:
    count = 60_000
    with publishing(count, 20_000) as (endpoint, process):
        result = recorded(tmp_path / "r", endpoint, lambda recorder: recorder.result.ticks >= count)
        assert process.stdout is not None
        seconds = float(process.stdout.readline())
    assert (result.ticks, result.lost, result.failure) == (count, 0, "")
    assert [(entry.topic, entry.payload, entry.arrival_ns) for entry in read(tmp_path / "r")] == [
        (*native(number), 1_000 + number) for number in range(count)
    ]
    if seconds > 4.0:
        pytest.skip(f"nothing lost, but this machine published only {count / seconds:.0f} ticks/s")


def test_a_lost_tick_is_counted(tmp_path: Path) -> None:
    with publishing(1_000, 20_000, skip=500) as (endpoint, _):
        result = recorded(tmp_path / "r", endpoint, lambda recorder: recorder.result.ticks >= 999)
    # Tick 500 itself never came, so its first copy passes for a tick of its own; the gap tells.
    assert (result.ticks, result.lost) == (1_000, 1)
    assert record._report(result, tmp_path / "r", Console(file=io.StringIO())) == 1


def test_symbols_become_subscriptions(tmp_path: Path) -> None:
    wanted = Instrument("NSE", "S1")
    with publishing(1_000, 5_000) as (endpoint, process):
        last = max(number for number in range(1_000) if native(number)[0] == b"NSE_S1_DEPTH")

        def done(recorder: record.Recorder) -> bool:
            return process.poll() is not None or recorder.result.ticks >= expected

        expected = sum(native(number)[0] == b"NSE_S1_DEPTH" for number in range(1_000))
        result = recorded(tmp_path / "r", endpoint, done, wanted)
    entries = list(read(tmp_path / "r"))
    assert {entry.topic for entry in entries} == {b"NSE_S1_DEPTH"}
    assert entries[-1].payload == native(last)[1]
    assert result.lost == 0


def test_the_command_stops_on_a_signal_and_reports(tmp_path: Path) -> None:
    file = tmp_path / "r"
    with publishing(200, 20_000) as (endpoint, _):
        code = (
            "import sys; from pathlib import Path; from gateway.tools import record\n"
            "class At:\n    def tick_stream_to_connect(self): return sys.argv[2]\n    def curve(self): pass\n"
            "sys.exit(record.run(Path(sys.argv[1]), At()))"
        )
        command = [sys.executable, "-c", code, str(file), endpoint]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
            deadline = time.monotonic() + 20
            while (not file.exists() or file.stat().st_size < 60_000) and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            _, text = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "200 ticks" in text
    assert len(list(read(file))) == 200


def test_wrong_arguments_and_a_full_disk(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    nowhere = At(f"ipc://{tmp_path}/none.sock")
    assert record.run(tmp_path / "r", nowhere, symbols=["SBIN"], console=console) == 2
    assert record.run(tmp_path, nowhere, console=console) == 2
    (tmp_path / "foreign").write_text("symbol,price\n1,2\n")
    assert record.run(tmp_path / "foreign", nowhere, console=console) == 2
    assert record.run(tmp_path / "r", nowhere, seconds=0.2, console=console) == 0
    assert isinstance(console.file, io.StringIO)
    assert "waiting for one" in console.file.getvalue()


def test_a_failing_disk_ends_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(writer: Writer, encoded: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, "append", full)
    with publishing(2_000, 20_000) as (endpoint, _):
        result = recorded(tmp_path / "r", endpoint, lambda recorder: bool(recorder.result.failure))
    assert "No space left" in result.failure
    assert record._report(result, tmp_path / "r", Console(file=io.StringIO())) == 1
