"""Trading days: square-off, T+1, what a gateway that was down has missed. Trading time comes from CLOCK_START."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.trade.venue import RefusedError, Venue, eventually, venue

#: Wednesday and Thursday
CLOSING = "2026-07-15T15:14:52+05:30"
MORNING = "2026-07-16T09:30:00+05:30"


def position(running: Venue, product: str = "MIS", symbol: str = "SBIN") -> str:
    exchange = "NFO" if symbol.startswith("NIFTY") else "NSE"
    return str(running.trader.ask("openposition", symbol=symbol, exchange=exchange, product=product)["quantity"])


@pytest.mark.slow
def test_square_off_at_its_time(tmp_path: Path) -> None:
    with venue(tmp_path, CLOCK_START=CLOSING) as running:
        running.price(100)
        running.trader.order("BUY", 10)
        resting = running.trader.limit("BUY", 90)
        kept = running.trader.limit("BUY", 90, product="CNC")
        assert position(running) == "10"

        def squared_off() -> bool:
            running.tick(101)
            return position(running) == "0"

        eventually(squared_off, 20)
        assert running.trader.status(resting) == "cancelled"
        assert running.trader.status(kept) == "open"
        assert running.trader.ask("funds")["data"]["m2mrealized"] == "10.00"
        with pytest.raises(RefusedError) as late:
            running.trader.order("BUY", 1)
        assert "MIS" in late.value.body["message"]
        running.audit()


@pytest.mark.slow
def test_the_next_day(tmp_path: Path) -> None:
    with venue(tmp_path, CLOCK_START="2026-07-15T12:00:00+05:30") as running:
        running.price(100)
        running.price(200, "NIFTY28JUL26FUT")
        running.trader.order("BUY", 10)
        running.trader.order("BUY", 7, product="CNC")
        running.trader.order("BUY", 75, "NIFTY28JUL26FUT", product="NRML")
        waiting = running.trader.limit("BUY", 90, product="CNC")
    with venue(tmp_path, CLOCK_START=MORNING) as running:
        assert running.trader.ask("tradebook")["data"] == []
        eventually(lambda: position(running, "CNC") == "0")
        running.price(105)
        (held,) = running.trader.ask("holdings")["data"]["holdings"]
        assert (held["symbol"], held["quantity"], held["pnl"]) == ("SBIN", 7, 35)
        # the MIS position that the gateway slept through is closed on the first fresh price
        eventually(lambda: position(running) == "0")
        assert position(running, "NRML", "NIFTY28JUL26FUT") == "75"
        assert running.trader.status(waiting) == "open"
        with pytest.raises(RefusedError) as short:
            running.trader.order("SELL", 8, product="CNC")
        assert short.value.body["orderid"]
        assert running.trader.filled(running.trader.order("SELL", 7, product="CNC"))
        running.audit()
    with venue(tmp_path, CLOCK_START="2026-07-29T10:00:00+05:30") as running:
        # the future expired on the 28th, and settles at the last price that was known
        eventually(lambda: position(running, "NRML", "NIFTY28JUL26FUT") == "0")
        running.audit()


@pytest.mark.slow
def test_reset_day(tmp_path: Path) -> None:
    with venue(tmp_path, CLOCK_START="2026-07-18T12:00:00+05:30", SANDBOX_RESET_DAY="sunday") as running:
        running.price(100)
        running.trader.order("BUY", 7, product="CNC")
        assert running.trader.ask("funds")["data"]["availablecash"] == "9999300.00"
    with venue(tmp_path, CLOCK_START="2026-07-20T10:00:00+05:30", SANDBOX_RESET_DAY="sunday") as running:
        assert running.trader.ask("funds")["data"]["availablecash"] == "10000000.00"
        assert running.trader.ask("holdings")["data"]["holdings"] == []
        running.audit()
