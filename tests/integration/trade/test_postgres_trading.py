"""Paper trading on a real PostgreSQL: the same answers, the same books, also after kill -9."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.trade.load import Busy, Walk
from tests.integration.trade.test_crashes import kill
from tests.integration.trade.venue import venue
from tests.servers import postgres


@pytest.mark.slow
def test_orders_and_kills(tmp_path: Path) -> None:
    with postgres() as url, venue(tmp_path, DATABASE_URL=url) as running:
        running.price(100)
        orderid = running.trader.limit("BUY", 99, 10)
        running.tick(98)
        assert running.trader.filled(orderid)
        with Walk(running), Busy(running, "trader", 1) as busy:
            for _ in range(2):
                kill(running, ["trade"])
            busy.stop()
            assert not busy.faults
            states = {one: busy.trader.status(one) for one in busy.said.orders}
            assert all(states[one] == "cancelled" for one in busy.said.cancelled)
            filled = [row["orderid"] for row in busy.trader.ask("tradebook")["data"]]
            assert len(filled) == len(set(filled))
        running.audit()
