"""A gateway with a market that the test makes: prices on the bus, instruments from a file, calls by HTTP."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.harness import Gateway
from tests.integration.stream.client import Publisher

Json = dict[str, Any]
T = TypeVar("T")

#: a Wednesday, and no holiday
NOON = "2026-07-15T12:00:00+05:30"
MASTER = """exchange,symbol,lotsize,tick_size,instrumenttype,expiry,name
NSE,SBIN,1,0.05,EQ,,SBIN
NSE,INFY,1,0.05,EQ,,INFY
NSE,TCS,1,0.05,EQ,,TCS
NFO,NIFTY28JUL26FUT,75,0.05,FUT,28-JUL-26,NIFTY
NFO,NIFTY28JUL2625000CE,75,0.05,CE,28-JUL-26,NIFTY
"""
#: limits that no test reaches by chance
OPEN = {"API_RATE_LIMIT": "100000 per second", "ORDER_RATE_LIMIT": "100000 per second",
        "SMART_ORDER_RATE_LIMIT": "100000 per second"}  # fmt: skip


def eventually(look: Callable[[], T], seconds: float = 10.0) -> T:
    """The first truthy answer of `look`, which may also raise AssertionError until then."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = look()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        else:
            if found:
                return found
            assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


class RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


class Trader:
    """One user's calls."""

    def __init__(self, url: str, key: str) -> None:
        self.key = key
        self._client = httpx.Client(base_url=f"{url}/api/v1/", timeout=10)

    def ask(self, endpoint: str, headers: dict[str, str] | None = None, **fields: Any) -> Json:
        """One call. Raises RefusedError."""
        answer = self._client.post(endpoint, json={"apikey": self.key, **fields}, headers=headers)
        body: Json = answer.json()
        if answer.status_code != 200:
            raise RefusedError(answer.status_code, body)
        return body

    def order(self, action: str, quantity: int = 1, symbol: str = "SBIN", **fields: Any) -> str:
        """Places an order; its id."""
        exchange = "NFO" if symbol.startswith("NIFTY") else "NSE"
        answer = self.ask("placeorder", symbol=symbol, exchange=exchange, action=action, quantity=quantity, **fields)
        return str(answer["orderid"])

    def limit(self, action: str, price: float, quantity: int = 1, symbol: str = "SBIN", **fields: Any) -> str:
        """Places a LIMIT order; its id."""
        return self.order(action, quantity, symbol, pricetype="LIMIT", price=price, **fields)

    def status(self, orderid: str) -> str:
        """The state of an order."""
        return str(self.ask("orderstatus", orderid=orderid)["data"]["order_status"])

    def filled(self, orderid: str) -> bool:
        """Waits until an order is complete."""
        return eventually(lambda: self.status(orderid) == "complete")

    def close(self) -> None:
        """Ends the connections."""
        self._client.close()


class Venue:
    """The gateway, the bus and one trader."""

    def __init__(self, gateway: Gateway, bus: Publisher) -> None:
        self.gateway = gateway
        self.bus = bus
        self.key = gateway.add_key("asha")
        self.trader = Trader(gateway.api_url, self.key)

    def tick(self, ltp: float, symbol: str = "SBIN", **fields: Any) -> None:
        """One Quote tick on the bus."""
        exchange = "NFO" if symbol.startswith("NIFTY") else "NSE"
        self.bus.send(f"{exchange}_{symbol}_QUOTE", {"ltp": ltp, "timestamp": int(time.time() * 1000), **fields})

    def price(self, ltp: float, symbol: str = "SBIN", **fields: Any) -> None:
        """A tick, once the gateway answers with it."""
        exchange = "NFO" if symbol.startswith("NIFTY") else "NSE"

        def there() -> bool:
            self.tick(ltp, symbol, **fields)
            with contextlib.suppress(RefusedError):
                return bool(self.trader.ask("quotes", symbol=symbol, exchange=exchange)["data"]["ltp"] == ltp)
            return False

        eventually(there)

    def audit(self) -> None:
        """Every book adds up."""
        done = self.gateway.command("audit", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout) == []


@contextlib.contextmanager
def venue(folder: Path, **settings: str) -> Iterator[Venue]:
    """A running gateway without a feed."""
    master = folder / "master.csv"
    master.write_text(MASTER, "utf-8")
    gateway = Gateway("--feed", "none", home=folder / "home", **{"CLOCK_START": NOON, **OPEN, **settings})
    (folder / "home").mkdir(parents=True, exist_ok=True)
    loaded = gateway.command("instruments", "load", "common", str(master))
    assert loaded.returncode == 0, loaded.stderr
    with gateway, Publisher(gateway) as bus:
        made = Venue(gateway, bus)
        try:
            yield made
        finally:
            made.trader.close()
