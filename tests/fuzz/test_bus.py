"""Whatever comes over the bus: what is accepted is good JSON, and what readers get of it is, too."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import orjson
from gateway_matcher import Engine

from tests.fuzz.mutate import COUNT, Mutator
from tests.fuzz.seeds import HELD, PAYLOADS, TOPICS
from tests.reference.frames import split

OUTCOMES = {"tick", "orders", "invalidate", "private", "unknown", "dropped"}


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    assert math.isfinite(number), text
    return number


def strict(text: bytes) -> dict[str, Any]:
    """The object in `text`; it is one for a strict parser as well as for a fast one."""
    body = json.loads(text.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
    assert isinstance(body, dict)
    orjson.loads(text)
    return body


def test_what_is_accepted_is_good_and_frames_are_whole() -> None:
    engine = Engine("bus", instruments=2_000, values=1 << 20)
    nested, flat = engine.open("nested"), engine.open("flat", flat=True)
    rows = [(exchange, symbol, mode) for exchange, symbol in HELD for mode in (1, 2, 3)]
    for reader in (nested, flat):
        engine.subscribe(reader, rows, 0)
    engine.want(b"NSE_SBIN_LTP", True)
    engine.listen(b"", True)
    topics, payloads = Mutator(TOPICS, 1), Mutator(PAYLOADS, 2)
    outcomes = dict.fromkeys(OUTCOMES, 0)
    for now in range(COUNT):
        # Mostly one of the two is whole, or nearly nothing would get through.
        topic = topics.next() if now % 3 else TOPICS[now % 7]
        payload = payloads.next() if now % 4 else PAYLOADS[0]
        outcome = engine.ingest(topic, payload, now + 1)
        outcomes[outcome] += 1
        batches = engine.flush(now + 1)
        if outcome != "tick":
            assert not batches
            continue
        data = strict(payload)
        for listener, frames in zip(batches[::2], batches[1::2], strict=True):
            for text in split(frames):
                _check(listener, strict(text), data)
    stats = engine.stats()
    assert stats["instruments"] <= 2_000
    assert stats["heap_bytes"] < 4 << 20
    assert min(outcomes[name] for name in ("tick", "orders", "dropped", "unknown")) > COUNT / 100, outcomes
    assert sum(outcomes.values()) == COUNT


def _check(listener: str, frame: dict[str, Any], data: dict[str, Any]) -> None:
    if listener == "nested":
        assert frame["type"] == "market_data"
        assert frame["data"] == data
        return
    own = {"symbol", "exchange"}
    ours = {"type", "mode", "broker", "data", "snapshot"} | own
    assert (frame["exchange"], frame["symbol"]) in HELD
    assert {name: value for name, value in frame.items() if name not in own} == {
        name: value for name, value in data.items() if name not in ours
    }
