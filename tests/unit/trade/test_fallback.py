"""When quotes are polled, and how sources that fail are treated."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.backoff import Backoff
from adapters.base import FeedConfig
from gateway.errors import FeedError, InstrumentError, TokenRefusedError
from gateway.model import Instrument
from gateway.trade import quoting
from gateway.trade.fallback import Fallback, Monitor
from gateway.trade.ports import StreamTick
from gateway.trade.quoting import OneOffs, QuoteLine, quote_sources, share

S = 1_000_000_000
A, B, C = (Instrument("NSE", name) for name in "ABC")


# ---- the monitor ----


def test_silence_starts_polling_and_the_first_live_tick_ends_it() -> None:
    monitor = Monitor()
    assert not monitor.look(100 * S, 99 * S, True)
    assert not monitor.look(128 * S, 99 * S, True)
    # the need began at 100 s, after the last tick
    assert not monitor.look(129 * S, 99 * S, True)
    assert monitor.look(130 * S, 99 * S, True)
    assert monitor.look(200 * S, 99 * S, True)
    assert not monitor.look(201 * S, 201 * S, True)
    assert not monitor.look(230 * S, 201 * S, True)
    assert monitor.look(231 * S, 201 * S, True)


def test_without_any_tick_polling_starts_at_once_and_without_a_need_never() -> None:
    monitor = Monitor()
    assert not monitor.look(0, None, False)
    assert not monitor.look(500 * S, None, False)
    assert not monitor.look(501 * S, None, True)
    assert monitor.look(502 * S, None, True)
    assert not monitor.look(503 * S, None, False)


def test_polling_mode_always_polls_and_a_switched_off_fallback_never() -> None:
    always, never = Monitor("polling", fallback=False), Monitor(fallback=False)
    for second in range(0, 100, 5):
        assert always.look(second * S, second * S, True)
        assert not never.look(second * S, None, True)


#: seconds until the next look, whether a tick came since, whether something is needed then
steps = st.lists(st.tuples(st.integers(1, 40), st.booleans(), st.booleans()), max_size=40)


@given(steps)
def test_the_monitor_is_the_naive_model(script: list[tuple[int, bool, bool]]) -> None:
    """The model replays the whole history at each look instead of keeping state about it."""
    monitor, now, ticks, looks = Monitor(), 0, list[int](), list[tuple[int, int | None, bool]]()
    for pause, ticked, needed in script:
        if ticked:
            ticks.append(now + pause)
        now += pause
        looks.append((now, ticks[-1] if ticks else None, needed))
        last = ticks[-1] * S if ticks else None
        assert monitor.look(now * S, last, needed) == _naive(looks)


def _naive(looks: list[tuple[int, int | None, bool]]) -> bool:
    began: int | None = None
    for at, (now, tick, needed) in enumerate(looks):
        idle = [moment for moment, (_, _, need) in enumerate(looks[: at + 1]) if not need]
        since = looks[idle[-1] + 1][0] if idle and idle[-1] < at else looks[0][0]
        if not needed:
            began = None
        elif began is not None:
            began = None if tick is not None and tick > began else began
        elif now - max(since, tick if tick is not None else since) >= (1 if tick is None else 30):
            began = now
    return began is not None


@given(st.lists(st.tuples(st.integers(0, 10**6), st.none() | st.integers(0, 10**6)), min_size=1, max_size=20))
def test_a_clock_that_jumps_cannot_hold_polling_for_ever(script: list[tuple[int, int | None]]) -> None:
    monitor = Monitor()
    for now, tick in script:
        monitor.look(now * S, None if tick is None else tick * S, True)
    now = script[-1][0]
    assert not monitor.look((now + 1) * S, (now + 1) * S, True)
    assert monitor.look((now + 32) * S, (now + 1) * S, True)


# ---- sources ----


class Source:
    """A QuoteSource that answers as the test says."""

    batch = 2

    def __init__(self, *known: Instrument, name: str = "one") -> None:
        self.name = name
        self.known = known
        self.error: Exception | None = None
        self.prepare_error: Exception | None = None
        self.delay = 0.0
        self.asked: list[list[Instrument]] = []
        self.busy = self.most_busy = 0
        self.tokens: list[str] = []
        self.closed = False

    async def prepare(self) -> None:
        if self.prepare_error is not None:
            raise self.prepare_error

    def knows(self, instrument: Instrument) -> bool:
        return instrument in self.known

    async def multiquotes(self, instruments: Sequence[Instrument]) -> dict[Instrument, bytes]:
        self.asked.append(list(instruments))
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            await asyncio.sleep(self.delay)
            if self.error is not None:
                raise self.error
            return {each: f'{{"ltp":{len(self.asked)}}}'.encode() for each in instruments if each in self.known}
        finally:
            self.busy -= 1

    def new_token(self, config: FeedConfig) -> None:
        self.tokens.append(config.access_token)

    async def close(self) -> None:
        self.closed = True


class Clock:
    """Seconds that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def line(source: Source, clock: Clock, **options: object) -> QuoteLine:
    return QuoteLine(source, clock=clock, rng=random.Random(1), backoff=Backoff(first=1.0, cap=8.0), **options)  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_a_source_that_fails_is_left_alone_longer_and_longer() -> None:
    source, clock = Source(A), Clock()
    asked = line(source, clock)
    source.error = FeedError("HTTP 503")
    tries = []
    while clock.now < 60:
        before = len(source.asked)
        assert await asked.ask([A]) is None
        if len(source.asked) > before:
            tries.append(clock.now)
        clock.now += 0.25
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert pauses[0] <= 1.25
    assert 4 <= pauses[-1] <= 8.25
    assert asked.failures == len(tries) < 20
    source.error = None
    clock.now += 8
    assert await asked.ask([A])
    # healed: the next failure starts from the shortest pause
    source.error = FeedError("HTTP 503")
    assert await asked.ask([A]) is None
    source.error = None
    clock.now += 1
    assert await asked.ask([A])


