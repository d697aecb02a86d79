"""The simulated server that each test gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.zerodha.bench import KEY, TOKEN
from tests.simulators.kite import KiteServer


@pytest.fixture
def server() -> Iterator[KiteServer]:
    with KiteServer(api_key=KEY, access_token=TOKEN, heartbeat=0.05) as running:
        yield running
