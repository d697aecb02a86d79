"""kill -9 under load: no acknowledged order is lost, none fills twice, every book adds up, readers notice nothing.

GATEWAY_TEST_KILLS makes it as long as one likes; the default fits into the suite.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.integration.stream.client import ask
from tests.integration.trade.load import Busy, Walk
from tests.integration.trade.venue import Trader, Venue, eventually, venue

KILLS = int(os.environ.get("GATEWAY_TEST_KILLS", "10"))
_ENDED = ("complete", "cancelled", "rejected")


class Reader:
    """A reader of prices; `longest` is the longest pause between two of them, s."""

    def __init__(self, running: Venue) -> None:
        self.longest = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(running.gateway.ws_url, running.key), daemon=True)
        self._thread.start()

    def _run(self, url: str, key: str) -> None:
        with connect(url) as client:
            assert ask(client, action="authenticate", api_key=key)["status"] == "success"
            client.send('{"action":"subscribe","symbol":"SBIN","exchange":"NSE","mode":"LTP"}')
            last = 0.0
            while not self._stop.is_set():
                client.recv(timeout=10)
                now = time.monotonic()
                self.longest = max(self.longest, now - last if last else 0.0)
                last = now

    def stop(self) -> float:
        """Ends it; the longest pause."""
        self._stop.set()
        self._thread.join(11)
        assert self.longest, "it has seen prices"
        return self.longest


def answers(running: Venue) -> bool:
    """Whether the trade process takes calls again."""
    try:
        return bool(running.trader.ask("ping"))
    except httpx.TransportError:
        return False


def check(running: Venue, traders: Sequence[Busy]) -> None:
    """Everything that must hold once the load has stopped."""
    for busy in traders:
        assert not busy.faults, busy.faults[:3]
        said = busy.said
        for orderid in said.orders:
            status = busy.trader.status(orderid)
            assert orderid not in said.cancelled or status == "cancelled", (orderid, status)
        rows = busy.trader.ask("orderbook")["data"]["orders"]
        filled = [row["orderid"] for row in busy.trader.ask("tradebook")["data"]]
        assert len(filled) == len(set(filled)), "filled twice"
        assert set(filled) == {row["orderid"] for row in rows if row["order_status"] == "complete"}
        known = {row["trigger_id"] for row in busy.trader.ask("gttorderbook")["data"]}
        assert said.gtts <= known
    running.audit()
    no_gaps(running.gateway.home)


def no_gaps(home: Path) -> None:
    """Order events are numbered without gaps, and the last number is the user's."""
    database = sqlite3.connect(f"file:{home}/gateway.db?mode=ro", uri=True)
    query = "SELECT user_id, count(seq), min(seq), max(seq) FROM outbox WHERE seq IS NOT NULL GROUP BY user_id"
    seqs = dict(database.execute("SELECT user_id, seq FROM trade_users").fetchall())
    for user, number, first, last in database.execute(query).fetchall():
        assert (first, number, last) == (1, last, seqs[user])
    database.close()


def kill(running: Venue, names: Sequence[str]) -> None:
    """Kills children at once and waits until both serve again."""
    pids = {name: running.gateway.child_pid(name) for name in names}
    for name in names:
        os.kill(pids[name], signal.SIGKILL)
    for name, pid in pids.items():
        running.gateway.child_pid(name, other_than=pid, seconds=30)
    eventually(lambda: answers(running), 30)


@pytest.mark.slow
@pytest.mark.timeout(120 + 20 * KILLS)
def test_kills_at_random_points(tmp_path: Path) -> None:
    chance = random.Random(int(os.environ.get("GATEWAY_TEST_SEED", "7")))
    with venue(tmp_path) as running, ExitStack() as ends:
        running.price(100)
        walk = ends.enter_context(Walk(running))
        traders = [ends.enter_context(Busy(running, f"trader{number}", number)) for number in range(3)]
        began = time.monotonic()
        for number in range(KILLS):
            time.sleep(chance.uniform(0.1, 1.0))
            kill(running, (["trade"], ["trade"], ["market"], ["trade", "market"])[number % 4])
        for busy in traders:
            busy.stop()
        walk.stop()
        running.price(100)
        check(running, traders)
        orders = sum(len(busy.said.orders) for busy in traders)
        fills = sum(len(busy.trader.ask("tradebook")["data"]) for busy in traders)
        print(f"{KILLS} kills, {orders} orders, {fills} fills, {walk.sent} ticks in {time.monotonic() - began:.0f} s")
        assert orders > 10 * KILLS


@pytest.mark.slow
def test_readers_of_prices_notice_nothing(tmp_path: Path) -> None:
    with venue(tmp_path, MESSAGE_THROTTLE_MS="0") as running, Walk(running), Busy(running, "trader", 1) as busy:
        running.price(100)
        reader = Reader(running)
        for _ in range(2):
            time.sleep(1)
            kill(running, ["trade"])
        assert reader.stop() < 0.3
        busy.stop()
        check(running, [busy])


@pytest.mark.slow
def test_a_stop_under_load_keeps_its_word(tmp_path: Path) -> None:
    with venue(tmp_path) as running, Walk(running), Busy(running, "trader", 1) as busy:
        running.price(100)
        time.sleep(2)
        began = time.monotonic()
        assert running.gateway.stop() == 0
        assert time.monotonic() - began < 5
        busy.stop()
    with venue(tmp_path) as running:
        running.price(100)
        busy.trader = Trader(running.gateway.api_url, busy.trader.key)
        check(running, [busy])
        busy.trader.close()
        assert len(busy.said.orders) > 20
