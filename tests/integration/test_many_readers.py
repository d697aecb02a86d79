"""Ten thousand readers, held by a process of their own: all get every tick, and each costs little memory."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import tool
from tests.harness import Gateway

READERS, TICKS = 10_000, 5
#: each reader is an open file here and there
FILES = READERS + 512


def resident(gateway: Gateway) -> int:
    """Resident memory of the market process, bytes."""
    pages = Path(f"/proc/{gateway.child_pid()}/statm").read_text("utf-8").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cargo") is None, reason="the load tool needs Cargo")
@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < FILES, reason=f"needs a hard limit of {FILES} files"
)
def test_ten_thousand_readers_get_every_tick(record_property: Callable[[str, object], None]) -> None:
    tool.binary()
    with Gateway("--feed", "none") as gateway:
        before, began = resident(gateway), time.monotonic()
        with tool.spawn(
            "readers",
            key=gateway.add_key("crowd"),
            address=gateway.ws_url.removeprefix("ws://"),
            readers=READERS,
            symbols=1,
            in_flight=200,
            until="idle",
            idle_ms=3000,
            max_seconds=90,
        ) as readers:
            tool.next_line(readers)
            record_property("subscribed_after_s", round(time.monotonic() - began, 1))
            each = (resident(gateway) - before) // READERS
            record_property("bytes_per_reader", each)
            bus = gateway.zmq_url.removeprefix("tcp://")
            ticks = tool.run("publish", address=bus, rate=2, symbols=1, seconds=TICKS / 2)["sent"]
            report = tool.next_line(readers)
        record_property("report", str(report))
        assert ticks >= TICKS - 1
        assert report["frames"] == READERS * ticks, report
        assert (report["missing"], report["older"], report["foreign"], report["closes"]) == (0, 0, 0, {}), report
        assert each < 32_000, f"{each} bytes per reader"
