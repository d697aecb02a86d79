"""The official KiteTicker as a program of its own (twisted's reactor runs once per process).

`python -m tests.simulators.kite_ticker_client WS_URL KEY TOKEN '{"full": [408065]}'` prints a JSON line for each event.
"""

from __future__ import annotations

import json
import sys
import warnings
from datetime import datetime
from typing import Any

warnings.simplefilter("ignore")

from kiteconnect import KiteTicker  # noqa: E402 - its imports warn about themselves


def say(kind: str, **fields: Any) -> None:
    """One JSON line; times become Unix seconds."""
    print(json.dumps({"kind": kind, **fields}, default=_plain), flush=True)


def _plain(value: object) -> int:
    if isinstance(value, datetime):
        return int(value.timestamp())
    raise TypeError(type(value).__name__)


def main(url: str, key: str, token: str, modes: dict[str, list[int]]) -> None:
    """Connects, subscribes, and reports until the process is ended."""
    ticker = KiteTicker(key, token, root=url, reconnect=False)

    def on_connect(ws: Any, response: Any) -> None:
        ws.subscribe([each for tokens in modes.values() for each in tokens])
        for mode, tokens in modes.items():
            ws.set_mode(mode, tokens)
        say("connected")

    ticker.on_connect = on_connect
    ticker.on_ticks = lambda ws, ticks: say("ticks", ticks=ticks)
    ticker.on_order_update = lambda ws, data: say("order", data=data)
    ticker.on_error = lambda ws, code, reason: say("error", code=code, reason=str(reason))
    ticker.on_close = lambda ws, code, reason: say("close", code=code, reason=str(reason))
    ticker.connect()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))
