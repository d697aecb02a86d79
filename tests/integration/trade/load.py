"""Traders who do everything as fast as they can and note what was acknowledged, whatever dies meanwhile."""

from __future__ import annotations

import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.integration.trade.venue import RefusedError, Trader, Venue


@dataclass
class Acknowledged:
    """What the gateway said yes to."""

    orders: set[str] = field(default_factory=set)
    #: orders whose cancellation was acknowledged
    cancelled: set[str] = field(default_factory=set)
    gtts: set[str] = field(default_factory=set)
    #: idempotency key -> the one order that it placed
    once: dict[str, str] = field(default_factory=dict)


class Busy:
    """One user. `faults` holds what must never be answered."""

    def __init__(self, running: Venue, user: str, seed: int) -> None:
        self.user = user
        self.trader = Trader(running.gateway.api_url, running.gateway.add_key(user))
        self.said = Acknowledged()
        self.faults: list[str] = []
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it after the call under way."""
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def __enter__(self) -> Busy:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.trader.close()

    def _run(self) -> None:
        steps = [self._market, self._limit, self._limit, self._stop_order, self._cancel, self._once, self._modify]
        while not self._stop.is_set():
            try:
                self._random.choice([*steps, self._gtt])()
            except httpx.TransportError:
                time.sleep(0.02)
            except RefusedError as error:
                if error.status not in (400, 404, 409, 503):
                    self.faults.append(str(error))

    def _place(self, **fields: Any) -> str:
        orderid = self.trader.order(self._random.choice(["BUY", "SELL"]), self._random.randint(1, 5), **fields)
        self.said.orders.add(orderid)
        return orderid

    def _price(self) -> float:
        return 95 + self._random.randint(0, 200) * 0.05

    def _market(self) -> None:
        self._place()

    def _limit(self) -> None:
        self._place(pricetype="LIMIT", price=self._price())

    def _stop_order(self) -> None:
        self._place(pricetype="SL-M", trigger_price=self._price())

    def _gtt(self) -> None:
        answer = self.trader.ask(
            "placegttorder", symbol="SBIN", exchange="NSE", action="BUY", product="CNC", quantity=1,
            trigger_type="SINGLE", triggerprice_sl=self._price(), price=self._price(),
        )  # fmt: skip
        self.said.gtts.add(str(answer["trigger_id"]))

    def _some(self) -> str | None:
        return self._random.choice(sorted(self.said.orders)[-50:]) if self.said.orders else None

    def _cancel(self) -> None:
        orderid = self._some()
        if orderid is not None:
            self.trader.ask("cancelorder", orderid=orderid)
            self.said.cancelled.add(orderid)

    def _modify(self) -> None:
        orderid = self._some()
        if orderid is not None:
            self.trader.ask("modifyorder", orderid=orderid, pricetype="LIMIT", price=self._price(), quantity=2)

    def _once(self) -> None:
        """Sends one order again and again until it is answered."""
        key = str(uuid.uuid4())
        fields: dict[str, Any] = {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 1}
        while not self._stop.is_set():
            try:
                answer = self.trader.ask("placeorder", {"Idempotency-Key": key}, **fields)
            except httpx.TransportError:
                time.sleep(0.02)
            except RefusedError as error:
                if error.status != 503 or "orderid" in error.body:
                    return
                time.sleep(0.02)
            else:
                self.said.once[key] = str(answer["orderid"])
                self.said.orders.add(str(answer["orderid"]))
                return


class Walk:
    """Ticks of one instrument that walk around the limits, some hundred a second."""

    def __init__(self, running: Venue, seed: int = 1) -> None:
        self._running = running
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.sent = 0

    def _run(self) -> None:
        price = 100.0
        while not self._stop.wait(0.004):
            price = min(105.0, max(95.0, price + self._random.choice([-0.05, 0, 0.05, 0.1, -0.1])))
            self._running.tick(round(price, 2), bid=round(price - 0.05, 2), ask=round(price + 0.05, 2))
            self.sent += 1

    def stop(self) -> None:
        """Ends it."""
        self._stop.set()
        self._thread.join(5)

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
