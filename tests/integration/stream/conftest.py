"""One gateway on the bus alone, with short patience, for all tests of this folder that need no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import Gateway
from tests.integration.stream.client import Publisher

SHORT = {
    "WS_AUTH_GRACE_SECONDS": "1",
    "WS_PING_INTERVAL": "1",
    "WS_PING_TIMEOUT": "1",
    "WS_SLOW_CONSUMER_SECONDS": "3",
    "WS_AUTH_FAILURES_PER_MINUTE": "100000",
    "MESSAGE_THROTTLE_MS": "0",
}


@pytest.fixture(scope="package")
def gateway() -> Iterator[Gateway]:
    with Gateway("--feed", "none", home=None, **SHORT) as running:
        yield running


@pytest.fixture(scope="package")
def key(gateway: Gateway) -> str:
    return gateway.add_key("asha")


@pytest.fixture(scope="package")
def bus(gateway: Gateway) -> Iterator[Publisher]:
    publisher = Publisher(gateway)
    yield publisher
    publisher.close()
