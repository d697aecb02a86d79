"""The feed as the market process runs it: pool and adapter against a server that dies, returns and refuses."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.registry import create_pool
from gateway.model import FeedState, Mode, Want
from tests.integration.zerodha.bench import INFY, NIFTY, NOW_NS, TOKEN, USDINR, KeepingSink, config, until
from tests.simulators.kite import KiteServer

pytestmark = pytest.mark.asyncio

WANTS = [Want(INFY, Mode.LTP), Want(INFY, Mode.DEPTH), Want(NIFTY, Mode.QUOTE), Want(USDINR, Mode.DEPTH)]
HELD = {408065: "full", 256265: "quote", 294403: "full"}


async def test_after_a_crash_everything_is_subscribed_again_within_five_seconds(
    server: KiteServer, tmp_path: Path
) -> None:
    sink = KeepingSink()
    pool = create_pool(config(server, tmp_path), sink, lambda: NOW_NS)
    pool.start()
    try:
        assert pool.acquire("reader", WANTS) == [True] * 4
        await until(lambda: server.held() == HELD)
        assert pool.state is FeedState.CONNECTED
        server.kill()
        await until(lambda: pool.state is FeedState.DISCONNECTED)
        server.start()
        sink.ticks.clear()
        back = time.monotonic()
        await until(lambda: server.held() == HELD and len({topic for topic, _ in sink.ticks}) >= 3, 5)
        assert time.monotonic() - back < 5
        assert pool.state is FeedState.CONNECTED
        pool.release("reader", [WANTS[1], WANTS[3]])
        await until(lambda: server.held() == {408065: "ltp", 256265: "quote"})
    finally:
        await pool.stop()
    await until(lambda: not server.clients)


async def test_a_refused_token_stops_the_feed_until_there_is_a_new_one(server: KiteServer, tmp_path: Path) -> None:
    sink = KeepingSink()
    good = config(server, tmp_path)
    pool = create_pool(replace(good, access_token="yesterday"), sink, lambda: NOW_NS)
    pool.start()
    try:
        pool.acquire("reader", WANTS)
        await until(lambda: pool.state is FeedState.REFUSED)
        assert server.accepted == 0
        assert good.access_token == TOKEN
        pool.new_token(good)
        await until(lambda: server.held() == HELD)
        # the token ends while the feed runs: the next connection is refused, and no more are tried
        server.access_token = "next day"
        server.close_clients(1001)
        await until(lambda: pool.state is FeedState.REFUSED)
        refused = server.refused
        assert refused == 2
    finally:
        await pool.stop()
    assert server.refused == refused
    requests = [json.loads(text)["a"] for text in server.requests]
    assert set(requests) == {"subscribe", "mode"}
