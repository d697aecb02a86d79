"""The Rust decoder against the shared vectors, the official parser, and damaged frames."""

from __future__ import annotations

import json
import os
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from gateway_matcher import Engine, KiteDecoder
from hypothesis import given, settings
from kiteconnect import KiteTicker

from tests.simulators.kite_market import INSTRUMENTS, Market
from tests.simulators.kite_wire import HEARTBEAT, Book, divisor, frame
from tests.unit.adapters.kite_frames import books, frames, from_kiteticker, mutate, whole_frame

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "kite.json").read_text())["vectors"]
BINARY = [vector for vector in VECTORS if vector["frame"] == "binary"]
NOW = 1_763_611_200_123
#: mutated frames in one run; raise it for a long one
FUZZ = int(os.environ.get("KITE_FUZZ", "20000"))


def reference(data: bytes) -> list[dict[str, Any]]:
    """What the official client makes of a frame."""
    return [from_kiteticker(tick) for tick in KiteTicker("key", "token")._parse_binary(data)]


def decoder(*rows: tuple[int, str, str]) -> KiteDecoder:
    made = KiteDecoder()
    made.set_instruments(list(rows))
    return made


@pytest.mark.parametrize("vector", BINARY, ids=lambda vector: str(vector["id"]))
def test_vectors_give_their_ticks(vector: dict[str, Any]) -> None:
    assert KiteDecoder().ticks(bytes.fromhex(vector["hex"])) == vector["expected"]["ticks"]


@pytest.mark.parametrize("vector", BINARY, ids=lambda vector: str(vector["id"]))
def test_vectors_give_their_bus_messages(vector: dict[str, Any]) -> None:
    names = {int(token): name.split(":") for token, name in vector["context"]["instruments"].items()}
    made = decoder(*((token, exchange, symbol) for token, (exchange, symbol) in names.items()))
    messages = made.decode(bytes.fromhex(vector["hex"]), NOW)
    expected = vector["expected"]["ticks"]
    assert len(messages) == len(expected)
    for (topic, payload), tick in zip(messages, expected, strict=True):
        mode = {"ltp": "LTP", "quote": "QUOTE", "full": "DEPTH"}[tick["mode"]]
        assert topic.decode() == "_".join([*names[tick["instrument_token"]], mode])
        assert json.loads(payload) == common(tick)


def common(tick: dict[str, Any]) -> dict[str, Any]:
    """A tick as KITE section 7 wants it on the bus: a second, plain statement of the rules."""
    out = {name: value for name, value in tick.items() if name in COMMON}
    out["timestamp"] = tick.get("timestamp", NOW)
    if "ltq" in tick:
        out |= {"last_trade_quantity": tick["ltq"], "avg_trade_price": tick["average_price"]}
    if tick.get("close"):
        ltp, close = Decimal(str(tick["ltp"])), Decimal(str(tick["close"]))
        out |= {"change": float(ltp - close), "change_percent": float(round((ltp - close) * 100 / close, 4))}
    if tick["mode"] == "full":
        sides = tick.get("depth", {"buy": [], "sell": []})
        depth = {side: [level for level in sides[side] if any(level.values())] for side in ("buy", "sell")}
        out["depth"] = depth
        for name, side in (("bid", "buy"), ("ask", "sell")):
            if sides[side] and sides[side][0]["price"]:
                out[name] = sides[side][0]["price"]
    return out


COMMON = """ltp ltt ltq open high low close volume oi average_price total_buy_quantity
total_sell_quantity timestamp""".split()


@given(data=frames)
@settings(max_examples=400, deadline=None)
def test_ticks_equal_the_official_parser(data: bytes) -> None:
    assert KiteDecoder().ticks(data) == reference(data)