@pytest.mark.asyncio
async def test_an_answer_that_does_not_come_is_given_up() -> None:
    source = Source(A)
    source.delay = 30
    asked = line(source, Clock(), ask_s=0.02)
    began = time.monotonic()
    assert await asked.ask([A]) is None
    assert time.monotonic() - began < 10
    assert (asked.failures, source.busy) == (1, 0)


@pytest.mark.asyncio
async def test_a_refused_token_is_read_anew() -> None:
    source, clock = Source(A), Clock()
    asked = line(source, clock, credentials=lambda name: FeedConfig(name, access_token="fresh"))
    source.error = TokenRefusedError("HTTP 403")
    assert await asked.ask([A]) is None
    assert source.tokens == ["fresh"]

    def broken(name: str) -> FeedConfig:
        raise OSError("secret in the text")

    other = line(source, clock, credentials=broken)
    assert await other.ask([A]) is None
    assert source.tokens == ["fresh"]


@pytest.mark.asyncio
async def test_each_instrument_goes_to_the_first_source_that_knows_it() -> None:
    clock, first, second = Clock(), Source(A, B), Source(B, C, name="two")
    lines = [line(first, clock), line(second, clock)]
    shares = await share(lines, [C, B, A, B, Instrument("NSE", "NOPE")])
    assert [(each.source.name, own) for each, own in shares] == [("one", [B, A]), ("two", [C])]
    first.prepare_error = InstrumentError("no master")
    shares = await share(lines, [A, B, C])
    assert [(each.source.name, own) for each, own in shares] == [("two", [B, C])]
    assert lines[0].failures == 1


def test_feeds_without_a_rest_half_are_left_out() -> None:
    asked: list[str] = []

    def config_of(name: str) -> FeedConfig:
        asked.append(name)
        return FeedConfig(name)

    made = quote_sources(["zerodha", "replay", "simulated"], config_of, time.time_ns)
    assert [source.name for source in made] == asked == ["zerodha"]


# ---- one-off questions ----


@pytest.mark.asyncio
async def test_questions_are_asked_once_and_kept_for_a_second() -> None:
    source, clock = Source(A, B, C), Clock()
    source.delay = 0.02
    one_offs = OneOffs([line(source, clock)], clock=clock)
    answers = await asyncio.gather(one_offs.ask([A]), one_offs.ask([A, B]), one_offs.ask([A]))
    assert [list(found) for found in answers] == [[A], [A, B], [A]]
    assert source.asked == [[A, B]]
    clock.now = 0.9
    assert await one_offs.ask([A])
    assert len(source.asked) == 1
    clock.now = 1.0
    assert await one_offs.ask([A])
    assert source.asked == [[A, B], [A]]
    await one_offs.stop()


@pytest.mark.asyncio
async def test_what_is_asked_during_a_flight_travels_with_the_next() -> None:
    source, clock = Source(A, B, C), Clock()
    source.delay = 0.05
    one_offs = OneOffs([line(source, clock)], clock=clock)
    first = asyncio.create_task(one_offs.ask([A]))
    await until(lambda: source.busy)
    # the one who asked first gives up: the others still get theirs
    joined = asyncio.create_task(one_offs.ask([A, B]))
    later = asyncio.create_task(one_offs.ask([C]))
    await asyncio.sleep(0)
    first.cancel()
    assert list(await joined) == [A, B]
    assert list(await later) == [C]
    assert source.asked == [[A], [B, C]]
    assert source.most_busy == 1


