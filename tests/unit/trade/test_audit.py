"""gateway.trade.audit: right books have no difference, and each kind of wrong is named."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from gateway.errors import StoreError
from gateway.home import Home
from gateway.store.engine import make_engine
from gateway.store.migrate import open_store
from gateway.trade.audit import audit
from tests.unit.trade.clerk import Clerk, running
from tests.unit.trade.desk import dec


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_store(f"sqlite:///{tmp_path}/gateway.db", Home(tmp_path))
    yield engine
    engine.dispose()


@pytest.fixture
def filled(engine: Engine) -> Engine:
    """Two users; a reset, deliveries, sales of several days, a resting order."""

    async def live() -> None:
        async with running(engine) as writer:
            asha, ravi = Clerk(writer), Clerk(writer, "ravi")
            futures = [asha.submit(asha.buy()), ravi.submit(ravi.buy(3, ltp="100.05")), asha.submit(asha.rest())]
            asha.now += timedelta(hours=1)
            futures.append(asha.submit(asha.account.reset(asha.now)))
            asha.now += timedelta(hours=1)
            futures.append(asha.submit(asha.buy(7, product="CNC", ltp="101.35")))
            asha.now += timedelta(days=1)
            futures.append(asha.submit(asha.account.settle(asha.now)))
            futures.append(asha.submit(asha.buy(3, action="SELL", product="CNC", ltp=103)))
            asha.now += timedelta(days=1)
            futures.append(asha.submit(asha.account.settle(asha.now)))
            futures.append(asha.submit(asha.buy(9, symbol="INFY", ltp=33)))
            futures.append(asha.submit(asha.buy(4, symbol="INFY", ltp=35, action="SELL")))
            futures.append(asha.submit(asha.rest()))
            assert asha.ledger.funds.realised == dec("12.95")
            assert await asyncio.gather(*futures) == [None] * len(futures)

    asyncio.run(live())
    return engine


def test_right_books_have_no_difference(filled: Engine) -> None:
    assert audit(filled) == []


def test_an_empty_database_has_no_difference(engine: Engine) -> None:
    assert audit(engine) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE positions SET quantity='6' WHERE symbol='INFY'", "position BSE INFY MIS quantity is 6, should be 5"),
        ("UPDATE positions SET cost='1' WHERE symbol='INFY'", "position BSE INFY MIS cost is 1, should be 165"),
        ("UPDATE positions SET realised='1' WHERE symbol='INFY'", "position BSE INFY MIS realised is 1, should be 8"),
        (
            "UPDATE positions SET realised_on_day='1' WHERE symbol='INFY'",
            "position BSE INFY MIS realised on 2026-07-17 is 1, should be 8",
        ),
        ("DELETE FROM positions WHERE symbol='INFY'", "position BSE INFY MIS is missing, should be 5 with realised 8"),
        (
            "UPDATE positions SET quantity='2' WHERE product='MIS' AND symbol='SBIN' AND user_id='asha'",
            "position NSE SBIN MIS quantity is 2, should be 0",
        ),
        ("UPDATE holdings SET quantity='6'", "holding NSE SBIN quantity is 6, should be 4"),
        ("UPDATE holdings SET cost='0'", "holding NSE SBIN cost is 0, should be 405.40"),
        ("UPDATE holdings SET realised='5'", "holding NSE SBIN realised is 5, should be 4.95"),
        ("DELETE FROM holdings", "holding NSE SBIN is missing, should be 4 with realised 4.95"),
        ("UPDATE funds SET realised='13' WHERE user_id='asha'", "funds realised is 13, should be 12.95"),
        (
            "UPDATE funds SET realised_on_day='9' WHERE user_id='asha'",
            "funds realised on 2026-07-17 is 9, should be 12.95",
        ),
        ("UPDATE funds SET available='9' WHERE user_id='asha'", "available 9 + used"),
        ("DELETE FROM funds WHERE user_id='asha'", "funds are missing"),
        (
            "UPDATE daily_pnl SET realised='8' WHERE day='2026-07-17'",
            "daily PnL of 2026-07-17 (epoch 1) is 8, should be 12.95",
        ),
        ("DELETE FROM daily_pnl WHERE day='2026-07-17'", "daily PnL of 2026-07-17 (epoch 1) is 0, should be 12.95"),
        ("UPDATE trades SET realised='9' WHERE price='35'", "realised is 9, should be 8"),
        ("UPDATE trades SET price='36' WHERE price='35'", "average price is 35, should be 36"),
        ("UPDATE trades SET quantity='1' WHERE price='35'", "quantity is 4, should be 1"),
        ("UPDATE trades SET symbol='SBIN' WHERE price='35'", "is SELL BSE INFY MIS, its trade SELL BSE SBIN MIS"),
        ("DELETE FROM trades WHERE price='35'", "is complete and has no trade"),
        ("DELETE FROM orders WHERE average_price='35'", "has no order, should have one"),
        (
            "UPDATE orders SET status='cancelled' WHERE average_price='35'",
            "is cancelled and has a trade, should be complete",
        ),
        (
            "UPDATE settlements SET quantity='6' WHERE quantity='7'",
            "moves 6 at cost 709.45, should be 7 at cost 709.45",
        ),
        ("UPDATE settlements SET realised='6' WHERE quantity='-3'", "realised is 6, should be 4.95"),
        ("DELETE FROM outbox WHERE user_id='asha' AND seq=2", "in the outbox are"),
        ("UPDATE trade_users SET seq=99 WHERE user_id='asha'", "the last order event in the outbox is"),
    ],
)
def test_each_kind_of_wrong_is_named(filled: Engine, change: str, told: str) -> None:
    with filled.begin() as connection:
        assert connection.execute(text(change)).rowcount
    found = audit(filled)
    assert all(line.startswith("asha: ") for line in found)
    assert any(told in line for line in found), found


def test_events_that_were_handed_on_leave_no_difference(filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(text("DELETE FROM outbox WHERE seq < 4"))
    assert audit(filled) == []


def test_a_database_that_is_away_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        audit(make_engine(f"sqlite:///{tmp_path}/nowhere/gateway.db"))
