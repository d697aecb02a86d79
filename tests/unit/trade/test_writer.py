"""gateway.trade.writer on SQLite files."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, text

from gateway.errors import StoreError
from gateway.home import Home
from gateway.model import Instrument
from gateway.store.migrate import open_store
from gateway.trade.audit import audit
from gateway.trade.core.errors import OrderError
from gateway.trade.writer import Writer
from tests.unit.trade.clerk import Clerk, running, same_books
from tests.unit.trade.desk import RECORDS, ask_gtt, dec
from tests.unit.trade.writer_cases import WriterCases


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_store(f"sqlite:///{tmp_path}/gateway.db", Home(tmp_path))
    yield engine
    engine.dispose()


class TestOnSqlite(WriterCases):
    """The common cases."""


@pytest.mark.asyncio
async def test_a_lock_that_lasts_longer_than_one_statement_waits_is_tried_again(engine: Engine) -> None:
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=0"))
    engine.dispose()
    async with running(engine) as writer:
        clerk = Clerk(writer)
        with engine.connect() as other:
            other.exec_driver_sql("BEGIN IMMEDIATE")
            future = clerk.submit(clerk.buy())
            await asyncio.sleep(0.3)
            assert not future.done()
            other.rollback()
        assert await future is None
    same_books(engine, clerk)


def test_a_database_without_its_row_is_an_error(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM trade_writer"))
    with pytest.raises(StoreError, match="trade_writer"):
        Writer(engine).start()


PICK = st.integers(0, 10**6)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["place"] * 5 + ["fill"] * 3 + ["cancel", "gtt", "day", "day", "reset"]),
        st.sampled_from(sorted(RECORDS)),
        st.sampled_from(["BUY", "SELL"]),
        st.sampled_from(["MARKET", "LIMIT", "SL", "SL-M"]),
        st.integers(1, 40),
        st.booleans(),
        PICK,
    ),
    max_size=40,
)


def perform(clerk: Clerk, step: tuple[Any, ...]) -> Iterator[Any]:
    """The changes of one random step."""
    what, symbol, action, kind, price, delivery, number = step
    record, account, ledger = RECORDS[symbol], clerk.account, clerk.ledger
    product = "MIS" if not delivery else "CNC" if record.exchange in ("NSE", "BSE") else "NRML"
    cost, lots = dec(price) * dec("2.5"), record.lotsize * (number % 4 + 1)
    if what == "place":
        yield clerk.buy(lots, dec(number % 40 + 1), action, symbol=symbol, pricetype=kind, price=cost,
                        trigger_price=cost, product=product)  # fmt: skip
    elif what in ("fill", "cancel") and ledger.resting:
        orderid = list(ledger.resting)[number % len(ledger.resting)]
        yield account.fill(orderid, cost, clerk.now) if what == "fill" else account.cancel(orderid, clerk.now)
    elif what == "gtt":
        ask = ask_gtt(action, lots, symbol, product=product, triggerprice_sl=cost, price=cost)
        yield account.place_gtt(ask, record, clerk.now)
    elif what == "day":
        clerk.now += timedelta(days=1)
        prices = {Instrument(one.exchange, one.symbol): cost for one in RECORDS.values()}
        yield account.settle(clerk.now)
        yield account.square_off(clerk.now, prices)
        yield account.expire(clerk.now, prices)
    elif what == "reset" and not number % 3:
        yield account.reset(clerk.now)


_numbers = itertools.count()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_random_lives_are_the_same_after_a_restart(engine: Engine, steps: list[tuple[Any, ...]]) -> None:
    async def live() -> None:
        async with running(engine) as writer:
            clerk = Clerk(writer, f"user{next(_numbers)}")
            futures = []
            for step in steps:
                clerk.now += timedelta(seconds=1)
                try:
                    for changes in perform(clerk, step):
                        if changes.rows:
                            futures.append(clerk.submit(changes))
                except OrderError:
                    continue
            assert await asyncio.gather(*futures) == [None] * len(futures)
            if futures:
                same_books(engine, clerk)

    asyncio.run(live())
    assert audit(engine) == []
