"""The Rust matcher and the plain reference see the same random life and must say the same after each step."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from gateway_matcher import Matcher
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.model import Mode
from tests.reference.matcher import Gtt, Name, Order, ReferenceMatcher

MAX_AGE = 60
#: more for a long run by hand
EXAMPLES = int(os.environ.get("MATCHER_ORACLE_EXAMPLES", "150"))

NAMES = st.sampled_from([("NSE", "SBIN"), ("NSE", "SBIN"), ("CRYPTO", "SOL_INR")])
#: few enough that orders meet, cross and tie
PRICES = st.sampled_from([Decimal(text) for text in "97 98 99 99.99999999 100 100.00000001 100.5 101 102 103".split()])
#: numbers as payloads spell them; more than eight places are rounded half to even
TEXTS = st.one_of(PRICES.map(str), st.sampled_from(["1e2", "100.0", "100.000000005", "1.01E+2", "99.9999999949"]))
FAR_TEXTS = st.one_of(TEXTS, st.sampled_from(["0", "null", '"x"']))
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "ltp": TEXTS,
        "bid": FAR_TEXTS,
        "ask": FAR_TEXTS,
        "low": st.sampled_from(["97", "99", "100", "0", "null"]),
        "high": st.sampled_from(["103", "101", "100", "0"]),
    },
)
LEVELS = st.lists(TEXTS | st.just("0"), max_size=2)
ORDER_IDS = st.integers(1, 8)
GTT_IDS = st.integers(1, 3)
SEQUENCES = st.integers(0, 12)
ORDER_PRICES = st.one_of(st.none(), PRICES, PRICES, PRICES, PRICES, st.just(Decimal(0)))
TYPES = st.sampled_from(["MARKET", "LIMIT", "SL", "SL", "SL-M"])
ORDERS = st.builds(
    Order, ORDER_IDS, SEQUENCES, st.sampled_from(["BUY", "SELL"]), TYPES, ORDER_PRICES, ORDER_PRICES, NAMES
)
LEG_PRICES = st.one_of(st.none(), PRICES, PRICES)

#: prices of the levels of `depth`: buy, sell
Sides = tuple[list[str], list[str]] | None


def scaled(price: Decimal | None) -> int | None:
    """A price as the Rust matcher takes it."""
    return None if price is None else int(price * Matcher.PRICE_SCALE)


def row(order: Order) -> tuple[int, int, str, str, int | None, int | None]:
    return order.id, order.sequence, order.side, order.pricetype, scaled(order.price), scaled(order.trigger)


def spelled(value: object) -> object:
    return scaled(value) if isinstance(value, Decimal) else value


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, prices scaled, or the type of what it raises."""
    try:
        found = call()
    except (ValueError, KeyError) as error:
        return type(error)
    return tuple(spelled(value) for value in found) if isinstance(found, tuple) else found


def body(fields: dict[str, str], sides: Sides) -> bytes:
    members = [f'"{key}":{text}' for key, text in fields.items()]
    if sides is not None:
        buy, sell = (",".join(f'{{"price":{text},"quantity":1}}' for text in side) for side in sides)
        members.append(f'"depth":{{"buy":[{buy}],"sell":[{sell}]}}')
    return f"{{{','.join(members)}}}".encode()


