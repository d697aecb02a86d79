"""The table of feeds and limits."""

from __future__ import annotations

import time

import pytest

from adapters import registry
from adapters.base import FeedConfig, Limits
from gateway.errors import SettingsError
from gateway.settings.brokers import NAMES, OWN_FEEDS

from .fakes import ListSink


@pytest.mark.parametrize("name", registry.names())
def test_every_named_adapter_can_be_made(name: str) -> None:
    adapter = registry.create(FeedConfig(name), ListSink(), time.time_ns)
    assert adapter.name == name
    assert adapter.config.name == name


def test_names_are_those_of_the_settings() -> None:
    known = {*NAMES, *OWN_FEEDS}
    assert set(registry.ADAPTERS) <= known
    assert set(registry.LIMITS) <= known


def test_an_unknown_name_is_refused_with_what_it_may_be() -> None:
    with pytest.raises(SettingsError, match=r"'nobody'.*replay, simulated, zerodha"):
        registry.create(FeedConfig("nobody"), ListSink(), time.time_ns)


def test_sizes_come_from_the_table_and_settings_lower_them() -> None:
    def limits(**options: object) -> Limits:
        return registry.limits_of(registry.create(FeedConfig("zerodha", options=options), ListSink(), time.time_ns))

    assert (limits().symbols_per_connection, limits().connections) == (3000, 3)
    lowered = limits(symbols_per_connection=100, connections=9)
    assert (lowered.symbols_per_connection, lowered.connections) == (100, 3)
    own = registry.adapter_class("zerodha").limits
    assert (lowered.silence_s, lowered.batch) == (own.silence_s, own.batch)
