"""One gateway with the simulated feed and the bus, its tick stream on TCP, for all tests here."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import zmq

from tests.harness import Gateway
from tests.integration.peers import publisher


@pytest.fixture(scope="package")
def endpoint() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(scope="package")
def gateway(endpoint: str) -> Iterator[Gateway]:
    with Gateway("--feed", "simulated", SIMULATED_RATE="500", MESSAGE_THROTTLE_MS="0", TICK_STREAM=endpoint) as running:
        yield running


@pytest.fixture(scope="package")
def key(gateway: Gateway) -> str:
    return gateway.add_key("asha")


@pytest.fixture(scope="package")
def pub(gateway: Gateway) -> Iterator[zmq.Socket[bytes]]:
    with publisher(gateway.zmq_url) as sock:
        yield sock
