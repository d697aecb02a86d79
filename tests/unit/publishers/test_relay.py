"""The relay against a real outbox: order, cursors, refusals, pruning, switching modes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from sqlalchemy import Engine, func, select

from gateway.store.relay_tables import OutboxCursorRow, OutboxPoisonRow
from gateway.store.trade_tables import OutboxRow
from publishers import relay, relays
from publishers.base import Event, PoisonError, TransportDownError
from publishers.cursors import Outbox
from publishers.relays import Relays
from tests.unit.publishers.recorder import NOW, Recorder, store, until, write


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = store(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "FIRST_WAIT_S", 0.005)
    monkeypatch.setattr(relay, "LONGEST_WAIT_S", 0.02)
    monkeypatch.setattr(relays, "MEASURE_S", 0.02)


def group(engine: Engine, *publishers: Recorder) -> Relays:
    return Relays(Outbox(engine), publishers, lambda: NOW)


def cursors(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {row.publisher: row.event_id for row in connection.execute(select(OutboxCursorRow.__table__))}


async def run(engine: Engine, *publishers: Recorder, upto: int) -> None:
    """Runs until each publisher has come to event `upto`."""
    found = group(engine, *publishers)
    found.start()
    try:
        await until(lambda: all(one.cursor >= upto for one in found.relays))
    finally:
        await found.stop()


@pytest.mark.asyncio
async def test_everything_in_order_however_much_is_taken_at_once(engine: Engine) -> None:
    chance = random.Random(3)
    write(engine, 1_700)
    publisher = Recorder(act=lambda events: chance.randint(1, len(events)))
    found = group(engine, publisher)
    found.start()
    write(engine, 5)
    found.wake(1_705)
    await until(lambda: len(publisher.got) == 1_705)
    # another process writes, nobody wakes us
    write(engine, 1)
    await until(lambda: len(publisher.got) == 1_706)
    await found.stop()
    assert publisher.got == list(range(1, 1_707))
    assert publisher.stopped
    assert cursors(engine) == {"recorder": 1_706}


@pytest.mark.asyncio
async def test_a_transport_that_is_down_holds_back_only_itself(engine: Engine) -> None:
    down = [True]

    def act(events: Sequence[Event]) -> int:
        if down[0]:
            raise TransportDownError("no one there")
        return len(events)

    broken, fine = Recorder("broken", act), Recorder("fine")
    write(engine, 30, created=NOW - timedelta(seconds=61))
    found = group(engine, broken, fine)
    found.start()
    await until(lambda: [one.backlog.rows for one in found.relays] == [30, 0] and len(fine.got) == 30)
    assert not found.ready()
    assert found.status() == {
        "broken": "30 events wait, the oldest for 61 s; no one there", "fine": "all delivered",
    }  # fmt: skip
    text = generate_latest(found.registry).decode()
    assert 'gateway_outbox_backlog{publisher="broken"} 30.0' in text
    assert 'gateway_outbox_oldest_seconds{publisher="broken"} 61.0' in text
    assert 'gateway_outbox_published_total{publisher="fine"} 30.0' in text
    down[0] = False
    await until(lambda: len(broken.got) == 30 and found.ready())
    await found.stop()
    assert broken.got == fine.got == list(range(1, 31))
    assert found.relays[0].failures > 0


def _refuses(bad: int, error: Callable[[int], Exception]) -> Callable[[Sequence[Event]], int]:
    def act(events: Sequence[Event]) -> int:
        for index, event in enumerate(events):
            if event.id == bad:
                if index and not isinstance(error(bad), PoisonError):
                    return index
                raise error(bad)
        return len(events)

    return act


@pytest.mark.parametrize(
    "error",
    [
        lambda bad: PoisonError("too large", bad),
        lambda bad: ValueError("too large"),
    ],
    ids=["named", "unnamed"],
)
@pytest.mark.asyncio
async def test_poison_is_set_aside_whole_and_the_rest_goes_on(
    engine: Engine, error: Callable[[int], Exception]
) -> None:
    write(engine, 10)
    write(engine, 1, payload='{"n": 11}')
    write(engine, 9)
    publisher = Recorder(act=_refuses(11, error))
    await run(engine, publisher, upto=20)
    assert publisher.got == [number for number in range(1, 21) if number != 11]
    with engine.connect() as connection:
        row = connection.execute(select(OutboxPoisonRow.__table__)).one()
    assert (row.publisher, row.event_id, row.user_id, row.payload) == ("recorder", 11, "asha", '{"n": 11}')
    assert (row.tries, row.at, row.created) == (relay.TRIES_MAX, NOW, NOW)
    assert "too large" in row.reason


@pytest.mark.asyncio
async def test_switching_modes_loses_nothing(engine: Engine) -> None:
    """SOCKETIO → KAFKA → BOTH → SOCKETIO: what no publisher had delivered, the next one delivers."""
    write(engine, 10)
    first = Recorder("socketio")
    await run(engine, first, upto=10)
    write(engine, 5)
    kafka = Recorder("kafka")
    await run(engine, kafka, upto=15)
    assert kafka.got == [11, 12, 13, 14, 15]
    write(engine, 5)
    again, both = Recorder("socketio"), Recorder("kafka")
    await run(engine, again, both, upto=20)
    assert again.got == list(range(11, 21))
    assert both.got == list(range(16, 21))
    write(engine, 5)
    last = Recorder("socketio")
    await run(engine, last, upto=25)
    assert last.got == list(range(21, 26))
    assert cursors(engine) == {"socketio": 25, "kafka": 20}


@pytest.mark.asyncio
async def test_what_a_former_publisher_missed_for_good_is_said(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    write(engine, 5)
    await run(engine, Recorder("kafka"), upto=5)
    write(engine, 5)
    other = Recorder("socketio")
    await run(engine, other, upto=10)
    outbox = Outbox(engine)
    # a publisher that is not configured any more holds nothing back
    assert outbox.prune(("socketio",), NOW + timedelta(seconds=1), 1_000) == 10
    write(engine, 2)
    kafka = Recorder("kafka")
    await run(engine, kafka, upto=12)
    assert kafka.got == [11, 12]
    assert "events are gone" in capsys.readouterr().out


def test_pruning_keeps_what_is_young_or_not_delivered_by_all(engine: Engine) -> None:
    outbox = Outbox(engine)
    write(engine, 10, created=NOW - timedelta(hours=30))
    write(engine, 10, created=NOW)
    before = NOW - relays.KEEP
    assert outbox.prune(("a", "b"), before, 1_000) == 0
    outbox.place("a", NOW)
    outbox.place("b", NOW)
    outbox.save("a", 20, NOW)
    outbox.save("b", 7, NOW)
    assert outbox.prune(("a", "b"), before, 3) == 3
    assert outbox.prune(("a", "b"), before, 1_000) == 4
    assert outbox.prune(("a", "b"), before, 1_000) == 0
    assert outbox.prune((), before, 1_000) == 0
    outbox.save("b", 20, NOW)
    assert outbox.prune(("a", "b"), before, 1_000) == 3
    with engine.connect() as connection:
        assert connection.execute(select(func.min(OutboxRow.id), func.max(OutboxRow.id))).one() == (11, 20)
    # a number is not used again
    assert outbox.prune(("a", "b"), NOW + timedelta(seconds=1), 1_000) == 10
    write(engine, 1)
    assert [event.id for event in outbox.read(0, 10)] == [21]


def test_missed_events_of_one_user(engine: Engine) -> None:
    outbox = Outbox(engine)
    write(engine, 3)
    write(engine, 2, "ravi")
    write(engine, 3)
    assert [event.id for event in outbox.missed("asha", 2, 3)] == [3, 6, 7]
    assert [event.id for event in outbox.missed(None, 2, 3)] == [3, 4, 5]
    assert outbox.missed("nobody", 0, 3) == []
    with engine.connect() as connection:
        query = "EXPLAIN QUERY PLAN SELECT * FROM outbox WHERE id > 2 AND user_id = 'asha' ORDER BY id LIMIT 3"
        assert "ix_outbox_user_id_id" in str(connection.exec_driver_sql(query).all())


@pytest.mark.asyncio
async def test_a_publisher_that_has_later_events_moves_the_cursor(engine: Engine) -> None:
    class Holder(Recorder):
        async def resume(self, cursor: int) -> int:
            return cursor + 4

    write(engine, 6)
    publisher = Holder("holder")
    await run(engine, publisher, upto=6)
    assert publisher.got == [5, 6]


@pytest.mark.asyncio
async def test_a_publisher_that_fails_to_begin_is_tried_again(engine: Engine) -> None:
    class Late(Recorder):
        begun = 0

        async def resume(self, cursor: int) -> int:
            self.begun += 1
            if self.begun < 4:
                raise ValueError("not yet") if self.begun % 2 else TransportDownError("not yet")
            return cursor

    write(engine, 3)
    publisher = Late("late")
    await run(engine, publisher, upto=3)
    assert (publisher.begun, publisher.got) == (4, [1, 2, 3])


@pytest.mark.asyncio
async def test_an_error_of_ours_is_not_ready(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    found = group(engine, Recorder())

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Outbox, "read", broken)
    found.start()
    await until(lambda: not found.ready())
    assert "the relay ended" in found.status()["recorder"]
    await found.stop()
