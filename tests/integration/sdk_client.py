"""Uses the `openalgo` SDK as its users do, in a process of its own: `sdk_client TASK WS_URL KEY`; prints JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from openalgo import api

RELIANCE = {"exchange": "NSE", "symbol": "RELIANCE"}
NIFTY = {"exchange": "NSE_INDEX", "symbol": "NIFTY"}
SBIN = {"exchange": "NSE", "symbol": "SBIN"}
#: an index has no depth
WANTS = {"ltp": [RELIANCE, NIFTY], "quote": [RELIANCE, NIFTY], "depth": [RELIANCE, SBIN]}
Frames = list[dict[str, Any]]


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def until(true: Callable[[], object], seconds: float = 8.0) -> bool:
    """Waits for a condition; False when it did not come."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def tour(client: Any) -> None:
    """Everything of the SDK's feed side, once."""
    got: dict[str, Frames] = {mode: [] for mode in WANTS}
    say(step="connect", result=client.connect())
    for mode, wants in WANTS.items():
        result = getattr(client, f"subscribe_{mode}")(wants, on_data_received=got[mode].append)
        came = until(lambda mode=mode: len({frame["symbol"] for frame in got[mode]}) == 2)  # type: ignore[misc]
        say(step=f"subscribe_{mode}", result=result, came=came, frame=got[mode][-1] if got[mode] else None)
    say(step="get_ltp", result=client.get_ltp())
    say(step="get_quotes", result=client.get_quotes())
    say(step="get_depth", result=client.get_depth())
    for mode, wants in WANTS.items():
        result = getattr(client, f"unsubscribe_{mode}")(wants)
        time.sleep(0.3)
        for frames in got.values():
            frames.clear()
        time.sleep(0.4)
        say(step=f"unsubscribe_{mode}", result=result, still={mode: len(frames) for mode, frames in got.items()})
    client.disconnect()
    say(step="disconnect", connected=client.connected)


def refused(client: Any) -> None:
    """A key that nobody has."""
    say(step="connect", result=client.connect(), authenticated=client.authenticated)


def again(client: Any) -> None:
    """Streams, waits until the connection is lost, connects again, streams on."""
    frames: Frames = []
    client.connect()
    client.subscribe_ltp([RELIANCE], on_data_received=frames.append)
    say(step="streaming", result=until(lambda: frames))
    say(step="lost", result=until(lambda: not client.connected))
    began = time.monotonic()
    while not client.connect():
        if time.monotonic() - began > 20:
            break
    frames.clear()
    client.subscribe_ltp([RELIANCE], on_data_received=frames.append)
    say(step="streaming again", result=until(lambda: len(frames) > 5), seconds=time.monotonic() - began)
    client.disconnect()


if __name__ == "__main__":
    task, ws_url, key = sys.argv[1:]
    {"tour": tour, "refused": refused, "again": again}[task](api(api_key=key, ws_url=ws_url, verbose=False))
