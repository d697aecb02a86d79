"""The cases of paper trading: what a fill, a burst, an order and a tick cost, beside readers of market data."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count

from bench.cases import Effort, Outcome, Row
from bench.measure import Load, Window, median, window
from bench.payloads import symbol
from bench.tool import Json, ToolError, run
from bench.trade_clients import Bus, Http, Orders, Updates, closed_loop, limit, open_loop, place, price
from bench.trade_server import WATCHED, Trading, trading

FILLS_PER_S = 100
BURST = 1_000
ORDERS_PER_S = 50
#: readers of market data beside the trade process: 10,000 deliveries/s
READERS = Load(readers=10, symbols=100, rate=1_000)
TICK = 0.05


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not pass."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def fills(effort: Effort) -> Outcome:
    """100 fills/s, each on a tick of its own: tick made -> committed -> `order_update` at a WebSocket client."""
    with trading() as server:
        rounds = [fill_latencies(server, FILLS_PER_S, max(effort.seconds * 5, 6)) for _ in range(_rounds(effort))]
    p99 = statistics.median(percentile(one, 0.99) for one in rounds)
    rows = [
        _row("p50", "ms", statistics.median(statistics.median(one) for one in rounds)),
        _row("p99", "ms", p99, 10),
        _row("longest", "ms", max(map(max, rounds))),
    ]
    return Outcome(rows, {"gateway": rounds})


def fill_latencies(server: Trading, rate: float, seconds: float) -> list[float]:
    """Latencies (ms) of fills at a steady rate, of orders placed before by basket; all must be in the database."""
    bus, http = Bus(server), Http(server.api_port, server.key)
    updates = Updates(server)
    total = int(rate * seconds)
    names = [f"T{index + 1:04}" for index in range(WATCHED)]
    try:
        before = server.count("SELECT count(*) FROM trades")
        price(bus, http, names, 1_000)
        place(http, [limit(names[n % WATCHED], _level(n)) for n in range(total)])
        start, made = len(updates.seen), dict[tuple[str, float], int]()

        def tick(number: int) -> None:
            name, level = names[number % WATCHED], _level(number)
            made[name, level] = bus.tick(name, level)

        open_loop(seconds, rate, tick)
        seen = updates.until(total, start=start)
        if server.count("SELECT count(*) FROM trades") - before != total:
            raise ToolError("the database and the client do not agree about the fills")
        return [(at_ns - made[row["symbol"], float(row["average_price"])]) / 1e6 for at_ns, row in seen]
    finally:
        _flatten(http)
        for one in (updates, http, bus):
            one.close()


def _level(number: int) -> float:
    """Each order of an instrument one step below the one before."""
    return round(999 - TICK * (number // WATCHED), 2)


def _flatten(http: Http) -> None:
    http.ask("cancelallorder")
    http.ask("closeposition")


def burst(effort: Effort) -> Outcome:
    """1,000 orders fill on one tick: until all are committed and told; readers of market data beside it."""
    times: list[Json] = []
    without: list[Window] = []
    beside: list[Window] = []
    with trading() as server:
        bus, http, updates = Bus(server), Http(server.api_port, server.key), Updates(server)
        for _ in range(max(3, _rounds(effort) * 2)):
            load = Load(READERS.readers, READERS.symbols, READERS.rate, seconds=1.5, warm_up=0.6)
            without.append(window(server, load))
            ready_burst(server, bus, http)
            beside.append(window(server, load, lambda: times.append(one_burst(server, bus, updates, wait_s=0.7))))
            http.ask("closeposition")
        for one in (updates, http, bus):
            one.close()
    return Outcome([*_burst_rows(times), *_readers(without, beside)], {"times": times, **_raw(without, beside)})


def ready_burst(server: Trading, bus: Bus, http: Http) -> None:
    """1,000 orders that rest on one instrument."""
    price(bus, http, ["T0001"], 1_000)
    place(http, [limit("T0001", 990) for _ in range(BURST)])


def one_burst(server: Trading, bus: Bus, updates: Updates, wait_s: float = 0.0) -> Json:
    """The tick that fills them; ms until the first and the last update, and the longest the API did not answer."""
    start, before = len(updates.seen), server.count("SELECT count(*) FROM trades")
    time.sleep(wait_s)
    with Probe(server) as probe:
        made = bus.tick("T0001", 990)
        seen = [at_ns for at_ns, _ in updates.until(BURST, start=start)]
    if server.count("SELECT count(*) FROM trades") - before != BURST:
        raise ToolError("the database and the client do not agree about the fills")
    return {"first_ms": (seen[0] - made) / 1e6, "all_ms": (seen[-1] - made) / 1e6, "stall_ms": probe.longest_ms}


class Probe:
    """Asks /healthz every 5 ms; the longest answer is about the longest turn of the trade process' event loop."""

    def __init__(self, server: Trading) -> None:
        self._http = Http(server.api_port, server.key)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.longest_ms = 0.0

    def __enter__(self) -> Probe:
        self._thread.start()
        time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._http.close()

    def _ask(self) -> None:
        while not self._ended.wait(0.005):
            began = time.monotonic()
            self._http.sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while self._http.take() is None:
                pass
            self.longest_ms = max(self.longest_ms, (time.monotonic() - began) * 1e3)


