"""`gateway record`, `gateway replay` and `gateway watch` on a real gateway, from a foreign publisher to a reader."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from bench import tool
from gateway.tools.recording import read
from tests.harness import Gateway
from tests.integration.peers import Reader, Subscriber, publisher, stream_of

RATE, SECONDS, SYMBOLS = 20_000, 3.0, 100


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with Gateway("--feed", "none") as running:
        yield running


@contextmanager
def recorder_on(gateway: Gateway, file: Path) -> Iterator[subprocess.Popen[str]]:
    """A running `gateway record` that has recorded its first tick."""
    command = [sys.executable, "-m", "gateway", "record", str(file)]
    recorder = subprocess.Popen(command, env=gateway.environment, cwd=gateway.home, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 20
        with publisher(gateway.zmq_url) as pub:
            while not file.exists() or file.stat().st_size < 50:
                assert recorder.poll() is None
                assert time.monotonic() < deadline
                pub.send_multipart([b"NSE_PROBE_LTP", b'{"ltp":1}'])
                time.sleep(0.1)
        time.sleep(0.5)
        yield recorder
    finally:
        recorder.kill()
        recorder.communicate()


@pytest.fixture(scope="module")
def recording(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of 20,000 ticks/s."""
    file = tmp_path_factory.mktemp("recording") / "ticks.rec"
    with recorder_on(gateway, file) as recorder:
        address = gateway.zmq_url.removeprefix("tcp://")
        said = tool.run("publish", address=address, rate=RATE, seconds=SECONDS, symbols=SYMBOLS, payload="depth")
        assert said["sent"] == RATE * SECONDS
        time.sleep(1.0)
        recorder.send_signal(signal.SIGINT)
        _, text = recorder.communicate(timeout=20)
        assert recorder.returncode == 0, text
    return file


def test_nothing_is_lost(recording: Path) -> None:
    numbers: dict[bytes, list[int]] = {}
    for record in read(recording):
        if record.topic != b"NSE_PROBE_LTP":
            numbers.setdefault(record.topic, []).append(orjson.loads(record.payload)["seq"])
    each = int(RATE * SECONDS) // SYMBOLS
    assert len(numbers) == SYMBOLS
    assert all(row == list(range(1, each + 1)) for row in numbers.values())


def test_the_replay_ends_on_the_same_last_prices(recording: Path, tmp_path: Path) -> None:
    last = {record.topic: orjson.loads(record.payload) for record in read(recording)}
    wanted = [topic.decode().split("_")[1] for topic in last]
    player = Gateway(home=tmp_path)
    key = player.add_key("asha")
    command = [sys.executable, "-m", "gateway", "replay", str(recording), "--speed", "0"]
    with subprocess.Popen(
        command, env=player.environment, cwd=player.home, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1].removeprefix("ws=")
        with Reader(url, key) as reader:
            symbols = [{"exchange": "NSE", "symbol": symbol} for symbol in wanted]
            assert reader.ask(action="subscribe", symbols=symbols, mode="LTP")["status"] == "success"
            seen: dict[bytes, object] = {}
            deadline = time.monotonic() + 20
            while seen != last and time.monotonic() < deadline:
                frame = reader.tick()
                mode = "LTP" if frame["symbol"] == "PROBE" else "DEPTH"
                seen[f"NSE_{frame['symbol']}_{mode}".encode()] = frame["data"]
            assert seen == last
        process.send_signal(signal.SIGTERM)
        assert process.wait(6) == 0


def test_watch_shows_a_price_on_a_terminal(gateway: Gateway) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gateway", "watch", "NSE:SHOWN"]
    environment = {**gateway.environment, "TERM": "xterm", "COLUMNS": "100", "LINES": "20"}
    process = subprocess.Popen(command, env=environment, cwd=gateway.home, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + 20
    with publisher(gateway.zmq_url) as pub:
        while b"1,234.55" not in re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", shown):
            assert time.monotonic() < deadline, shown[-2000:]
            pub.send_multipart([b"NSE_SHOWN_QUOTE", b'{"ltp":1234.55,"volume":7}'])
            if select.select([ours], [], [], 0.1)[0]:
                shown += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        while process.poll() is None and time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    os.read(ours, 65536)
                except OSError:  # the terminal's other end is closed
                    break
    assert process.wait(5) == 0
    os.close(ours)
    with Subscriber(stream_of(gateway), b"_health") as health:
        assert health.json(b"_health")["feeds"] == []
