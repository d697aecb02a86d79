"""One gateway on the bus alone for all tests here that do not end it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import zmq

from tests.harness import Gateway
from tests.integration.peers import Reader, publisher


@pytest.fixture(scope="package")
def gateway() -> Iterator[Gateway]:
    with Gateway("--feed", "none", MESSAGE_THROTTLE_MS="0") as running:
        yield running


@pytest.fixture(scope="package")
def key(gateway: Gateway) -> str:
    return gateway.add_key("asha")


@pytest.fixture
def reader(gateway: Gateway, key: str) -> Iterator[Reader]:
    with Reader(gateway.ws_url, key) as client:
        yield client


@pytest.fixture(scope="package")
def pub(gateway: Gateway) -> Iterator[zmq.Socket[bytes]]:
    with publisher(gateway.zmq_url) as sock:
        yield sock
