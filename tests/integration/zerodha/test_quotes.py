"""Polling Zerodha's quotes over HTTP; the official client is the judge."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect

from adapters.backoff import Backoff
from adapters.zerodha.adapter import IST
from adapters.zerodha.quotes import KiteQuotes
from gateway.errors import FeedError, TokenRefusedError
from gateway.instruments import master_path
from gateway.instruments.table import read_master
from gateway.model import Instrument
from gateway.trade.fallback import Fallback
from gateway.trade.ports import StreamTick
from gateway.trade.quoting import QuoteLine
from tests.integration.zerodha.bench import INFY, KEY, NIFTY, SBIN, TOKEN, config, until
from tests.simulators.kite import KiteServer
from tests.simulators.kite_market import INSTRUMENTS

pytestmark = pytest.mark.asyncio


def source(server: KiteServer, home: Path, *, token: str = TOKEN) -> KiteQuotes:
    return KiteQuotes(config(server, home, token=token), lambda: 0, spacing_s=0.05)


def official(server: KiteServer, names: list[str]) -> dict[str, dict[str, Any]]:
    """What the official client makes of the server's quotes."""
    client = KiteConnect(KEY, TOKEN, root=server.rest_url)
    answer: dict[str, dict[str, Any]] = client.quote(*names)
    client.reqsession.close()
    return answer


async def test_every_number_is_the_official_clients(server: KiteServer, tmp_path: Path) -> None:
    quotes = source(server, tmp_path)
    # no stream half has run here: the master comes from the broker
    await quotes.prepare()
    server.tick(*(row.instrument_token for row in INSTRUMENTS))
    records = {
        f"{row.brexchange}:{row.brsymbol}": Instrument(row.exchange, row.symbol)
        for row in read_master(master_path(tmp_path, "zerodha"))
    }
    assert len(records) == len(INSTRUMENTS)
    found = await quotes.multiquotes(list(records.values()))
    judged = await asyncio.to_thread(official, server, list(records))
    assert found.keys() == {records[name] for name in judged} == set(records.values())
    for name, theirs in judged.items():
        _same(json.loads(found[records[name]]), theirs)
    await quotes.close()


def _same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours["ltp"] == theirs["last_price"]
    assert {name: ours[name] for name in theirs["ohlc"]} == theirs["ohlc"]
    assert ours["timestamp"] == _ms(theirs["timestamp"])
    for our, their in (("volume", "volume"), ("oi", "oi"), ("ltq", "last_quantity"), ("average_price", "average_price"),
                       ("total_buy_quantity", "buy_quantity"), ("total_sell_quantity", "sell_quantity")):  # fmt: skip
        assert ours.get(our) == theirs.get(their), our
    for side, levels in (("bid", "buy"), ("ask", "sell")):
        best = theirs.get("depth", {}).get(levels, [])
        assert ours.get(side) == (best[0]["price"] if best else None)


def _ms(moment: datetime) -> int:
    return int(moment.replace(tzinfo=IST).timestamp() * 1000)


async def test_refusals_and_outages_are_errors(server: KiteServer, tmp_path: Path) -> None:
    quotes = source(server, tmp_path)
    await quotes.prepare()
    server.quote_status = 429
    with pytest.raises(FeedError, match="HTTP 429"):
        await quotes.multiquotes([INFY])
    server.quote_status = 200
    quotes.new_token(replace(quotes.config, access_token="yesterday"))
    with pytest.raises(TokenRefusedError):
        await quotes.multiquotes([INFY])
    quotes.new_token(config(server, tmp_path))
    assert (await quotes.multiquotes([INFY])).keys() == {INFY}
    server.kill()
    with pytest.raises(FeedError, match="zerodha quotes failed"):
        await quotes.multiquotes([INFY])
    await quotes.close()


async def test_the_broker_sees_at_most_one_request_in_a_second(server: KiteServer, tmp_path: Path) -> None:
    quotes = KiteQuotes(config(server, tmp_path), lambda: 0)
    await quotes.prepare()
    assert len(await asyncio.gather(*(quotes.multiquotes([each]) for each in (INFY, SBIN)))) == 2
    first, second = server.quote_times
    assert second - first >= 1.0
    await quotes.close()


async def test_the_token_reaches_no_log(
    server: KiteServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    asked = QuoteLine(source(server, tmp_path), lambda name: config(server, tmp_path), backoff=Backoff(0, 0, 0))
    assert await asked.ready()
    assert await asked.ask([INFY])
    for status in (403, 500):
        server.quote_status = status
        assert await asked.ask([INFY]) is None
    server.kill()
    assert await asked.ask([INFY]) is None
    output = capsys.readouterr()
    text = caplog.text + output.out + output.err
    assert "no quotes" in text
    assert TOKEN not in text
    await asked.source.close()


class Feeds:
    """A Health that the test sets."""

    tick: int | None = None

    def last_tick_ns(self) -> int | None:
        return self.tick


async def test_the_fallback_polls_while_the_feed_is_dead_and_mends_a_token(server: KiteServer, tmp_path: Path) -> None:
    health, ticks = Feeds(), list[StreamTick]()
    now = [1_000_000_000_000]
    fallback = Fallback(
        [source(server, tmp_path, token="yesterday")], health, lambda: [INFY, NIFTY], ticks.extend,
        credentials=lambda name: config(server, tmp_path), clock_ns=lambda: now[0],
        monitor_s=0.02, poll_s=0.05, watch_s=0.02, stale_s=30, start_s=0,
    )  # fmt: skip
    fallback.start()
    await until(lambda: len(ticks) >= 2)
    # the download of the master was refused with yesterday's token before
    assert fallback.failures >= 1
    assert {topic for topic, *_ in ticks} == {b"NSE_INFY_QUOTE", b"NSE_INDEX_NIFTY_QUOTE"}
    server.set_price("NSE:INFY", 1500.5)
    await until(lambda: any(json.loads(payload)["ltp"] == 1500.5 for _, payload, *_ in ticks))
    assert {(arrival, replay) for *_, arrival, replay in ticks} == {(now[0], False)}
    health.tick = now[0] + 1
    now[0] += 2
    await until(lambda: not fallback.polling)
    asked = len(server.quote_requests)
    await asyncio.sleep(0.2)
    assert len(server.quote_requests) == asked
    assert (await fallback.quotes([SBIN])).keys() == {SBIN}
    assert server.quote_requests[-1] == ["NSE:SBIN"]
    await fallback.stop()
