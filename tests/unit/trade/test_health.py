"""Freshness, judged by the clock that is given."""

from __future__ import annotations

from gateway.trade.health import SILENT_NS, STALE_NS, Health

T0 = 10**18


def test_feeds_are_stale_30_s_after_the_last_tick_while_something_is_wanted() -> None:
    health = Health(T0)
    assert not health.stale(T0 + 2 * STALE_NS), "nothing is wanted"
    health.wants(True, T0)
    health.on_tick(T0 + 5)
    assert not health.stale(T0 + STALE_NS)
    assert health.stale(T0 + 5 + STALE_NS)
    health.on_tick(T0 + 6 + STALE_NS)
    assert not health.stale(T0 + 6 + STALE_NS)


def test_patience_begins_with_the_want() -> None:
    health = Health(T0)
    health.on_tick(T0)
    health.wants(True, T0 + 10 * STALE_NS)
    health.wants(True, T0 + 10 * STALE_NS + 7)
    assert not health.stale(T0 + 11 * STALE_NS - 1)
    assert health.stale(T0 + 11 * STALE_NS)
    health.wants(False, T0 + 11 * STALE_NS)
    assert not health.stale(T0 + 20 * STALE_NS)


def test_a_market_process_that_says_nothing_is_silent() -> None:
    health = Health(T0)
    assert not health.silent(T0 + SILENT_NS - 1)
    assert health.silent(T0 + SILENT_NS)
    health.on_health([], T0 + SILENT_NS)
    assert not health.silent(T0 + SILENT_NS + 1)


def test_rows_that_make_no_sense_are_left_out() -> None:
    health = Health(T0)
    health.on_health(
        [
            {"name": "zerodha", "state": "connected", "last_tick_age_ms": 5, "subscribed": 3},
            {"name": "angel", "state": "refused", "last_tick_age_ms": None, "subscribed": True},
            {"name": 5, "state": "connected"},
            {},
        ],
        T0,
    )
    assert set(health.feeds) == {"zerodha", "angel"}
    assert (health.feeds["zerodha"].connected, health.feeds["zerodha"].subscribed) == (True, 3)
    assert (health.feeds["angel"].connected, health.feeds["angel"].authenticated) == (False, False)
    assert health.feeds["angel"].subscribed == 0


def test_age_of_the_newest_tick() -> None:
    health = Health(T0)
    assert health.tick_age_s(T0) == -1
    health.on_tick(T0)
    assert health.tick_age_s(T0 + 1_500_000_000) == 1.5
