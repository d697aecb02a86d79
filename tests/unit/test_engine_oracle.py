"""The Rust engine and the plain reference see the same random life and must say the same."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
from gateway_matcher import Engine
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model import Mode
from tests.reference.engine import MS, Message, ReferenceEngine
from tests.reference.frames import messages

SYMBOLS = ("SBIN", "SOL_INR", "M&M")
READERS = st.integers(0, 3)
KEYS = st.tuples(st.just("NSE"), st.sampled_from(SYMBOLS), st.integers(1, 3))
STEPS = st.one_of(
    st.tuples(st.just("subscribe"), READERS, KEYS, st.sampled_from([0, 1, 7, 50])),
    st.tuples(st.just("unsubscribe"), READERS, KEYS),
    st.tuples(st.just("tick"), st.sampled_from(SYMBOLS), st.sampled_from(list(Mode)), st.booleans()),
    st.tuples(st.just("tick"), st.just("SBIN"), st.just(Mode.LTP), st.just(True)),
    st.tuples(st.just("wait"), st.integers(0, 80 * MS)),
    st.tuples(st.just("flush")),
    st.tuples(st.just("pause"), READERS),
    st.tuples(st.just("resume"), READERS),
    st.tuples(st.just("reopen"), READERS),
)


class Pair:
    """Both engines, driven alike."""

    def __init__(self) -> None:
        self.rust = Engine("bus")
        self.plain = ReferenceEngine()
        self.now = 1_000 * MS
        self.price = 0
        self.numbers: dict[int, int] = {}
        for reader in range(4):
            self.open(reader)

    def open(self, reader: int) -> None:
        self.numbers[reader] = self.rust.open(reader)
        self.plain.open(reader)

    def subscribe(self, reader: int, key: tuple[str, str, int], window_ms: int) -> None:
        taken = self.rust.subscribe(self.numbers[reader], [key], window_ms)
        self.rust.snapshots(taken, self.now)
        self.plain.subscribe(reader, key, window_ms, self.now)

    def unsubscribe(self, reader: int, key: tuple[str, str, int]) -> None:
        ended, _ = self.rust.unsubscribe(self.numbers[reader], [key])
        assert bool(ended[0]) == self.plain.unsubscribe(reader, key)

    def tick(self, symbol: str, mode: Mode, priced: bool) -> None:
        self.price += 1
        priced = priced or mode is not Mode.DEPTH
        body: dict[str, Any] = {"ltp": self.price} if priced else {"n": self.price}
        if mode is Mode.DEPTH:
            body["depth"] = {"buy": [{"price": 1, "quantity": 1, "orders": 1}], "sell": []}
        payload = orjson.dumps(body)
        topic = f"NSE_{symbol}_{mode.name}".encode()
        assert self.rust.ingest(topic, payload, self.now) == "tick"
        self.plain.tick("NSE", symbol, mode, payload, priced, self.now)

    def wait(self, ns: int) -> None:
        self.now += ns

    def flush(self) -> None:
        self.plain.flush(self.now)

    def pause(self, reader: int) -> None:
        self.rust.pause(self.numbers[reader])
        self.plain.pause(reader)

    def resume(self, reader: int) -> None:
        self.rust.resume(self.numbers[reader], self.now)
        self.plain.resume(reader, self.now)

    def reopen(self, reader: int) -> None:
        self.rust.close(self.numbers[reader])
        self.plain.close(reader)
        self.open(reader)

    def compare(self) -> dict[int, list[Message]]:
        """Flushes both and compares what each reader got of each subscription, in order."""
        self.plain.flush(self.now)
        flat = self.rust.flush(self.now)
        got = {reader: messages(data) for reader, data in zip(flat[::2], flat[1::2], strict=True)}
        want = self.plain.take()
        assert by_key_of_rust(got) == by_key_of_plain(want)
        return want


def by_key_of_rust(got: dict[int, list[dict[str, Any]]]) -> dict[Any, list[Any]]:
    out: dict[Any, list[Any]] = {}
    for reader, sent in got.items():
        for m in sent:
            assert m["type"] == "market_data"
            assert m["broker"] == "bus"
            key = (reader, (m["exchange"], m["symbol"], m["mode"]))
            out.setdefault(key, []).append((m["data"], m.get("snapshot", False)))
    return out


def by_key_of_plain(want: dict[int, list[Message]]) -> dict[Any, list[Any]]:
    out: dict[Any, list[Any]] = {}
    for reader, sent in want.items():
        for m in sent:
            out.setdefault((reader, m.key), []).append((orjson.loads(m.payload), m.snapshot))
    return out


@settings(max_examples=400, deadline=None)
@given(st.lists(STEPS, max_size=60), st.booleans())
def test_rust_engine_equals_reference(steps: list[Any], every_step: bool) -> None:
    pair = Pair()
    for name, *args in steps:
        getattr(pair, name)(*args)
        # The server flushes in the turn of every change; a flush that comes late must be right as well.
        if every_step or name == "flush":
            pair.compare()
    pair.wait(200 * MS)
    for reader in range(4):
        pair.resume(reader)
    pair.compare()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 30 * MS), min_size=1, max_size=40), st.sampled_from([0, 5, 50]))
def test_spacing_order_and_the_last_price(gaps: list[int], window_ms: int) -> None:
    """No reference needed: what every reader is promised (websocket-protocol, "Conflation")."""
    engine = Engine("bus")
    reader = engine.open("reader")
    engine.subscribe(reader, [("NSE", "SBIN", 1)], window_ms)
    now, sent = MS, list[tuple[int, int]]()

    def flush() -> None:
        flat = engine.flush(now)
        sent.extend((now, m["data"]["ltp"]) for data in flat[1::2] for m in messages(data))

    last_tick = 0
    for price, gap in enumerate(gaps):
        until = now + gap
        while 0 <= (due := engine.next_deadline()) <= until:
            now = due
            flush()
        now = until
        engine.ingest(b"NSE_SBIN_LTP", b'{"ltp":%d}' % price, now)
        last_tick = now
        flush()
    while (due := engine.next_deadline()) >= 0:
        now = due
        flush()
    prices = [price for _, price in sent]
    assert prices == sorted(set(prices)), "an older price after a newer one, or one twice"
    assert prices[-1] == len(gaps) - 1, "the last price of the burst is missing"
    assert sent[-1][0] <= last_tick + (window_ms + 1) * MS, "the last price came later than one window"
    for (before, _), (after, _) in pairwise(sent):
        assert after - before >= window_ms * MS
