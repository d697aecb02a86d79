"""Wants, waiting and subscribers of the market data service, on the real matcher and a stream by hand."""

# a Decimal equals an int
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson
import pytest
from gateway_matcher import Matcher

from gateway.model import Instrument, Mode
from gateway.trade import market_data
from gateway.trade.market_data import MarketData, Priority
from gateway.trade.ports import StreamTick
from gateway.trade.validation import Flag

pytestmark = pytest.mark.asyncio

SBIN, INFY = Instrument("NSE", "SBIN"), Instrument("NSE", "INFY")
S = 10**9


class Hall:
    """The service with a clock and a stream by hand; the matcher is the CRITICAL subscriber, as the desk is."""

    def __init__(self) -> None:
        self.ns = 10**18
        self.matcher = Matcher()
        self.topics: set[bytes] = set()
        self.prices = MarketData(self.matcher, 60.0, lambda: False, lambda: self.ns)
        self.prices.connect(self)
        self.prices.subscribe(Priority.CRITICAL, self.match)

    def subscribe(self, topic: bytes) -> None:
        self.topics.add(topic)

    def unsubscribe(self, topic: bytes) -> None:
        self.topics.remove(topic)

    def match(self, ticks: Sequence[StreamTick]) -> None:
        for tick in ticks:
            self.matcher.ingest(*tick)

    def tick(self, ltp: object, instrument: Instrument = SBIN, mode: Mode = Mode.QUOTE, **fields: Any) -> StreamTick:
        """One tick arrives."""
        self.ns += 1000
        payload = orjson.dumps({"ltp": ltp, **fields})
        tick = instrument.topic(mode), payload, self.ns, False
        self.prices.on_ticks([tick])
        return tick


async def test_wants_are_counted_by_holder() -> None:
    hall = Hall()
    hall.prices.hold("a", [SBIN])
    hall.prices.hold("a", [SBIN])
    hall.prices.hold("b", [SBIN, INFY])
    assert hall.topics == {one.topic(mode) for one in (SBIN, INFY) for mode in (Mode.LTP, Mode.QUOTE)}
    hall.prices.release("a", [SBIN])
    assert SBIN.topic(Mode.LTP) in hall.topics
    hall.prices.release("b", [SBIN])
    hall.prices.release("b", [SBIN])
    assert hall.topics == {INFY.topic(Mode.LTP), INFY.topic(Mode.QUOTE)}


async def test_what_is_held_before_the_stream_is_there_is_subscribed_then() -> None:
    hall = Hall()
    prices = MarketData(hall.matcher, 60.0)
    prices.hold("a", [INFY])
    prices.connect(hall)
    assert INFY.topic(Mode.QUOTE) in hall.topics


async def test_a_question_waits_for_the_first_tick_and_keeps_the_instrument_for_a_minute() -> None:
    hall = Hall()
    asked = asyncio.ensure_future(hall.prices.wait_for(SBIN))
    await asyncio.sleep(0)
    assert SBIN.topic(Mode.LTP) in hall.topics
    hall.tick(100.5, bid=100, ask=101)
    found = await asked
    assert found is not None
    assert found[:3] == (Decimal("100.5"), 100, 101)
    hall.ns += 59 * S
    hall.prices.let_go()
    assert hall.topics
    hall.ns += 2 * S
    hall.prices.let_go()
    assert not hall.topics


async def test_a_question_ends_after_its_time() -> None:
    hall = Hall()
    began = time.monotonic()
    assert await hall.prices.wait_for(SBIN, 0.05) is None
    assert await hall.prices.payload(SBIN, Mode.DEPTH, 0.05) is None
    assert time.monotonic() - began >= 0.1
    assert not hall.prices._waiting, "nothing is left behind"


async def test_old_prices_are_not_fresh_but_last() -> None:
    hall = Hall()
    hall.prices.hold("a", [SBIN])
    hall.tick(100)
    assert hall.prices.fresh(SBIN) is not None
    hall.ns += 61 * S
    assert hall.prices.fresh(SBIN) is None
    assert hall.prices.last(SBIN) == 100
    assert hall.prices.age_s(SBIN) == 61
    assert hall.prices.age_s(INFY) == float("inf")