def placing(effort: Effort) -> Outcome:
    """`placeorder` at 50/s beside 10,000 deliveries/s: resting LIMIT and MARKET in turn, answered when committed."""
    answered: list[list[float]] = []
    without: list[Window] = []
    beside: list[Window] = []
    with trading() as server, Ticker(server, ["T0001", "T0002"]):
        orders = Orders(server)
        http = Http(server.api_port, server.key)
        load = Load(READERS.readers, READERS.symbols, READERS.rate, seconds=effort.seconds, warm_up=0.5)
        seconds = effort.seconds
        for _ in range(_rounds(effort)):
            without.append(window(server, load))
            make = _orders_in_turn()
            work = lambda: answered.append(orders.run(ORDERS_PER_S, seconds, make))  # noqa: E731,B023
            beside.append(window(server, load, work))
            _flatten(http)
        for one in (orders, http):
            one.close()
    rows = [
        _row("p50", "ms", statistics.median(statistics.median(one) for one in answered)),
        _row("p99", "ms", statistics.median(percentile(one, 0.99) for one in answered), 15),
    ]
    return Outcome([*rows, *_readers(without, beside)], {"answered_ms": answered, **_raw(without, beside)})


def _orders_in_turn() -> Callable[[Http, int], bytes]:
    def make(http: Http, number: int) -> bytes:
        if number % 2:
            return http.request("placeorder", **limit("T0001", 900))
        action = "BUY" if number % 4 else "SELL"
        return http.request("placeorder", symbol="T0002", exchange="NSE", action=action, quantity=1, product="MIS")

    return make


class Ticker:
    """Keeps instruments fresh at 1,000 INR, ten ticks a second each."""

    def __init__(self, server: Trading, names: Sequence[str]) -> None:
        self._server, self._names = server, names
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Ticker:
        bus, http = Bus(self._server), Http(self._server.api_port, self._server.key)
        price(bus, http, self._names, 1_000)
        bus.close()
        http.close()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        bus = Bus(self._server)
        while not self._ended.wait(0.1):
            for name in self._names:
                bus.tick(name, 1_000)
        bus.close()


def resting(effort: Effort) -> Outcome:
    """Resting orders placed and committed per second: by baskets of 100, and by 32 clients with single calls."""
    baskets: list[float] = []
    singles: list[float] = []
    with trading() as server, Ticker(server, ["T0001"]):
        keys = [server.key, *(server.add_key(f"user{n}") for n in range(7))]
        for _ in range(_rounds(effort)):
            baskets.append(placed_per_s(server, keys[:4], effort.seconds, 100))
            singles.append(placed_per_s(server, [*keys] * 4, effort.seconds, 1))
    rows = [
        _row("orders/s, baskets of 100", "", statistics.median(baskets), 2_000, more=True),
        _row("orders/s, single calls", "", statistics.median(singles), 2_000, more=True),
    ]
    return Outcome(rows, {"baskets": baskets, "singles": singles})


