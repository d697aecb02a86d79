"""Failed tries per address: counted, forgotten after a minute, bounded in memory."""

from __future__ import annotations

from gateway.stream import throttle
from gateway.stream.throttle import AuthThrottle

MINUTE = 60_000_000_000


def test_an_address_is_blocked_after_its_tries_and_free_a_minute_later() -> None:
    guard = AuthThrottle(3)
    for number in range(3):
        assert not guard.blocked("a", number)
        guard.failed("a", number)
    assert guard.blocked("a", 10)
    assert not guard.blocked("b", 10)
    assert guard.blocked("a", MINUTE - 1)
    assert not guard.blocked("a", MINUTE)
    guard.failed("a", MINUTE)
    assert not guard.blocked("a", MINUTE + 1)


def test_a_key_that_was_good_passes_a_blocked_address_until_it_fails() -> None:
    guard = AuthThrottle(1)
    guard.passed("good")
    guard.failed("proxy", 0, "bad")
    assert guard.blocked("proxy", 1, "bad")
    assert guard.blocked("proxy", 1, "other")
    assert not guard.blocked("proxy", 1, "good")
    guard.failed("proxy", 2, "good")
    assert guard.blocked("proxy", 3, "good")


def test_memory_is_bounded_and_holds_no_key() -> None:
    guard = AuthThrottle(1)
    for number in range(throttle.MAX_ADDRESSES + 5):
        guard.failed(f"10.0.{number}", number, "x")
        guard.passed(f"secret-{number}")
    assert len(guard._failures) == throttle.MAX_ADDRESSES
    assert len(guard._good) == throttle.MAX_KEYS
    assert not guard.blocked("10.0.0", 6)
    assert "secret-" not in repr(vars(guard))


def test_a_lower_limit_holds_at_once() -> None:
    guard = AuthThrottle(10)
    guard.failed("a", 0)
    guard.per_minute = 1
    assert guard.blocked("a", 1)
