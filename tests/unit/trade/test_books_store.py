"""gateway.trade.books: what a start-up loads, and single questions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from gateway.errors import StoreError
from gateway.home import Home
from gateway.store.engine import make_engine
from gateway.store.migrate import open_store
from gateway.trade import books
from gateway.trade.core.changes import Changes
from gateway.trade.core.orders import Key, Product
from tests.unit.trade.clerk import EVER, Clerk, loaded, running
from tests.unit.trade.desk import NOON, RECORDS, ask_gtt, numbered


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_store(f"sqlite:///{tmp_path}/gateway.db", Home(tmp_path))
    yield engine
    engine.dispose()


def test_what_may_change_is_loaded_whatever_its_age(engine: Engine) -> None:
    async def live() -> Clerk:
        async with running(engine) as writer:
            clerk = Clerk(writer, ids=numbered(""))
            gtt = ask_gtt("BUY", 1, triggerprice_sl="90.05", price="90")
            old = [clerk.rest(), clerk.buy(), clerk.account.place_gtt(gtt, RECORDS["SBIN"], clerk.now)]
            old += [clerk.account.place_gtt(gtt, RECORDS["SBIN"], clerk.now)]
            old += [clerk.account.cancel_gtt("4", clerk.now), clerk.account.cancel("1", clerk.now), clerk.rest()]
            futures = [clerk.submit(changes) for changes in old]
            clerk.now += timedelta(days=1)
            futures += [clerk.submit(clerk.buy(4, action="SELL")), clerk.submit(clerk.buy(action="SELL", quantity=6))]
            assert await asyncio.gather(*futures) == [None] * len(futures)
            return clerk

    clerk = asyncio.run(live())
    [stored] = books.load_users(engine, NOON + timedelta(hours=1))
    assert [order.orderid for order in stored.orders] == ["5", "6", "7"], "resting, and two that filled later"
    assert [gtt.trigger_id for gtt in stored.gtts] == ["3"]
    assert [trade.orderid for trade in stored.trades] == ["6", "7"]
    assert [position.key for position in stored.positions] == [Key("NSE", "SBIN", Product.MIS)], "closed ones, too"
    assert stored.funds == clerk.ledger.funds
    assert [trade.orderid for trade in loaded(engine).trades] == ["2", "6", "7"]
    assert books.load_users(engine, NOON + timedelta(days=9))[0].trades == []


def test_what_a_reset_emptied_is_not_loaded(engine: Engine) -> None:
    async def live() -> None:
        async with running(engine) as writer:
            clerk = Clerk(writer)
            futures = [clerk.submit(clerk.buy()), clerk.submit(clerk.buy(product="CNC"))]
            clerk.now += timedelta(days=1)
            futures += [clerk.submit(clerk.account.settle(clerk.now)), clerk.submit(clerk.account.reset(clerk.now))]
            assert await asyncio.gather(*futures) == [None] * 4

    asyncio.run(live())
    stored = loaded(engine)
    assert (stored.positions, stored.holdings) == ([], [])
    assert stored.funds is not None
    assert stored.funds.epoch == 1


def test_the_newest_id_is_the_highest_number(engine: Engine) -> None:
    assert books.newest_id(engine) == 0

    async def place(*names: str) -> None:
        async with running(engine) as writer:
            clerk = Clerk(writer, f"user{len(names)}", iter(names).__next__)
            for _ in names:
                assert await clerk.submit(clerk.rest()) is None

    asyncio.run(place("9999999999999999", "1700000000000000"))
    assert books.newest_id(engine) == 9_999_999_999_999_999
    asyncio.run(place("10000000000000000"))
    assert books.newest_id(engine) == 10_000_000_000_000_000


def test_a_user_with_a_mode_alone(engine: Engine) -> None:
    async def live() -> None:
        async with running(engine) as writer:
            clerk = Clerk(writer)
            assert await clerk.submit(Changes()) is None

    asyncio.run(live())
    stored = loaded(engine)
    assert (stored.funds, stored.orders, stored.state.mode) == (None, [], "analyze")
    assert books.users(engine) == ["asha"]


def test_a_database_that_is_away_is_a_store_error(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/nowhere/gateway.db")
    with pytest.raises(StoreError, match="loading the books"):
        books.load_users(engine, EVER)
    for ask in (books.newest_id, books.last_prices, books.users):
        with pytest.raises(StoreError):
            ask(engine)
    with pytest.raises(StoreError):
        books.find_order(engine, "asha", "1")
    with pytest.raises(StoreError):
        books.missed(engine, "asha", 0, 1)
