"""Fixtures of the API's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.api.fakes import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """The application with fakes around it."""
    made = Bench()
    yield made
    made.keys.close()