@pytest.mark.asyncio
async def test_no_answer_is_no_error_and_is_kept_too(monkeypatch: pytest.MonkeyPatch) -> None:
    source, clock = Source(A), Clock()
    one_offs = OneOffs([line(source, clock)], clock=clock)
    assert await one_offs.ask([B]) == {}
    assert await one_offs.ask([]) == {}
    source.error = FeedError("down")
    assert await one_offs.ask([A]) == {}
    assert await one_offs.ask([A]) == {}
    assert source.asked == [[A]]
    clock.now = 100
    source.error = None
    monkeypatch.setattr(quoting, "MAX_WAITING", 1)
    assert len(await one_offs.ask([A, B])) == 1


@pytest.mark.asyncio
async def test_stopping_answers_those_who_wait() -> None:
    source = Source(A)
    source.delay = 60
    one_offs = OneOffs([line(source, Clock())])
    asked = asyncio.create_task(one_offs.ask([A]))
    await until(lambda: source.busy)
    await one_offs.stop()
    assert await asked == {}


# ---- the whole ----


class Health:
    """A Health that the test sets."""

    tick: int | None = None

    def last_tick_ns(self) -> int | None:
        return self.tick


def fallback(
    source: Source,
    health: Health,
    needed: Callable[[], Iterable[Instrument]],
    inject: Callable[[Sequence[StreamTick]], None],
    **options: object,
) -> Fallback:
    times = {"monitor_s": 0.01, "poll_s": 0.03, "watch_s": 0.01, "stale_s": 0.2, "start_s": 0.0}
    return Fallback([source], health, needed, inject, **{**times, **options})  # type: ignore[arg-type]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.mark.asyncio
async def test_a_feed_that_dies_is_replaced_and_comes_back() -> None:
    source, health, ticks = Source(A, B, C), Health(), list[StreamTick]()
    health.tick = time.time_ns()
    began = health.tick
    made = fallback(source, health, lambda: [A, B, C], ticks.extend)
    made.start()
    await until(lambda: ticks)
    assert made.polling
    assert ticks[0][2] - began >= 200_000_000
    await until(lambda: len(ticks) >= 6)
    # batches of the source's size, quotes as ticks of the stream
    assert {len(part) for part in source.asked} == {1, 2}
    assert {tick[0] for tick in ticks} == {b"NSE_A_QUOTE", b"NSE_B_QUOTE", b"NSE_C_QUOTE"}
    assert not any(tick[3] for tick in ticks)
    health.tick = time.time_ns()
    await until(lambda: not made.polling)
    assert made.polls >= 2
    assert made.last_poll_ns is not None
    await made.stop()
    assert source.closed


@pytest.mark.asyncio
async def test_a_quote_that_comes_after_the_feed_is_back_is_not_put_through() -> None:
    source, health, ticks = Source(A), Health(), list[StreamTick]()
    source.delay = 0.1
    made = fallback(source, health, lambda: [A], ticks.extend)
    made.start()
    await until(lambda: source.busy)
    health.tick = time.time_ns()
    await until(lambda: source.asked and not source.busy)
    await until(lambda: not made.polling)
    assert ticks == []
    await made.stop()


@pytest.mark.asyncio
async def test_polls_do_not_overlap_and_a_failing_receiver_does_not_end_them() -> None:
    source, calls = Source(A), list[int]()
    source.delay = 0.05

    def broken(ticks: Sequence[StreamTick]) -> None:
        calls.append(len(ticks))
        raise RuntimeError("receiver")

    made = fallback(source, Health(), lambda: [A], broken, poll_s=0.01)
    made.start()
    await until(lambda: len(calls) >= 3)
    assert source.most_busy == 1
    await made.stop()


@pytest.mark.asyncio
async def test_polling_mode_polls_beside_a_healthy_feed_and_only_what_is_needed() -> None:
    source, health, wanted, ticks = Source(A), Health(), list[Instrument](), list[StreamTick]()
    health.tick = time.time_ns() + 3600 * S
    made = fallback(source, health, lambda: list(wanted), ticks.extend, engine_type="polling")
    made.start()
    assert made.polling
    await asyncio.sleep(0.1)
    assert (made.polls, source.asked) == (0, [])
    wanted.append(A)
    await until(lambda: ticks)
    assert made.polling
    assert list(await made.quotes([A])) == [A]
    await made.stop()
    await made.stop()
