"""Processes that are killed: the market process is back in time, and nothing outlives its parent."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
from websockets.exceptions import WebSocketException

from tests.harness import Gateway, wait_gone
from tests.integration.peers import Reader, Subscriber, stream_of, wait_for

TOPIC = b"NSE_RELIANCE_LTP"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with Gateway("--feed", "simulated", SIMULATED_RATE="2000") as running:
        yield running


def test_a_killed_market_process_is_back_within_two_seconds(gateway: Gateway) -> None:
    """Measured from the kill to a live tick at a reader; the tick stream's subscribers come back by themselves."""
    key = gateway.add_key("asha")
    took = []
    with Subscriber(stream_of(gateway), TOPIC) as stays:
        assert stays.next().topic == TOPIC
        for _ in range(2):
            old = gateway.child_pid()
            # Deaths soon after one another are a sign of a fault and wait longer on purpose.
            time.sleep(1.0)
            os.kill(old, signal.SIGKILL)
            began = time.monotonic()

            def reader() -> Reader | None:
                try:
                    return Reader(gateway.ws_url, key)
                except (OSError, WebSocketException):
                    return None

            with wait_for(reader) as back:
                back.subscribe("NSE", "RELIANCE")
                back.tick(2)
                took.append(time.monotonic() - began)
            while stays.raw(0):
                pass
            tick = stays.next(3)
            assert tick.sequence < 10_000, "numbers start anew"
            assert gateway.child_pid(other_than=old) != old
    print("back after", ", ".join(f"{seconds:.2f} s" for seconds in took))
    assert took[0] < 2.0, f"{took[0]:.2f} s"


def test_children_end_with_a_killed_parent() -> None:
    with Gateway("--feed", "simulated") as gateway:
        child = gateway.child_pid()
        gateway.kill()
        began = time.monotonic()
        assert wait_gone(child, 2.0), gateway.log
        print(f"gone after {time.monotonic() - began:.2f} s")
