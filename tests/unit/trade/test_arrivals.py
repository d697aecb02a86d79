"""Live or replayed, and what was lost: `Arrivals` against what a patient reader would say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.trade.arrivals import Arrivals

TOPIC = b"NSE_SBIN_LTP"


def subscribed(at: int = 100) -> Arrivals:
    arrivals = Arrivals()
    arrivals.connected(at - 50)
    arrivals.subscribed(TOPIC, at)
    return arrivals


def test_a_last_value_from_before_the_subscription_is_a_replay() -> None:
    arrivals = subscribed(at=100)
    assert arrivals.is_replay(TOPIC, 7, 90)
    assert not arrivals.is_replay(TOPIC, 8, 120)
    assert arrivals.lost_total == 0


def test_a_first_tick_from_after_the_subscription_is_live() -> None:
    assert not subscribed(at=100).is_replay(TOPIC, 1, 101)


def test_a_last_value_said_again_is_a_replay() -> None:
    arrivals = subscribed()
    assert not arrivals.is_replay(TOPIC, 1, 110)
    arrivals.connected(200)
    assert arrivals.is_replay(TOPIC, 1, 110)


def test_a_last_value_after_a_gap_in_the_connection_is_a_replay() -> None:
    arrivals = subscribed()
    assert not arrivals.is_replay(TOPIC, 1, 110)
    arrivals.connected(200)
    assert arrivals.is_replay(TOPIC, 5, 150), "it came while nobody was connected: no order may fill on it"
    assert arrivals.lost_total == 3


def test_a_market_process_that_started_anew_begins_at_one() -> None:
    arrivals = subscribed()
    for sequence in range(1, 6):
        arrivals.is_replay(TOPIC, sequence, 100 + sequence)
    arrivals.connected(200)
    assert not arrivals.is_replay(TOPIC, 1, 210)
    assert (arrivals.restarts, arrivals.lost_total) == (1, 0)


def test_a_topic_left_and_taken_again_counts_no_loss() -> None:
    arrivals = subscribed()
    arrivals.is_replay(TOPIC, 1, 110)
    arrivals.unsubscribed(TOPIC)
    arrivals.subscribed(TOPIC, 500)
    assert arrivals.is_replay(TOPIC, 90, 490)
    assert arrivals.lost_total == 0


@given(st.sets(st.integers(1, 60)))
def test_every_number_that_did_not_come_is_counted(dropped: set[int]) -> None:
    arrivals = subscribed()
    came = [number for number in range(1, 62) if number not in dropped]
    for number in came:
        assert not arrivals.is_replay(TOPIC, number, 100 + number)
    assert arrivals.lost_total == len([number for number in dropped if number > came[0]])
