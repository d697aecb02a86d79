"""The cases of the speed table: what is measured, beside whom, and what is to be reached."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from bench import memory, tool
from bench.measure import Load, Window, in_turns, median, sustain, window
from bench.servers import Running, gateway, start
from bench.tool import Json

ALL = ("gateway", "plain", "bare")


@dataclass(slots=True)
class Row:
    """One figure of the table for each server, and what the gateway is to reach."""

    what: str
    unit: str
    values: dict[str, float]
    #: the figure to reach; None where the row only informs
    target: float | None = None
    #: where the target comes from, e.g. `bare x 1.1`
    rule: str = ""
    #: True where more is better
    more: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the gateway reaches the target; None where there is none or the gateway was not measured."""
        value = self.values.get("gateway")
        if value is None or self.target is None:
            return None
        return value >= self.target if self.more else value <= self.target


@dataclass(slots=True)
class Outcome:
    """What a case gives: rows to print, and everything measured to keep."""

    rows: list[Row]
    raw: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effort:
    """How thoroughly to measure."""

    servers: Sequence[str] = ALL
    rounds: int = 5
    seconds: float = 6.0
    search_seconds: float = 3.0


def first(effort: Effort) -> Outcome:
    """10 readers of 100 symbols, 1,000 ticks/s: latency and CPU per delivery."""
    load = Load(readers=10, symbols=100, rate=1_000, seconds=effort.seconds)
    taken = _windows(effort, load)
    rows = [
        _beside_bare("p50", "us", taken, "p50_us", 1.1),
        Row("p99", "us", _medians(taken, "p99_us"), 500, "500"),
        _beside_bare("CPU per delivery", "us", taken, "cpu_us", 1.15),
    ]
    return Outcome(rows, _raw(taken))


def wide(effort: Effort) -> Outcome:
    """100 readers of 100 symbols, 500 ticks/s: CPU per delivery."""
    load = Load(readers=100, symbols=100, rate=500, seconds=effort.seconds)
    taken = _windows(replace(effort, servers=[name for name in effort.servers if name != "plain"]), load)
    # the plain design does not sustain this rate: its CPU is taken at one that it does
    if "plain" in effort.servers:
        taken |= _windows(replace(effort, servers=["plain"]), replace(load, rate=200))
    informs = Row("p99", "us", _medians(taken, "p99_us"))
    return Outcome([_beside_bare("CPU per delivery", "us", taken, "cpu_us", 1.1), informs], _raw(taken))


def sustained(effort: Effort, readers: int, symbols: int, target: float, begin: dict[str, float]) -> Outcome:
    """The most deliveries per second without conflation, all delivered, p50 below 20 ms."""
    best: dict[str, Window] = {}
    raw: Json = {}
    for name in effort.servers:
        load = Load(readers, symbols, begin[name], seconds=effort.search_seconds, warm_up=0.5)
        found, tried = sustain(partial(start, name), load)
        raw[name] = [one.json() for one in tried]
        if found is not None:
            best[name] = found
    rows = [
        Row("deliveries/s", "", _values(best, "frames_per_s"), target, f"{target:,.0f}", more=True),
        Row("p50 at that rate", "us", _values(best, "p50_us")),
        Row("CPU per delivery", "us", _values(best, "cpu_us")),
    ]
    return Outcome(rows, raw)


def storm(effort: Effort) -> Outcome:
    """100 readers subscribe 1,000 symbols each at once: until the last acknowledgement."""
    times: dict[str, list[float]] = {}
    for _ in range(effort.rounds):
        for name in effort.servers:
            if name != "bare":
                with start(name) as server:
                    times.setdefault(name, []).append(_ready(server, readers=100, symbols=1_000)["subscribe_ms"])
    values = {name: statistics.median(taken) for name, taken in times.items()}
    return Outcome([Row("all acknowledged", "ms", values, 150, "150")], dict(times))


def stalled(effort: Effort) -> Outcome:
    """One reader that never reads beside ten that do: what it does to the ten."""
    # large messages fill the buffers of kernel and server within the warm-up
    load = Load(readers=10, symbols=100, rate=1_000, seconds=effort.seconds + 4, warm_up=4, payload="large")
    servers = [name for name in ("gateway", "plain") if name in effort.servers]

    def once(name: str) -> Window:
        server_name, _, stall = name.partition("+")
        with start(server_name) as server:
            return window(server, replace(load, stall=len(stall)))

    taken = in_turns([*servers, *(f"{name}+1" for name in servers)], effort.rounds, once)
    alone = {name: taken[name] for name in servers}
    beside = {name: taken[f"{name}+1"] for name in servers}
    without, with_one = _medians(alone, "p99_us"), _medians(beside, "p99_us")
    target = without["gateway"] * 1.1 if "gateway" in without else None
    rows = [
        Row("p99 without", "us", without),
        Row("p99 beside it", "us", with_one, target, "without x 1.1"),
        Row("share delivered beside it", "", _medians(beside, "delivered"), 1, "all", more=True),
    ]
    return Outcome(rows, {"alone": _raw(alone), "beside": _raw(beside)})


