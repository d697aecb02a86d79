"""What symbols with depth cost in memory: in the running market process, and in the engine alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench import tool
from bench.payloads import depth_payload, topic
from bench.servers import Running, gateway
from bench.tool import ROOT, ToolError

#: few symbols warm every path, many more then show what each costs; fewer than these hide in memory freed before
FEW, MANY = 100, 20_100
SUBSCRIBED = 3_000


def of_process() -> float:
    """KB per 100 symbols that have a last value with depth; a reader holds the first 3,000 of them in LTP."""
    with gateway() as server:
        readers = tool.spawn(
            "readers",
            key=server.key,
            address=f"127.0.0.1:{server.ws_port}",
            readers=1,
            symbols=SUBSCRIBED,
            until="hold",
            max_seconds=30,
        )
        with readers:
            try:
                tool.next_line(readers)
                before = _after(server, FEW)
                after = _after(server, MANY)
            finally:
                readers.kill()
    return (after - before) / 1e3 / (MANY - FEW) * 100


def of_engine() -> float:
    """The same without process, sockets and readers: an engine in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-m", "bench.memory"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise ToolError(done.stderr.strip())
    return float(done.stdout)


def of_payload() -> float:
    """KB that the payloads of 100 symbols take by themselves, as `of_engine` ingests them."""
    return sum(len(depth_payload(index)) for index in range(100)) / 1e3


def _after(server: Running, symbols: int) -> int:
    """Resident bytes once each of `symbols` symbols has ticked three times."""
    rate = 20_000
    tool.run(
        "publish",
        address=f"127.0.0.1:{server.zmq_port}",
        rate=rate,
        seconds=symbols * 3 / rate,
        symbols=symbols,
        payload="depth",
    )
    time.sleep(0.5)
    return server.rss_bytes()


def _grown_by_engine(symbols: int = 10_000) -> float:
    """KB per 100 symbols in this process."""
    from gateway_matcher import Engine

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    engine = Engine()
    now_ns = 1_705_294_800_000_000_000
    for index in range(FEW):
        engine.ingest(topic(index, "DEPTH"), depth_payload(index), now_ns)
    before = resident()
    for index in range(FEW, FEW + symbols):
        engine.ingest(topic(index, "DEPTH"), depth_payload(index), now_ns)
    return (resident() - before) / 1e3 / symbols * 100


if __name__ == "__main__":
    print(_grown_by_engine())