async def test_depth_is_subscribed_only_while_it_is_asked_for() -> None:
    hall = Hall()
    asked = asyncio.ensure_future(hall.prices.payload(SBIN, Mode.DEPTH))
    await asyncio.sleep(0)
    assert SBIN.topic(Mode.DEPTH) in hall.topics
    hall.tick(100, mode=Mode.DEPTH, depth={"buy": [], "sell": []})
    assert (await asked) == {"ltp": 100, "depth": {"buy": [], "sell": []}}
    hall.ns += 61 * S
    hall.prices.let_go()
    assert not hall.topics


async def test_a_quote_of_a_released_instrument_is_waited_for_anew() -> None:
    hall = Hall()
    hall.prices.hold("a", [SBIN])
    hall.tick(100)
    assert (await hall.prices.payload(SBIN, Mode.QUOTE)) == {"ltp": 100}
    hall.prices.release("a", [SBIN])
    hall.ns += 61 * S
    hall.prices.let_go()
    asked = asyncio.ensure_future(hall.prices.payload(SBIN, Mode.QUOTE))
    await asyncio.sleep(0)
    assert not asked.done()
    hall.tick(90)
    assert (await asked) == {"ltp": 90}


async def test_questions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_data, "KEPT_MAX", 2)
    hall = Hall()
    for number in range(4):
        await hall.prices.wait_for(Instrument("NSE", f"S{number}"), 0.0)
    assert {one.symbol for one in hall.prices.held} == {"S2", "S3"}


async def test_subscribers_come_in_order_and_one_that_fails_holds_nobody_back() -> None:
    hall = Hall()
    hall.prices.hold("a", [SBIN, INFY])
    said: list[str] = []

    def broken(_ticks: Sequence[StreamTick]) -> None:
        said.append("broken")
        raise ValueError("no")

    low = hall.prices.subscribe(Priority.LOW, lambda ticks: said.append(f"low {len(ticks)}"))
    hall.prices.subscribe(Priority.NORMAL, lambda ticks: said.append("normal"))
    first = hall.prices.subscribe(Priority.HIGH, broken)
    hall.prices.subscribe(Priority.HIGH, lambda ticks: said.append("high"), only=[INFY])
    hall.tick(1)
    hall.tick(1, INFY)
    assert said == ["broken", "broken", "high"]
    await asyncio.sleep(0)
    assert said[3:] == ["normal", "low 2"]
    assert (first.failures, first.calls) == (2, 2)
    hall.prices.unsubscribe(low)
    hall.tick(1)
    await asyncio.sleep(0)
    assert said[-1] == "normal"


async def test_who_can_wait_gets_the_newest_of_each_topic_where_too_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_data, "LATER_MAX", 3)
    hall = Hall()
    hall.prices.hold("a", [SBIN, INFY])
    got: list[StreamTick] = []
    hall.prices.subscribe(Priority.NORMAL, got.extend)
    sent = [hall.tick(number, SBIN if number % 2 else INFY) for number in range(1, 7)]
    await asyncio.sleep(0)
    assert got[-1] == sent[-1]
    assert len(got) <= 3
    assert hall.prices.merged == 6 - len(got)


async def test_prices_that_look_wrong_are_flagged() -> None:
    hall = Hall()
    hall.prices.hold("a", [SBIN, INFY])
    hall.tick(100)
    hall.tick(119)
    assert hall.prices.validation.counts[Flag.JUMP] == 0
    hall.tick(90)
    assert hall.prices.validation.flags == {SBIN: Flag.JUMP}
    hall.tick(0)
    assert hall.prices.validation.flags[SBIN] is Flag.NO_PRICE
    hall.tick(5, INFY, timestamp=(hall.ns - 61 * S) / 1e6)
    assert hall.prices.validation.flags[INFY] is Flag.OLD_TIMESTAMP
    assert hall.prices.last(INFY) == 5, "a flag warns, it does not drop"


async def test_a_last_value_said_again_is_not_flagged() -> None:
    hall = Hall()
    hall.prices.hold("a", [SBIN])
    topic, payload, arrival_ns, _ = hall.tick(100)
    hall.prices.on_ticks([(topic, payload, arrival_ns, True)])
    assert not hall.prices.validation.flags


async def test_what_was_known_before_a_subscription_is_history() -> None:
    hall = Hall()
    hall.prices.hold("a", [SBIN])
    hall.tick(100)
    hall.prices.release("a", [SBIN])
    hall.prices.hold("a", [SBIN])
    assert hall.prices.fresh(SBIN) is None, "nobody has followed it meanwhile"
    assert hall.prices.last(SBIN) == 100
    hall.tick(90)
    found = hall.prices.fresh(SBIN)
    assert found is not None
    assert found.ltp == 90
