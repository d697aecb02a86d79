"""Taking apart what the server writes: unmasked WebSocket frames, one after the other."""

from __future__ import annotations

from typing import Any

import orjson


def split(data: bytes) -> list[bytes]:
    """The payloads of complete text frames."""
    found, at = [], 0
    while at < len(data):
        assert data[at] == 0x81, f"no final text frame at {at}"
        size, at = data[at + 1], at + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        found.append(data[at : at + size])
        at += size
    assert at == len(data), "the last frame is cut"
    return found


def messages(data: bytes) -> list[dict[str, Any]]:
    """The JSON objects in a write."""
    return [orjson.loads(payload) for payload in split(data)]