@given(book=books())
@settings(max_examples=200, deadline=None)
def test_payload_prices_are_exact_decimals(book: Book) -> None:
    """The text of a price, read as a decimal, times the divisor is the integer on the wire."""
    [(_, payload)] = decoder((book.token, "NSE", "X")).decode(frame([book.packet("full")]), NOW)
    data = json.loads(payload, parse_float=Decimal)
    for name in ("ltp", "open", "high", "low", "close"):
        assert data[name] * divisor(book.token) == getattr(book, name)
    if book.close:
        assert data["change"] * divisor(book.token) == book.ltp - book.close
        exact = Decimal(book.ltp - book.close) * 100 / Decimal(book.close)
        assert abs(data["change_percent"] - exact) <= Decimal("0.00005")
    else:
        assert "change" not in data


def test_nothing_is_said_of_instruments_not_in_the_table() -> None:
    made = decoder((408065, "NSE", "INFY"))
    assert made.decode(frame([Book(1, ltp=5).packet("ltp")]), NOW) == []
    assert made.counters()["unknown_token"] == 1
    made.set_instruments([(1, "NSE", "OTHER")])
    assert made.decode(frame([Book(1, ltp=5).packet("ltp")]), NOW) == [
        (b"NSE_OTHER_LTP", b'{"ltp":0.05,"timestamp":%d}' % NOW)
    ]
    assert made.decode(frame([Book(408065, ltp=5).packet("ltp")]), NOW) == []


def test_a_packet_cut_to_another_known_length_is_not_misread() -> None:
    """The official parser takes the first 8 bytes of a cut quote packet for an LTP packet; we drop it."""
    whole = frame([Book(408065, ltp=141865, open=1).packet("quote")])
    cut = whole[: 4 + 8]
    assert len(reference(cut)) == 1
    made = KiteDecoder()
    assert made.ticks(cut) == []
    assert made.counters()["truncated"] == 1


def test_counters_tell_what_was_dropped() -> None:
    made = decoder((408065, "NSE", "INFY"))
    good = Book(408065, ltp=1).packet("ltp")
    made.decode(HEARTBEAT, NOW)
    made.decode(frame([good, b"\0" * 12]) + b"\0", NOW)
    made.decode(frame([good, good])[:-1], NOW)
    assert made.counters() == {
        "frames": 3, "heartbeats": 1, "packets": 2, "unknown_length": 1, "truncated": 1, "trailing": 1,
        "unknown_token": 0, "published": 2,
    }  # fmt: skip


def test_the_engine_takes_every_payload() -> None:
    """What the decoder writes passes the engine's own check of payloads, from every kind of packet."""
    market, engine = Market(seed=11), Engine()
    tokens = list(market.books)
    made = decoder(*((token, "NSE", f"T{token}") for token in tokens))
    taken = 0
    for number in range(600):
        book = market.step(tokens)
        assert book is not None
        packet = book.packet(("ltp", "quote", "full")[number % 3])
        for topic, payload in made.decode(frame([packet]), NOW):
            assert engine.ingest(topic, payload, number) == "tick"
            taken += 1
    assert taken == 600


def test_damaged_frames_crash_nothing_and_give_json() -> None:
    """Seeded mutations of real-looking frames: bits flipped, bytes cut, doubled, spliced."""
    dice = random.Random(20261121)
    market = Market(seed=7)
    tokens = [row.instrument_token for row in INSTRUMENTS]
    made = decoder(*((token, "NSE", "X") for token in tokens))
    published = 0
    for _ in range(FUZZ):
        data = mutate(dice, whole_frame(dice, market, tokens))
        for topic, payload in made.decode(data, NOW):
            published += 1
            assert topic.startswith(b"NSE_X_")
            if published % 50 == 0:
                assert json.loads(payload)["ltp"] >= 0
    counters = made.counters()
    assert counters["frames"] == FUZZ
    # the mutations reach every way out of the decoder
    assert min(counters[name] for name in ("truncated", "trailing", "unknown_length", "unknown_token")) > FUZZ // 100
    assert published == counters["published"] > FUZZ // 4