def held(effort: Effort) -> Outcome:
    """10,000 readers of 10 symbols at 20 ticks/s: held, and everything delivered."""
    readers = 10_000
    load = Load(readers, 10, rate=20, seconds=effort.seconds, warm_up=1, idle_ms=2_000)
    with gateway() as server:
        before = server.rss_bytes()
        taken = window(server, load)
        grown = server.rss_bytes() - before
    lost = 0.0 if taken.all_delivered else 1.0
    rows = [
        Row("readers held", "", {"gateway": readers - sum(taken.closes.values())}, readers, f"{readers:,}", more=True),
        Row("windows with losses", "", {"gateway": lost}, 0, "0"),
        Row("p99", "us", {"gateway": taken.p99_us}),
        Row("memory per reader", "KB", {"gateway": grown / readers / 1_000}),
    ]
    return Outcome(rows, {"gateway": taken.json()})


def memory_with_depth(effort: Effort) -> Outcome:
    """Memory that 100 more symbols with depth cost, in the market process and in the engine alone."""
    process = memory.of_process()
    engine = memory.of_engine()
    payload = memory.of_payload()
    rows = [
        Row("per 100 symbols, process", "KB", {"gateway": process}, 50, "50"),
        Row("per 100 symbols, engine alone", "KB", {"gateway": engine}, 50, "50"),
        Row("of which the payloads themselves", "KB", {"gateway": payload}),
    ]
    return Outcome(rows, {"process_kb": process, "engine_kb": engine, "payload_kb": payload})


def ceiling(effort: Effort) -> Outcome:
    """What the load readers themselves can take, so that it is known what was measured."""
    values = {}
    for readers in (10, 100):
        flood = tool.spawn("flood", cpu=tool.cpus()[0], address="127.0.0.1:19799", connections=readers, seconds=2)
        with flood:
            read = tool.run("readers", address="127.0.0.1:19799", readers=readers, bare=True, idle_ms=300)
        values[f"{readers} readers"] = read["frames_per_s"]
    rows = [
        Row(f"frames/s, {name}", "", {"gateway": value}, 3e6, "3,000,000", more=True) for name, value in values.items()
    ]
    return Outcome(rows, dict(values))


CASES: dict[str, Callable[[Effort], Outcome]] = {
    "ceiling": ceiling,
    "first": first,
    "wide": wide,
    "sustained-10": partial(
        sustained, readers=10, symbols=100, target=1.2e6, begin={"gateway": 40_000, "plain": 1_500, "bare": 10_000}
    ),
    "sustained-100": partial(
        sustained, readers=100, symbols=100, target=2e6, begin={"gateway": 6_000, "plain": 150, "bare": 800}
    ),
    "one-reader": partial(
        sustained, readers=1, symbols=1_000, target=2e5, begin={"gateway": 80_000, "plain": 2_000, "bare": 50_000}
    ),
    "storm": storm,
    "stalled": stalled,
    "memory": memory_with_depth,
    "held": held,
}


def _windows(effort: Effort, load: Load, servers: Sequence[str] = ALL) -> dict[str, list[Window]]:
    def once(name: str) -> Window:
        with start(name) as server:
            return window(server, load)

    return in_turns([name for name in servers if name in effort.servers], effort.rounds, once)


def _ready(server: Running, readers: int, symbols: int) -> Json:
    """Brings readers up and returns how long each step took; they leave again."""
    process = tool.spawn(
        "readers",
        key=server.key,
        address=f"127.0.0.1:{server.ws_port}",
        readers=readers,
        symbols=symbols,
        until="ready",
    )
    with process:
        return tool.next_line(process)


def _medians(taken: dict[str, list[Window]], name: str) -> dict[str, float]:
    return {server: median(windows, name) for server, windows in taken.items()}


def _values(best: dict[str, Window], name: str) -> dict[str, float]:
    return {server: float(getattr(one, name)) for server, one in best.items()}


def _raw(taken: dict[str, list[Window]]) -> Json:
    return {server: [one.json() for one in windows] for server, windows in taken.items()}


def _beside_bare(what: str, unit: str, taken: dict[str, list[Window]], name: str, factor: float) -> Row:
    values = _medians(taken, name)
    target = values["bare"] * factor if "bare" in values else None
    return Row(what, unit, values, target, f"bare x {factor}")
