"""Measuring: one window at a fixed rate, and the search for the highest rate that a server sustains."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace

from bench import tool
from bench.servers import Running
from bench.tool import Json

#: a server sustains a rate while half of its ticks arrive within this, us
SUSTAINED_P50_US = 20_000.0


@dataclass(frozen=True, slots=True)
class Load:
    """Who reads what, and how fast ticks come."""

    readers: int
    symbols: int
    #: ticks per second
    rate: float
    seconds: float = 5.0
    warm_up: float = 1.0
    stall: int = 0
    conflate_ms: int = 0
    payload: str = "ltp"
    idle_ms: int = 500


@dataclass(frozen=True, slots=True)
class Window:
    """What one window showed. Latencies in us from the publisher's stamp to the read, infinite where none came."""

    server: str
    load: Load
    p50_us: float
    p99_us: float
    max_us: float
    #: CPU of the server's threads per delivered tick, us
    cpu_us: float
    #: share of its core that the server used
    busy: float
    frames: int
    #: share of what was published that every reader got
    delivered: float
    frames_per_s: float
    all_delivered: bool
    older: int
    closes: dict[str, int]
    late_max_us: float

    @property
    def sustained(self) -> bool:
        """True where the server kept up."""
        return self.all_delivered and self.p50_us < SUSTAINED_P50_US

    def json(self) -> Json:
        """The window as plain values."""
        return asdict(self)


def window(server: Running, load: Load, during: Callable[[], None] | None = None) -> Window:
    """Brings readers up, publishes, and reads the server's CPU before and after.

    `during` runs in a thread beside the publisher, from its start; the window ends after both. Its error is raised.
    """
    readers = tool.spawn(
        "readers",
        key=server.key,
        address=f"127.0.0.1:{server.ws_port}",
        readers=load.readers,
        symbols=load.symbols,
        stall=load.stall or None,
        bare=server.bare,
        conflate_ms=load.conflate_ms,
        warm_up=load.warm_up,
        idle_ms=load.idle_ms,
        max_seconds=load.seconds * 1.5 + 4,
    )
    with readers:
        try:
            tool.next_line(readers)
            before = server.cpu_ns()
            with ThreadPoolExecutor(1) as beside:
                task = beside.submit(during) if during else None
                published = tool.run(
                    "publish",
                    address=f"127.0.0.1:{server.zmq_port}",
                    rate=load.rate,
                    seconds=load.seconds,
                    symbols=load.symbols,
                    payload=load.payload,
                )
                if task is not None:
                    task.result()
            read = tool.next_line(readers)
            used = server.cpu_ns() - before
        finally:
            readers.kill()
    return _window(server.name, load, published, read, used)


def _window(server: str, load: Load, published: Json, read: Json, used_ns: int) -> Window:
    frames = read["frames"]
    timed = read["measured"] > 0
    whole = published["dropped"] == 0 and published["unsent_bytes"] == 0
    return Window(
        server=server,
        load=load,
        p50_us=read["p50_us"] if timed else math.inf,
        p99_us=read["p99_us"] if timed else math.inf,
        max_us=read["max_us"] if timed else math.inf,
        cpu_us=used_ns / 1e3 / max(frames, 1),
        busy=used_ns / 1e9 / published["seconds"],
        frames=frames,
        delivered=frames / max((published["sent"] + published["dropped"]) * load.readers, 1),
        frames_per_s=read["frames_per_s"],
        all_delivered=whole and read["missing"] == read["older"] == 0 and frames == published["sent"] * load.readers,
        older=read["older"],
        closes=read["closes"],
        late_max_us=published["late_max_us"],
    )


def in_turns(names: Sequence[str], rounds: int, once: Callable[[str], Window]) -> dict[str, list[Window]]:
    """Measures each server once per round, so that a drifting machine drifts for all of them."""
    taken: dict[str, list[Window]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            taken[name].append(once(name))
    return taken


def median(windows: Sequence[Window], field: str) -> float:
    """The median of one number over windows."""
    return float(statistics.median(getattr(one, field) for one in windows))


def sustain(
    start: Callable[[], AbstractContextManager[Running]], load: Load, bisections: int = 5
) -> tuple[Window | None, list[Window]]:
    """Doubles the rate from `load.rate` until the server falls behind, then narrows the gap.

    Every window has a fresh server: one that fell behind is still busy with what it owes. A rate counts as too
    high when it fails twice, since a machine of two cores also has bad seconds.
    """
    taken: list[Window] = []
    good, bad = 0.0, math.inf
    best: Window | None = None
    rate = load.rate
    steps = 0
    while steps < bisections and rate > 50:
        passed = None
        for _ in range(2):
            with start() as server:
                taken.append(window(server, replace(load, rate=rate)))
            if taken[-1].sustained:
                passed = taken[-1]
                break
        if passed is not None:
            good, best = rate, passed
        else:
            bad = rate
        steps += good > 0 and bad < math.inf
        rate = rate * 2 if bad == math.inf else math.sqrt(good * bad) if good else rate / 4
    return best, taken
