"""Quotes of the simulated market by asking."""

from __future__ import annotations

import json

import pytest

from adapters import registry
from adapters.base import FeedConfig
from adapters.simulated.quotes import SimulatedQuotes
from gateway.errors import FeedError
from gateway.model import Instrument

pytestmark = pytest.mark.asyncio

#: Monday 5 January 2026, 10:00 IST
NOW_NS = 1_767_587_400_000_000_000
SBIN, NIFTY = Instrument("NSE", "SBIN"), Instrument("NSE_INDEX", "NIFTY")


class Clock:
    def __init__(self) -> None:
        self.now = NOW_NS

    def __call__(self) -> int:
        return self.now


def made(clock: Clock, **options: object) -> SimulatedQuotes:
    return SimulatedQuotes(FeedConfig("simulated", options=options), clock)


async def test_the_same_moment_gives_the_same_quotes_however_often_one_asked() -> None:
    clock = Clock()
    often, once = made(clock, seed=7), made(clock, seed=7)
    await often.prepare()
    assert often.knows(SBIN)
    assert not often.knows(Instrument("NSE", "NOPE"))
    answers = []
    for _ in range(5):
        answers.append((await often.multiquotes([SBIN, NIFTY]))[SBIN])
        clock.now += 20_000_000_000
    assert len(set(answers)) == 5
    assert await often.multiquotes([SBIN, NIFTY]) == await once.multiquotes([SBIN, NIFTY])
    assert await made(clock, seed=8).multiquotes([SBIN]) != await once.multiquotes([SBIN])


async def test_quotes_are_whole_and_near_the_previous_close() -> None:
    source = made(Clock())
    await source.prepare()
    found = await source.multiquotes([*source._places, Instrument("NSE", "NOPE")])
    assert found.keys() == source._places.keys()
    for each, payload in found.items():
        quote = json.loads(payload)
        assert quote["low"] <= quote["ltp"] <= quote["high"], each
        assert quote["timestamp"] == NOW_NS // 1_000_000
    share = json.loads(found[SBIN])
    assert abs(share["ltp"] / share["close"] - 1) < 0.05
    assert {"open", "volume", "bid", "ask"} <= share.keys()


async def test_a_new_day_has_a_new_market() -> None:
    clock = Clock()
    source = made(clock)
    [before] = (await source.multiquotes([SBIN])).values()
    clock.now += 86_400_000_000_000
    [after] = (await source.multiquotes([SBIN])).values()
    # the same hour of another day: the same walk, at another time
    moved = {"timestamp": 0, "ltt": 0}
    assert json.loads(before) | moved == json.loads(after) | moved
    assert before != after


async def test_options_out_of_range() -> None:
    with pytest.raises(FeedError, match="SIMULATED_INSTRUMENTS"):
        await made(Clock(), instruments=0).prepare()


async def test_the_registry_makes_rest_halves_where_there_are_any() -> None:
    made_sources = {name: registry.create_quotes(FeedConfig(name)) for name in (*registry.ADAPTERS, "upstox")}
    assert {name for name, source in made_sources.items() if source} == set(registry.QUOTES)
    for name, source in made_sources.items():
        assert source is None or (source.name == name and source.batch > 0 and not source.knows(SBIN))
