"""A broker's feed falls silent for real: quotes are polled, orders fill on them; polling ends with its return."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.harness import Gateway
from tests.integration.trade.venue import NOON, OPEN, RefusedError, Trader, eventually
from tests.simulators.kite import KiteServer

INFY = "NSE:INFY"


class Feed:
    """Ticks of one instrument while it is `alive`."""

    def __init__(self, kite: KiteServer) -> None:
        self._kite, self._token = kite, kite.market.token(INFY)
        self.alive = threading.Event()
        self.alive.set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(0.05):
            if self.alive.is_set():
                self._kite.tick(self._token)

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)


def metric(gateway: Gateway, name: str) -> float:
    """One number of the trade process."""
    lines = httpx.get(f"{gateway.api_url}/metrics").text.splitlines()
    return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.rsplit(" ", 1)[0] == name)


def known(trader: Trader) -> bool:
    try:
        return bool(trader.ask("quotes", symbol="INFY", exchange="NSE"))
    except RefusedError:
        return False


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_feed_cut_and_back(tmp_path: Path) -> None:
    with KiteServer(heartbeat=0.5) as kite:
        variables = {
            "ZERODHA_WS_URL": kite.ws_url, "ZERODHA_REST_URL": kite.rest_url, "ZERODHA_API_KEY": "key",
            "ZERODHA_ACCESS_TOKEN": "token", "CLOCK_START": NOON, **OPEN,
        }  # fmt: skip
        with Feed(kite) as feed, Gateway("--feed", "zerodha", home=tmp_path, **variables) as gateway:
            trader = Trader(gateway.api_url, gateway.add_key("asha"))
            eventually(lambda: known(trader), 30)
            order = trader.limit("BUY", 1000, 1, "INFY")
            assert metric(gateway, "gateway_fallback_polling") == 0
            feed.alive.clear()
            cut = time.monotonic()
            kite.set_price(INFY, 999, silent=True)
            eventually(lambda: trader.status(order) == "complete", 60)
            waited = time.monotonic() - cut
            assert 25 < waited < 45, waited
            assert metric(gateway, "gateway_fallback_polling") == 1
            feed.alive.set()
            eventually(lambda: metric(gateway, "gateway_fallback_polling") == 0, 15)
            polls = metric(gateway, "gateway_fallback_polls_total")
            assert trader.ask("tradebook")["data"][0]["average_price"] == 1000
            time.sleep(6)
            assert metric(gateway, "gateway_fallback_polls_total") == polls
            trader.close()