class TwoMatchers(RuleBasedStateMachine):
    """Both matchers, driven alike."""

    def __init__(self) -> None:
        super().__init__()
        self.rust = Matcher()
        self.plain = ReferenceMatcher()
        self.now = 1_000
        #: what left the book, as it was
        self.gone: list[Order] = []

    def tick(self, name: Name, mode: Mode, payload: bytes, arrival: int, replay: bool) -> None:
        before = dict(self.plain.orders)
        topic = f"{name[0]}_{name[1]}_{mode.name}".encode()
        got = self.rust.ingest(topic, payload, arrival, replay)
        want = self.plain.tick(name, mode, payload, arrival, replay)
        assert list(got) == [tuple(spelled(value) for value in decision) for decision in want]
        self.gone += [order for number, order in before.items() if number not in self.plain.orders]

    @rule(name=NAMES, mode=st.sampled_from(list(Mode)), ltp=TEXTS)
    def plain_tick(self, name: Name, mode: Mode, ltp: str) -> None:
        self.tick(name, mode, body({"ltp": ltp}, None), self.now, replay=False)

    @rule(name=NAMES, mode=st.sampled_from(list(Mode)), fields=FIELDS, sides=st.none() | st.tuples(LEVELS, LEVELS))
    def rich_tick(self, name: Name, mode: Mode, fields: dict[str, str], sides: Sides) -> None:
        self.tick(name, mode, body(fields, sides), self.now, replay=False)

    @rule(name=NAMES, mode=st.sampled_from(list(Mode)), fields=FIELDS, age=st.integers(0, 100))
    def replayed(self, name: Name, mode: Mode, fields: dict[str, str], age: int) -> None:
        sides: Sides = (["99"], []) if mode is Mode.DEPTH else None
        self.tick(name, mode, body(fields, sides), self.now - age, replay=True)

    @rule(name=NAMES, ltp=st.sampled_from(["0", "-0.0", "null", '"100"']))
    def tick_without_a_price(self, name: Name, ltp: str) -> None:
        self.tick(name, Mode.QUOTE, body({"ltp": ltp, "bid": "99"}, None), self.now, replay=False)

    @rule(name=NAMES, payload=st.sampled_from([b"", b"[]", b'{"ltp":NaN}', b'{"ltp":-1}', b'{"ltp":100']))
    def no_tick(self, name: Name, payload: bytes) -> None:
        assert self.rust.ingest(f"{name[0]}_{name[1]}_LTP".encode(), payload, self.now) == ()

    @rule(order=ORDERS)
    def enter(self, order: Order) -> None:
        got = outcome(lambda: self.rust.enter(*order.name, row(order), self.now, MAX_AGE))
        assert got == outcome(lambda: self.plain.enter(order, self.now, MAX_AGE))

    @rule(order=ORDERS)
    def modify(self, order: Order) -> None:
        number, _, _, pricetype, price, trigger = row(order)
        got = outcome(lambda: self.rust.modify(number, pricetype, price, trigger, self.now, MAX_AGE))
        assert got == outcome(lambda: self.plain.modify(order, self.now, MAX_AGE))

    @rule(number=ORDER_IDS)
    def cancel(self, number: int) -> None:
        got, want = self.rust.remove(number), self.plain.remove(number)
        assert got == (None if want is None else (*row(want), want.triggered))
        self.gone += [want] if want is not None else []

    @rule(order=ORDERS, triggered=st.booleans())
    def restore(self, order: Order, triggered: bool) -> None:
        got = outcome(lambda: self.rust.restore(*order.name, row(order), triggered))
        assert got == outcome(lambda: self.plain.restore(replace(order, triggered=triggered)))

    @precondition(lambda self: self.gone)
    @rule()
    def put_back(self) -> None:
        order = self.gone.pop()
        got = outcome(lambda: self.rust.restore(*order.name, row(order), order.triggered))
        assert got == outcome(lambda: self.plain.restore(order))

    @rule(gtt=st.builds(Gtt, GTT_IDS, SEQUENCES, LEG_PRICES, LEG_PRICES, NAMES))
    def add_gtt(self, gtt: Gtt) -> None:
        args = (*gtt.name, gtt.id, gtt.sequence, scaled(gtt.sl), scaled(gtt.tg))
        assert outcome(lambda: self.rust.add_gtt(*args)) == outcome(lambda: self.plain.add_gtt(gtt))

    @rule(number=GTT_IDS, sl=LEG_PRICES, tg=LEG_PRICES)
    def modify_gtt(self, number: int, sl: Decimal | None, tg: Decimal | None) -> None:
        got = outcome(lambda: self.rust.modify_gtt(number, scaled(sl), scaled(tg)))
        assert got == outcome(lambda: self.plain.modify_gtt(number, sl, tg))

    @rule(number=GTT_IDS)
    def remove_gtt(self, number: int) -> None:
        assert self.rust.remove_gtt(number) == self.plain.remove_gtt(number)

    @rule(ns=st.integers(0, 70))
    def wait(self, ns: int) -> None:
        self.now += ns

    @rule(sure=st.integers(0, 4))
    def clear(self, sure: int) -> None:
        if sure == 0:
            self.rust.clear()
            self.plain.clear()

    @invariant()
    def same_book(self) -> None:
        orders, gtts = self.plain.orders, self.plain.gtts
        assert self.rust.resting() == (len(orders), len(gtts))
        for order in orders.values():
            assert self.rust.order(order.id) == (*row(order), order.triggered)
        for gtt in gtts.values():
            assert self.rust.gtt(gtt.id) == (gtt.id, gtt.sequence, scaled(gtt.sl), scaled(gtt.tg))

    @invariant()
    def same_prices(self) -> None:
        for (name, mode), kept in self.plain.last.items():
            assert self.rust.last_value(*name, mode) == kept
        for name, quote in self.plain.quotes.items():
            prices = (scaled(quote.ltp), scaled(quote.bid), scaled(quote.ask))
            assert self.rust.quote(*name) == (*prices, quote.arrival)


TestTwoMatchers = TwoMatchers.TestCase
TestTwoMatchers.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)


BUY = (1, 1, "BUY", "LIMIT", 100, None)


@pytest.mark.parametrize(
    ("exchange", "symbol", "order", "says"),
    [
        ("XSE", "SBIN", BUY, "exchange"),
        ("NSE", "", BUY, "symbol"),
        ("NSE", "SBIN", (1, 1, "buy", "LIMIT", 100, None), 'side is "buy"; it may be BUY or SELL'),
        ("NSE", "SBIN", (1, 1, "BUY", "STOP", 100, None), 'pricetype is "STOP"; it may be'),
        ("NSE", "SBIN", (1, 1, "BUY", "SL", 100, None), "trigger is None; SL needs one above 0"),
        ("NSE", "SBIN", (1, 1, "BUY", "LIMIT", -1, None), "price"),
        ("NSE", "SBIN", (1, 1, "BUY", "MARKET", None, None), "MARKET"),
    ],
)
def test_a_bad_order_is_refused_with_its_reason(exchange: str, symbol: str, order: Any, says: str) -> None:
    matcher = Matcher()
    with pytest.raises(ValueError, match=says):
        matcher.restore(exchange, symbol, order)
    assert matcher.resting() == (0, 0)


def test_floats_are_no_prices() -> None:
    order: Any = (1, 1, "BUY", "LIMIT", 100.5, None)
    with pytest.raises(TypeError):
        Matcher().restore("NSE", "SBIN", order)


def test_a_quiet_tick_makes_no_object() -> None:
    matcher = Matcher()
    matcher.restore("NSE", "SBIN", BUY)
    assert matcher.ingest(b"NSE_SBIN_LTP", b'{"ltp":100}', 1) is matcher.ingest(b"NSE_SBIN_LTP", b'{"ltp":99}', 2)
