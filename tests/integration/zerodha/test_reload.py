"""A feed that is connected over night takes the new day's instrument master at 08:35 IST."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from adapters.pool import FeedPool
from adapters.zerodha import ZerodhaAdapter
from adapters.zerodha import adapter as module
from adapters.zerodha.adapter import IST, seconds_to_reload
from gateway.model import Instrument, Mode, Want
from tests.integration.zerodha.bench import INFY, SBIN, KeepingSink, Losses, adapter, until
from tests.simulators.kite import KiteServer
from tests.simulators.kite_market import INSTRUMENTS, Row, instruments_csv

ROWS = {row.tradingsymbol: row for row in INSTRUMENTS if row.exchange == "NSE"}
NEW_TOKEN = ROWS["RELIANCE"].instrument_token


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=IST).timestamp()


@pytest.mark.parametrize(
    ("now", "loaded", "seconds"),
    [
        ("2026-11-20 12:00", date(2026, 11, 20), 20 * 3600 + 35 * 60),
        ("2026-11-21 08:34", date(2026, 11, 20), 60),
        ("2026-11-21 08:35", date(2026, 11, 20), 0),
        ("2026-11-22 10:00", date(2026, 11, 20), 0),
        # loaded at 08:31: of today
        ("2026-11-21 08:36", date(2026, 11, 21), 86_400 - 60),
    ],
)
def test_the_moment(now: str, loaded: date, seconds: float) -> None:
    assert seconds_to_reload(at(now), loaded) == seconds


class Night:
    """Real time as the adapter sees it, and the master of the day."""

    def __init__(self, made: ZerodhaAdapter, file: Path) -> None:
        self.now = at("2026-11-20 20:00")
        self._file = file
        made.config = replace(made.config, instruments=str(file))
        self.master(ROWS["INFY"], ROWS["SBIN"])

    def master(self, *rows: Row) -> None:
        self._file.write_bytes(instruments_csv(rows).encode())

    def morning(self) -> None:
        self.now = at("2026-11-21 08:35")


@pytest.fixture
def made(server: KiteServer, tmp_path: Path) -> tuple[ZerodhaAdapter, KeepingSink]:
    return adapter(server, tmp_path)


@pytest.fixture
def night(made: tuple[ZerodhaAdapter, KeepingSink], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    night = Night(made[0], tmp_path / "kite.csv")
    monkeypatch.setattr("adapters.zerodha.adapter.time.time", lambda: night.now)
    monkeypatch.setattr(module, "LOOK_S", 0.02)
    return night


@pytest.mark.asyncio
async def test_only_a_connection_whose_tokens_changed_is_broken_off(
    made: tuple[ZerodhaAdapter, KeepingSink], night: Night, server: KiteServer
) -> None:
    feed, _ = made
    await feed.prepare()
    losses = {INFY: Losses(), SBIN: Losses()}
    connections = {each: feed.open(lost) for each, lost in losses.items()}
    for each, connection in connections.items():
        await connection.connect()
        await connection.subscribe([Want(each, Mode.QUOTE)])
    night.master(ROWS["INFY"]._replace(instrument_token=NEW_TOKEN), ROWS["SBIN"])
    await asyncio.sleep(0.1)
    assert _token(feed, INFY) == ROWS["INFY"].instrument_token
    night.morning()
    await until(lambda: losses[INFY].errors)
    assert _token(feed, INFY) == NEW_TOKEN
    await until(lambda: set(server.held()) == {ROWS["SBIN"].instrument_token})
    assert (len(losses[INFY].errors), losses[SBIN].errors) == (1, [])
    assert "new tokens" in str(losses[INFY].errors[0])
    await connections[SBIN].close()
    assert feed._keeper is None


@pytest.mark.asyncio
async def test_a_master_that_cannot_be_had_leaves_the_feed_as_it_is_and_is_tried_again(
    made: tuple[ZerodhaAdapter, KeepingSink], night: Night
) -> None:
    feed, _ = made
    await feed.prepare()
    losses = Losses()
    connection = feed.open(losses)
    await connection.connect()
    await connection.subscribe([Want(INFY, Mode.QUOTE)])
    night.master()
    night.morning()
    await asyncio.sleep(0.2)
    assert (losses.errors, _token(feed, INFY)) == ([], ROWS["INFY"].instrument_token)
    night.master(ROWS["INFY"]._replace(instrument_token=NEW_TOKEN))
    await until(lambda: losses.errors)
    assert _token(feed, INFY) == NEW_TOKEN


@pytest.mark.asyncio
async def test_the_pool_goes_on_with_the_new_tokens(
    made: tuple[ZerodhaAdapter, KeepingSink], night: Night, server: KiteServer
) -> None:
    feed, sink = made
    pool = FeedPool(feed)
    pool.start()
    pool.acquire("reader", [Want(INFY, Mode.QUOTE)])
    await until(lambda: server.held() == {ROWS["INFY"].instrument_token: "quote"})
    night.master(ROWS["INFY"]._replace(instrument_token=NEW_TOKEN), ROWS["SBIN"])
    night.morning()
    await until(lambda: server.held() == {NEW_TOKEN: "quote"})
    sink.ticks.clear()
    server.tick(NEW_TOKEN)
    await until(lambda: sink.ticks)
    assert {topic for topic, _ in sink.ticks} == {b"NSE_INFY_QUOTE"}
    await pool.stop()
    assert feed._keeper is None


def _token(feed: ZerodhaAdapter, instrument: Instrument) -> int:
    listed = feed.listed(instrument)
    assert listed is not None
    return listed.token
