"""One venue for the tests of this folder that leave it as they found it; each has a user of its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.integration.trade.venue import Trader, Venue, venue

_NUMBERS = count(1)


@pytest.fixture(scope="package")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """A running gateway on the bus alone."""
    with venue(tmp_path_factory.mktemp("venue")) as running:
        yield running


@pytest.fixture
def trader(floor: Venue) -> Iterator[Trader]:
    """A user who has never traded."""
    made = Trader(floor.gateway.api_url, floor.gateway.add_key(f"user{next(_NUMBERS)}"))
    yield made
    made.close()
