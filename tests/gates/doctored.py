"""The market process with a planted slowdown: a JSON parse per delivery. `python -m tests.gates.doctored market`.

Only the speed gates run it, to show that they notice. The slowdown is what the plain design does by nature: each
delivered frame is parsed and written anew before it is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gateway import cli
from gateway._fastpath.fanout import fan_out
from gateway.stream import hub


def texts(frames: bytes) -> Iterator[bytes]:
    """The payloads of server frames that stand one behind the other (RFC 6455 section 5.2)."""
    at = 0
    while at < len(frames):
        size, header = frames[at + 1], 2
        if size >= 126:
            header = 4 if size == 126 else 10
            size = int.from_bytes(frames[at + 2 : at + header])
        yield frames[at + header : at + header + size]
        at += header + size


def slow_fan_out(batches: list[Any]) -> int:
    """Parses and serialises every delivery, then sends what there was."""
    for frames in batches[1::2]:
        for text in texts(frames):
            json.dumps(json.loads(text))
    return fan_out(batches)


def main() -> None:
    """Runs the gateway's command line with the slow loop in the hub's place of the fast one."""
    vars(hub)["fan_out"] = slow_fan_out
    cli.main()


if __name__ == "__main__":
    main()
