"""Rate limits, `Idempotency-Key` and the memory of keys."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway import log
from gateway.api import idempotency
from gateway.api.keys import KEYS_MAX, TTL_S, Keys
from gateway.api.rates import Rate, Rates
from gateway.errors import CapacityError, StoreError
from tests.unit.api.fakes import KEY, ORDER, OTHER_KEY, Bench, Clock, FakeSettings, FakeVerifier

pytestmark = pytest.mark.asyncio


async def placed(bench: Bench, idem: str, key: str = KEY, path: str = "placeorder", **fields: Any) -> httpx.Response:
    """An order with an Idempotency-Key."""
    async with bench.client() as client:
        headers = {"Idempotency-Key": idem}
        return await client.post(f"/api/v1/{path}", json={"apikey": key, **ORDER, **fields}, headers=headers)


async def test_the_limit_counts_per_key_and_kind_and_says_when_to_come_again() -> None:
    bench = Bench(FakeSettings(order_rate_limit="3 per 5 second", smart_order_rate_limit="1 per minute"))
    assert [(await bench.post("placeorder", **ORDER)).status_code for _ in range(4)] == [200, 200, 200, 429]
    bench.clock.now += 1.5
    response = await bench.post("cancelorder", orderid="1")
    assert response.status_code == 429
    assert response.headers["retry-after"] == "4"
    assert response.json()["message"] == "too many requests: the order limit is 3 per 5 second for each key"
    # other keys and other kinds have limits of their own
    assert (await bench.post("placeorder", {"apikey": OTHER_KEY, **ORDER})).status_code == 200
    assert (await bench.post("funds")).status_code == 200
    smart = [(await bench.post("placesmartorder", **ORDER, position_size=1)).status_code for _ in range(2)]
    assert smart == [200, 429]
    bench.clock.now += 3.5
    assert (await bench.post("placeorder", **ORDER)).status_code == 200
    assert len(bench.service.calls) == 7
    bench.keys.close()


async def test_other_limits_are_taken_over_at_once() -> None:
    bench = Bench(FakeSettings(api_rate_limit="1 per minute"))
    assert [(await bench.post("funds")).status_code for _ in range(2)] == [200, 429]
    bench.app.state.rates.set(FakeSettings(api_rate_limit="3 per minute"))
    assert [(await bench.post("funds")).status_code for _ in range(3)] == [200, 200, 429]
    bench.keys.close()


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 5), st.integers(1, 4))
async def test_no_window_ever_holds_more_than_the_limit(steps: list[float], amount: int, seconds: int) -> None:
    clock = Clock()
    rates = Rates(FakeSettings(api_rate_limit=f"{amount} per {seconds} second"), clock)
    allowed: deque[float] = deque()
    for step in steps:
        clock.now += step
        recent = [at for at in allowed if at > clock.now - seconds]
        wait = rates.wait(Rate.API, 1)
        assert (wait == 0) == (len(recent) < amount)
        if wait == 0:
            allowed.append(clock.now)
        else:
            assert wait == pytest.approx(max(0.001, recent[-amount] + seconds - clock.now))


async def test_several_limits_in_one_setting() -> None:
    clock = Clock()
    rates = Rates(FakeSettings(order_rate_limit="2 per second; 3 per minute"), clock)
    waits = []
    for _ in range(4):
        clock.now += 0.6
        waits.append(round(rates.wait(Rate.ORDER, 1), 2))
    assert waits == [0, 0, 0, 58.2]


async def test_the_same_key_and_body_place_once(bench: Bench) -> None:
    first, second = await placed(bench, "a"), await placed(bench, "a")
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert len(bench.service.calls) == 1


async def test_requests_at_the_same_time_place_once(bench: Bench) -> None:
    bench.service.hold = asyncio.Event()
    waiting = [asyncio.create_task(placed(bench, "a")) for _ in range(5)]
    await asyncio.sleep(0.05)
    assert len(bench.service.calls) == 1
    # the first client goes away; the others still get its order
    waiting[0].cancel()
    await asyncio.sleep(0.01)
    bench.service.hold.set()
    answers = await asyncio.gather(*waiting[1:])
    assert len({answer.content for answer in answers}) == 1
    assert len(bench.service.calls) == 1


async def test_another_body_is_409_and_another_user_or_endpoint_is_another_key(bench: Bench) -> None:
    await placed(bench, "a")
    response = await placed(bench, "a", quantity="6")
    assert response.status_code == 409
    assert "Idempotency-Key was used with another body" in response.json()["message"]
    assert (await placed(bench, "a", OTHER_KEY, quantity="6")).status_code == 200
    assert (await placed(bench, "a", path="placesmartorder", position_size=1)).status_code == 200
    assert [call[0] for call in bench.service.calls] == ["asha", "ravi", "asha"]


async def test_refusals_are_given_again_but_not_those_that_may_pass(bench: Bench) -> None:
    answers = [await placed(bench, "a", symbol="POOR") for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert answers[0].status_code == 400
    assert len(bench.service.calls) == 1
    bench.service.fail = StoreError("away")
    assert (await placed(bench, "b")).status_code == 503
    bench.service.fail = None
    assert (await placed(bench, "b")).status_code == 200


async def test_after_an_unforeseen_fault_nothing_is_tried_twice(bench: Bench) -> None:
    bench.service.fail = ZeroDivisionError()
    assert (await placed(bench, "a")).status_code == 500
    bench.service.fail = None
    assert (await placed(bench, "a")).status_code == 500
    assert len(bench.service.calls) == 1


async def test_answers_are_kept_for_a_day(bench: Bench) -> None:
    await placed(bench, "a")
    bench.clock.now += idempotency.KEEP_S + 1
    assert "idempotent-replayed" not in (await placed(bench, "a")).headers
    assert len(bench.service.calls) == 2


async def test_the_oldest_answers_make_room(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "ANSWERS_MAX", 3)
    for name in "abcd":
        await placed(bench, name)
    assert "idempotent-replayed" in (await placed(bench, "d")).headers
    assert "idempotent-replayed" not in (await placed(bench, "a")).headers


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_a_useless_idempotency_key_is_400(bench: Bench, key: str) -> None:
    response = await placed(bench, key)
    assert response.status_code == 400
    assert response.json()["message"].startswith("Idempotency-Key has")


async def test_questions_ignore_the_idempotency_key(bench: Bench) -> None:
    for _ in range(2):
        await placed(bench, "a", path="orderbook")
    assert len(bench.service.calls) == 2


async def test_keys_are_remembered_shortly_and_looked_up_once() -> None:
    verifier, clock = FakeVerifier(), Clock()
    keys = Keys(verifier.verify, clock)
    found = await asyncio.gather(*[keys.look_up(KEY) for _ in range(20)])
    assert {user.user_id for user in found if user} == {"asha"}
    assert verifier.asked == 1
    del verifier.owners[KEY]
    clock.now += TTL_S - 0.01
    assert await keys.look_up(KEY) is not None
    clock.now += 0.02
    assert await keys.look_up(KEY) is None
    assert TTL_S < 1
    assert KEY not in repr(vars(keys))
    keys.close()


async def test_the_memory_of_keys_is_bounded_and_faults_are_not_remembered() -> None:
    verifier = FakeVerifier()
    keys = Keys(verifier.verify)
    for number in range(KEYS_MAX + 50):
        assert await keys.look_up(f"no-such-key-{number}") is None
    assert len(keys._known) == KEYS_MAX
    verifier.away = True
    with pytest.raises(StoreError):
        await keys.look_up(KEY)
    verifier.away = False
    assert await keys.look_up(KEY) is not None
    keys.close()


async def test_too_many_look_ups_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.api.keys.WAITING_MAX", 3)
    keys = Keys(FakeVerifier().verify)
    found = await asyncio.gather(*[keys.look_up(f"key {number}") for number in range(5)], return_exceptions=True)
    assert [type(one) for one in found].count(CapacityError) == 2
    keys.close()


@pytest.fixture
def logging_all(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """The gateway's own logging, every level."""
    root = logging.getLogger()
    before, level, defaults = list(root.handlers), root.level, structlog.get_config()
    log.configure("DEBUG", "json")
    yield capsys
    root.handlers[:] = before
    root.setLevel(level)
    structlog.configure(**defaults)


async def test_no_key_is_ever_logged_or_answered(bench: Bench, logging_all: pytest.CaptureFixture[str]) -> None:
    texts = [
        (await bench.post("placeorder", **ORDER)).text,
        (await bench.post("placeorder", **{**ORDER, "symbol": 5})).text,
        (await placed(bench, "a")).text,
        (await bench.raw(b'{"apikey":"%s", NaN' % KEY.encode())).text,
    ]
    bench.service.fail = ZeroDivisionError()
    texts.append((await bench.post("placeorder", **ORDER)).text)
    async with bench.client() as client:
        for path in ("instruments", "history", "nowhere", "placeorder"):
            texts.append((await client.get(f"/api/v1/{path}", params={"apikey": KEY})).text)
    written = logging_all.readouterr().err
    assert "request failed" in written
    assert KEY not in written + "".join(texts)
    assert KEY.encode() not in _exposed(bench)


def _exposed(bench: Bench) -> bytes:
    from prometheus_client import generate_latest

    found = generate_latest(bench.counts.registry)
    assert b'gateway_api_requests_total{endpoint="placeorder",status="200"}' in found
    return found
