"""What holds of the writer on every database. The modules that run it bring the fixture `engine`."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import OperationalError

from gateway.errors import CapacityError, StoreError
from gateway.model import Instrument
from gateway.store.outbox import NewEvent, append_events
from gateway.store.trade_tables import OutboxRow, TradeRow, TradeWriterRow
from gateway.trade import books
from gateway.trade import writer as writer_module
from gateway.trade.audit import audit
from gateway.trade.commit import TERM
from gateway.trade.ports import Kept, OutEvent
from gateway.trade.writer import Writer
from tests.unit.trade.children import CHILD, HOLD, spawned
from tests.unit.trade.clerk import EVER, Clerk, doubled, loaded, running, same_books
from tests.unit.trade.desk import NOON, RECORDS, ask_gtt


@pytest.mark.asyncio
class WriterCases:
    """Inherited by a test class for each database."""

    async def test_what_was_written_is_loaded_again(self, engine: Engine) -> None:
        assert books.newest_id(engine) == 0
        async with running(engine) as writer:
            clerk = Clerk(writer)
            filled = clerk.buy()
            futures = [clerk.submit(filled, Kept("k1", "d" * 64, 200, b'{"status":"success"}'))]
            resting = clerk.rest()
            futures.append(clerk.submit(resting, None, OutEvent("analyzer_update", b"{}")))
            ask = ask_gtt("BUY", 2, triggerprice_sl="90.05", price="90")
            gtt = clerk.account.place_gtt(ask, RECORDS["SBIN"], clerk.now)
            futures.append(clerk.submit(gtt))
            assert await asyncio.gather(*futures) == [None] * 3
        same_books(engine, clerk)
        assert [trade.orderid for trade in loaded(engine).trades] == [filled.orderid]
        assert books.newest_id(engine) == int(gtt.orderid)
        assert books.find_order(engine, "asha", resting.orderid) == clerk.ledger.orders[resting.orderid]
        assert books.find_order(engine, "ravi", resting.orderid) is None
        assert books.find_gtt(engine, "asha", gtt.orderid) == clerk.ledger.gtts[gtt.orderid]
        assert books.kept_answer(engine, "asha", "k1") == Kept("k1", "d" * 64, 200, b'{"status":"success"}')
        assert books.kept_answer(engine, "asha", "k2") is None
        told = books.missed(engine, "asha", 0, 10)
        assert [json.loads(payload)["seq"] for payload in told] == list(range(1, clerk.state.seq + 1))
        assert len(told) > 1
        assert books.missed(engine, "asha", 1, 10) == told[1:]
        assert books.missed(engine, "asha", 0, 1) == told[:1]
        assert books.users(engine) == ["asha"]
        assert audit(engine) == []

    async def test_what_waits_is_written_in_one_commit(self, engine: Engine) -> None:
        newest: list[int] = []
        writer = Writer(engine, on_commit=newest.append)
        clerks = [Clerk(writer, f"user{n % 5}") for n in range(5)]
        order: list[int] = []
        futures = []
        for n in range(100):
            future = clerks[n % 5].submit(clerks[n % 5].buy(1))
            future.add_done_callback(lambda _, n=n: order.append(n))  # type: ignore[misc]
            futures.append(future)
        assert writer.waiting == 100
        writer.start()
        assert await asyncio.gather(*futures) == [None] * 100
        await asyncio.to_thread(writer.stop)
        assert (writer.batches, writer.transactions, writer.failures, writer.waiting) == (1, 100, 0, 0)
        assert writer.last_commit_s > 0
        assert order == list(range(100))
        with engine.connect() as connection:
            ids = connection.scalars(select(OutboxRow.id).order_by(OutboxRow.id)).all()
            numbers = connection.scalars(select(TradeRow.number).order_by(TradeRow.orderid)).all()
            assert connection.execute(select(TradeWriterRow.batch % TERM, TradeWriterRow.number)).one() == (1, 100)
        assert newest == [ids[-1]]
        assert numbers == list(range(1, 101))
        assert audit(engine) == []

    async def test_a_batch_is_bounded(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(writer_module, "BATCH_MAX", 10)
        writer = Writer(engine)
        clerk = Clerk(writer)
        futures = [clerk.submit(clerk.rest()) for _ in range(25)]
        writer.start()
        assert await asyncio.gather(*futures) == [None] * 25
        await asyncio.to_thread(writer.stop)
        assert writer.batches == 3
        same_books(engine, clerk)

    async def test_too_many_may_not_wait(self, engine: Engine) -> None:
        writer = Writer(engine, most_waiting=2)
        clerk = Clerk(writer)
        futures = [clerk.submit(clerk.rest()) for _ in range(2)]
        with pytest.raises(CapacityError) as caught:
            clerk.submit(clerk.rest())
        assert caught.value.limit == 2
        writer.start()
        assert await asyncio.to_thread(writer.stop)
        assert await asyncio.gather(*futures) == [None] * 2, "a stop commits what is queued"
        with pytest.raises(CapacityError):
            clerk.submit(clerk.rest())

    async def test_a_doubled_fill_fails_with_what_was_built_on_it_and_nothing_else(self, engine: Engine) -> None:
        writer = Writer(engine)
        asha, ravi = Clerk(writer), Clerk(writer, "ravi")
        first = asha.buy()
        good = [asha.submit(first), ravi.submit(ravi.buy())]
        kept = asha.state
        bad = [asha.submit(doubled(first))]
        good.append(ravi.submit(ravi.rest()))
        later = asha.rest()
        bad.append(asha.submit(later))
        good.append(ravi.submit(ravi.buy()))
        writer.start()
        assert await asyncio.gather(*good) == [None] * 4
        assert [type(error) for error in await asyncio.gather(*bad)] == [StoreError] * 2
        assert writer.failures == 2
        assert isinstance(await asha.submit(Clerk(writer).rest()), StoreError), "of the same generation"
        asha.take_back(later, kept)
        assert await asha.submit(asha.rest()) is None
        await asyncio.to_thread(writer.stop)
        same_books(engine, asha)
        same_books(engine, ravi)
        assert audit(engine) == []

    async def test_what_cannot_be_written_fails_alone(self, engine: Engine) -> None:
        writer = Writer(engine)
        clerks = [Clerk(writer, f"user{n}") for n in range(20)]
        broken = OutEvent("analyzer_update", b"\xff")
        futures = [
            clerk.submit(clerk.rest(), None, *([broken] if n in (3, 4, 19) else [])) for n, clerk in enumerate(clerks)
        ]
        writer.start()
        outcomes = await asyncio.gather(*futures)
        await asyncio.to_thread(writer.stop)
        assert [n for n, outcome in enumerate(outcomes) if outcome is not None] == [3, 4, 19]
        assert books.users(engine) == sorted(f"user{n}" for n in range(20) if n not in (3, 4, 19))

    async def test_another_process_may_hold_the_lock_for_a_second(self, engine: Engine) -> None:
        async with running(engine) as writer:
            clerk = Clerk(writer)
            other = spawned(HOLD, engine, "1")
            assert other.stdout is not None
            with other, other.stdout:
                assert await asyncio.to_thread(other.stdout.readline) == b"locked\n"
                begun = time.monotonic()
                assert await clerk.submit(clerk.buy()) is None
                assert time.monotonic() - begun > 0.5
            assert other.returncode == 0
        with engine.connect() as connection:
            told = connection.scalars(select(OutboxRow.event_type).order_by(OutboxRow.id)).all()
        assert told == ["key_change"] + ["order_update"] * clerk.state.seq
        same_books(engine, clerk)

    @pytest.mark.parametrize("reached", [True, False])
    async def test_a_lost_commit_is_found_or_repeated(
        self, engine: Engine, reached: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with running(engine) as writer:
            clerk = Clerk(writer)
            assert await clerk.submit(clerk.buy()) is None
            real, lost = Connection.commit, list[int]()

            def commit(connection: Connection) -> None:
                if reached or lost:
                    real(connection)
                if not lost:
                    lost.append(1)
                    raise OperationalError("COMMIT", {}, Exception("the server has gone away"))

            monkeypatch.setattr(Connection, "commit", commit)
            futures = [clerk.submit(clerk.buy()), clerk.submit(clerk.rest())]
            assert await asyncio.gather(*futures) == [None] * 2
            assert lost
            assert await clerk.submit(clerk.rest()) is None
        same_books(engine, clerk)
        assert len(loaded(engine).trades) == 2
        assert audit(engine) == []

    async def test_patience_ends_and_begins_anew(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        away: list[int] = []
        async with running(engine, patience_s=0.2) as writer:
            clerk = Clerk(writer)
            assert await clerk.submit(clerk.buy()) is None
            real = Engine.connect

            def connect(one: Engine) -> Connection:
                away.append(1)
                raise OperationalError("connect", {}, Exception("connection refused"))

            monkeypatch.setattr(Engine, "connect", connect)
            writer._committer.recover()
            kept, first, second = clerk.state, clerk.rest(), clerk.rest()
            outcomes = await asyncio.gather(clerk.submit(first), clerk.submit(second))
            assert [type(outcome) for outcome in outcomes] == [StoreError] * 2
            assert "refused" not in str(outcomes[0])
            assert len(away) > 2, "it was tried again"
            monkeypatch.setattr(Engine, "connect", real)
            clerk.account.undo(second)
            clerk.take_back(first, kept)
            assert await clerk.submit(clerk.rest()) is None
        same_books(engine, clerk)

    async def test_a_stop_does_not_wait_for_a_database_that_is_away(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writer = Writer(engine, patience_s=600)
        writer.start()
        clerk = Clerk(writer)

        def connect(one: Engine) -> Connection:
            raise OperationalError("connect", {}, Exception("connection refused"))

        monkeypatch.setattr(Engine, "connect", connect)
        futures = [clerk.submit(clerk.rest()) for _ in range(3)]
        assert not await asyncio.to_thread(writer.stop, 0.3)
        assert [type(outcome) for outcome in await asyncio.gather(*futures)] == [StoreError] * 3

    async def test_nothing_is_written_after_a_commit_that_nobody_can_tell_of(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writer = Writer(engine, patience_s=0.1)
        writer.start()
        clerk = Clerk(writer)
        real = Engine.connect
        assert await clerk.submit(clerk.rest()) is None
        kept = clerk.state

        def commit(connection: Connection) -> None:
            monkeypatch.setattr(Engine, "connect", away)
            raise OperationalError("COMMIT", {}, Exception("the server has gone away"))

        def away(one: Engine) -> Connection:
            raise OperationalError("connect", {}, Exception("connection refused"))

        monkeypatch.setattr(Connection, "commit", commit)
        lost = clerk.rest()
        future = clerk.submit(lost)
        await asyncio.sleep(0.5)
        assert not future.done(), "longer than patience: it may have been written"
        clerk.take_back(lost, kept)
        later = clerk.submit(clerk.rest())
        assert not await asyncio.to_thread(writer.stop, 0.1)
        assert [type(one) for one in await asyncio.gather(future, later)] == [StoreError] * 2
        monkeypatch.undo()
        assert Engine.connect is real
        assert len(loaded(engine).orders) == 1

    async def test_an_audit_beside_the_writer_sees_whole_transactions(self, engine: Engine) -> None:
        async with running(engine) as writer:
            clerk = Clerk(writer)
            futures = [clerk.submit(clerk.buy())]
            for number in range(20):
                futures += [clerk.submit(clerk.buy(1, ltp=100 + number)) for _ in range(20)]
                assert await asyncio.to_thread(audit, engine) == []
            assert await asyncio.gather(*futures) == [None] * len(futures)
            assert writer.batches > 1
        assert audit(engine) == []

    async def test_a_second_writer_ends_the_first(self, engine: Engine) -> None:
        async with running(engine) as first:
            clerk = Clerk(first)
            assert await clerk.submit(clerk.buy()) is None
            kept = clerk.state
            async with running(engine) as second:
                lost = clerk.rest()
                error = await clerk.submit(lost)
                assert isinstance(error, StoreError)
                assert "another trade process" in str(error)
                assert first.superseded
                clerk.take_back(lost, kept)
                clerk.writer = second
                assert await clerk.submit(clerk.rest()) is None
        same_books(engine, clerk)

    async def test_two_days_in_one_batch(self, engine: Engine) -> None:
        writer = Writer(engine)
        clerk = Clerk(writer)
        futures = []
        for ltp in (100, 110, 120):
            futures += [clerk.submit(clerk.buy(product="CNC", ltp=ltp))]
            futures += [clerk.submit(clerk.buy(4, action="SELL", product="CNC", ltp=ltp + 1))]
            clerk.now += timedelta(days=1)
            futures += [clerk.submit(clerk.account.settle(clerk.now))]
        futures += [clerk.submit(clerk.account.reset(clerk.now + timedelta(seconds=1)))]
        clerk.now += timedelta(hours=1)
        futures += [clerk.submit(clerk.buy(product="CNC"))]
        futures += [clerk.submit(clerk.buy(3, action="SELL", product="CNC", ltp=101))]
        writer.start()
        assert await asyncio.gather(*futures) == [None] * len(futures)
        await asyncio.to_thread(writer.stop)
        same_books(engine, clerk)
        assert audit(engine) == []
        with engine.connect() as connection:
            daily = connection.execute(text("SELECT epoch, realised FROM daily_pnl ORDER BY epoch, day")).all()
        found = [(epoch, int(Decimal(realised))) for epoch, realised in daily]
        assert found == [(0, 4), (0, 4), (0, 4), (1, 3)]

    async def test_prices_and_old_answers(self, engine: Engine) -> None:
        sbin, infy = Instrument("NSE", "SBIN"), Instrument("BSE", "INFY")
        async with running(engine) as writer:
            clerk = Clerk(writer)
            clerk.submit(clerk.rest(), Kept("old", "d", 200, b"{}"))
            clerk.now += timedelta(days=2)
            await clerk.submit(clerk.rest(), Kept("new", "d", 200, b"{}"))
            writer.save_prices([(sbin, Decimal("100.05"), NOON), (infy, Decimal(7), NOON)])
            writer.save_prices([(sbin, Decimal("100.10"), NOON)])
            writer.tidy(NOON + timedelta(days=1))
        assert books.last_prices(engine) == {sbin: Decimal("100.1"), infy: Decimal(7)}
        assert books.kept_answer(engine, "asha", "old") is None
        assert books.kept_answer(engine, "asha", "new") is not None
        async with running(engine) as writer:
            writer.save_prices([(sbin, Decimal("0.05"), NOON)])
        assert books.last_prices(engine)[sbin] == Decimal("0.05")

    async def test_a_done_that_raises_hurts_nobody(self, engine: Engine) -> None:
        writer = Writer(engine)
        clerk = Clerk(writer)

        def broken(_: Any) -> None:
            raise RuntimeError("careless")

        clerk.submit(clerk.rest())
        writer._queue[0].done = broken
        future = clerk.submit(clerk.rest())
        writer.start()
        assert await future is None
        await asyncio.to_thread(writer.stop)

    async def test_events_of_others_take_their_turn(self, engine: Engine) -> None:
        with engine.begin() as connection:
            append_events(connection, [NewEvent("asha", "key_change", '{"n":1}', NOON), NewEvent("x", "y", "{}", NOON)])
        async with running(engine) as writer:
            clerk = Clerk(writer)
            assert await clerk.submit(clerk.rest()) is None
            with engine.begin() as connection:
                append_events(connection, [NewEvent("asha", "key_change", '{"n":2}', NOON)])
            assert await clerk.submit(clerk.rest()) is None
        with engine.connect() as connection:
            told = connection.scalars(select(OutboxRow.event_type).order_by(OutboxRow.id)).all()
        assert told == ["key_change", "y", "order_update", "key_change", "order_update"]
        assert audit(engine) == []

    async def test_kill_9_leaves_whole_batches_only(self, engine: Engine) -> None:
        child = spawned(CHILD, engine)
        assert child.stdout is not None
        told: dict[str, int] = {}
        with child, child.stdout:
            for count, line in enumerate(child.stdout, 1):
                if line.endswith(b"\n"):
                    name, number = line.decode().split()
                    told[name] = int(number)
                if count == 700:
                    child.kill()
        assert len(told) == 20
        stored = {one.user_id: one for one in books.load_users(engine, EVER)}
        for user, seq in told.items():
            assert stored[user].state.seq >= seq, "an acknowledged order is lost"
            assert len(stored[user].trades) == len(stored[user].orders)
        assert audit(engine) == []
        # the next life of the writer goes on
        async with running(engine) as writer:
            clerk = Clerk(writer, "next")
            assert await clerk.submit(clerk.buy()) is None
        assert audit(engine) == []
