"""The unmodified `openalgo` SDK, in a process of its own, against `gateway serve --demo`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidMessage
from websockets.sync.client import connect

from tests.harness import ROOT, Gateway, clean_environment

Json = dict[str, Any]


@pytest.fixture(scope="module")
def demo() -> Iterator[Gateway]:
    with Gateway("--demo") as gateway:
        yield gateway


def start(gateway: Gateway, task: str, key: str = "") -> subprocess.Popen[str]:
    found = re.search(r"API key\s+(\S+)", gateway.log)
    assert found
    command = [sys.executable, "-m", "tests.integration.sdk_client", task, gateway.ws_url, key or found[1]]
    return subprocess.Popen(
        command, cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def steps(text: str) -> dict[str, Json]:
    """What the SDK process printed, by step; the SDK's own lines are passed over."""
    found = [json.loads(line) for line in text.splitlines() if line.startswith('{"step"')]
    return {line["step"]: line for line in found}


def run(gateway: Gateway, task: str, key: str = "") -> dict[str, Json]:
    with start(gateway, task, key) as process:
        out, complaint = process.communicate(timeout=60)
    assert process.returncode == 0, complaint
    return steps(out)


def test_every_call_of_its_feed_side(demo: Gateway) -> None:
    said = run(demo, "tour")
    assert said["connect"]["result"] is True
    for mode, fields in (("ltp", {"ltp"}), ("quote", {"open", "volume"}), ("depth", {"depth"})):
        step = said[f"subscribe_{mode}"]
        assert (step["result"], step["came"]) == (True, True), step
        assert step["frame"]["type"] == "market_data"
        assert fields <= set(step["frame"]["data"])
    assert said["get_ltp"]["result"]["ltp"]["NSE"]["RELIANCE"]["ltp"] > 0
    assert said["get_quotes"]["result"]["quote"]["NSE_INDEX"]["NIFTY"]["ltp"] > 0
    book = said["get_depth"]["result"]["depth"]["NSE"]["RELIANCE"]
    assert len(book["buyBook"]) == len(book["sellBook"]) == 5
    streams = {"ltp": True, "quote": True, "depth": True}
    for mode in streams:
        step = said[f"unsubscribe_{mode}"]
        streams[mode] = False
        assert step["result"] is True
        assert {name: count > 0 for name, count in step["still"].items()} == streams
    assert said["disconnect"]["connected"] is False


def test_a_wrong_key(demo: Gateway) -> None:
    said = run(demo, "refused", "w" * 64)
    assert (said["connect"]["result"], said["connect"]["authenticated"]) == (False, False)


def answers(gateway: Gateway) -> bool:
    try:
        with connect(gateway.ws_url, open_timeout=1):
            return True
    except (OSError, TimeoutError, InvalidMessage):
        return False


def test_a_killed_market_process_is_back_and_the_sdk_streams_on(
    demo: Gateway, record_property: Callable[[str, object], None]
) -> None:
    with start(demo, "again") as process:
        assert process.stdout is not None
        first = next(line for line in process.stdout if line.startswith('{"step"'))
        assert json.loads(first) == {"step": "streaming", "result": True}
        os.kill(demo.child_pid(), signal.SIGKILL)
        began = time.monotonic()
        while not answers(demo):
            assert time.monotonic() - began < 10
            time.sleep(0.02)
        took = time.monotonic() - began
        record_property("back_after_s", round(took, 2))
        out, complaint = process.communicate(timeout=60)
    assert process.returncode == 0, complaint
    said = steps(out)
    assert said["lost"]["result"] is True
    assert said["streaming again"]["result"] is True
    assert took < 2, f"back after {took:.2f} s"