def placed_per_s(server: Trading, keys: Sequence[str], seconds: float, size: int) -> float:
    """Orders per second that clients, one for each key, get answered; the database must hold each."""
    clients = [Http(server.api_port, key) for key in keys]
    before, numbers = server.count("SELECT count(*) FROM orders"), count()
    asked = {}
    for client in clients:
        rows = [limit("T0001", round(900 - TICK * (next(numbers) % 100), 2)) for _ in range(size)]
        asked[id(client)] = (
            client.request("basketorder", orders=rows) if size > 1 else client.request("placeorder", **rows[0])
        )
    answered, took = closed_loop(clients, lambda client: asked[id(client)], seconds)
    if server.count("SELECT count(*) FROM orders") - before != answered * size:
        raise ToolError("the database and the clients do not agree about the orders")
    for client in {client.key: client for client in clients}.values():
        client.ask("cancelallorder")
    for client in clients:
        client.close()
    return answered * size / took


def watching(effort: Effort) -> Outcome:
    """What a tick costs the trade process, with 100 and with 1,000 instruments held by resting orders."""
    rows: list[Row] = []
    raw: Json = {}
    with trading() as server:
        bus, http = Bus(server), Http(server.api_port, server.key)
        held = 0
        for wanted in (100, 1_000):
            names = [symbol(index) for index in range(held, wanted)]
            price(bus, http, names, 600)
            place(http, [limit(name, 100) for name in names])
            held = wanted
            for rate in (1_000, 10_000):
                taken = [_tick_us(server, wanted, rate, effort.seconds) for _ in range(_rounds(effort))]
                raw[f"{wanted} at {rate}"] = taken
                rows.append(_row(f"CPU per tick, {wanted:,} held, {rate:,} ticks/s", "us", statistics.median(taken)))
        http.close()
        bus.close()
    return Outcome(rows, raw)


def _tick_us(server: Trading, symbols: int, rate: float, seconds: float) -> float:
    """CPU us of the trade process per tick, without what it uses when none comes."""
    time.sleep(0.3)
    used = server.used_ns("trade")
    time.sleep(1)
    idle_per_s = server.used_ns("trade") - used
    used, began = server.used_ns("trade"), time.monotonic()
    address = f"127.0.0.1:{server.zmq_port}"
    published = run("publish", address=address, rate=rate, seconds=seconds, symbols=symbols, payload="ltp")
    time.sleep(0.3)
    spent = server.used_ns("trade") - used - idle_per_s * (time.monotonic() - began)
    return max(spent, 0.0) / 1e3 / int(published["sent"])


CASES: dict[str, Callable[[Effort], Outcome]] = {
    "trade-fills": fills,
    "trade-burst": burst,
    "trade-placing": placing,
    "trade-resting": resting,
    "trade-watching": watching,
}


def _rounds(effort: Effort) -> int:
    return min(effort.rounds, 3)


def _row(what: str, unit: str, value: float, target: float | None = None, more: bool = False) -> Row:
    return Row(what, unit, {"gateway": value}, target, f"{target:,.0f}" if target else "", more)


def _burst_rows(times: Sequence[Json]) -> list[Row]:
    middle = {name: statistics.median(one[name] for one in times) for name in times[0]}
    return [
        _row("first order committed and told", "ms", middle["first_ms"]),
        _row("all orders committed and told", "ms", middle["all_ms"], 500),
        _row("longest the API did not answer", "ms", middle["stall_ms"]),
    ]


def _readers(without: Sequence[Window], beside: Sequence[Window]) -> list[Row]:
    alone = median(without, "p99_us")
    target = alone * 1.1
    return [
        _row("market data p99 without", "us", alone),
        Row("market data p99 beside it", "us", {"gateway": median(beside, "p99_us")}, target, "without x 1.1"),
    ]


def _raw(without: Sequence[Window], beside: Sequence[Window]) -> Json:
    return {"alone": [one.json() for one in without], "beside": [one.json() for one in beside]}
