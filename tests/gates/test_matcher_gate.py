"""The cost of a tick that fills nothing: below 10 us, and flat in the number of orders that rest.

Measured with Python's call around it, in one process, all instruments in turn. The proof that the gate can fail is
the plain reference, which looks at everything that rests.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from decimal import Decimal
from time import perf_counter_ns

import pytest
from gateway_matcher import Matcher

from gateway.model import Instrument, Mode
from tests.reference.matcher import Order, ReferenceMatcher

pytestmark = [pytest.mark.gate, pytest.mark.timeout(120)]

INSTRUMENTS = [Instrument("NSE", f"B{number:04}") for number in range(1_000)]
FEW, MANY = 1_000, 100_000
TICKS = 20_000
WINDOWS = 5
NS_LIMIT = 10_000.0
RATIO_LIMIT = 3.0
PAYLOAD = b'{"ltp":625.5,"bid":625.45,"ask":625.5,"high":629.9,"low":619.25,"volume":8412345,"timestamp":1705294800000}'

Tick = Callable[[Instrument], object]


def orders(count: int) -> list[Order]:
    """LIMIT, SL and SL-M of both sides around 625.5, none of which a tick at that price meets."""
    out = []
    for number in range(count):
        away = Decimal(5 * (1 + number // len(INSTRUMENTS))) / 100
        low, high = 600 - away, 650 + away
        side, pricetype, price, trigger = [
            ("BUY", "LIMIT", low, None),
            ("SELL", "LIMIT", high, None),
            ("BUY", "SL", high + 1, high),
            ("SELL", "SL", low - 1, low),
            ("SELL", "SL-M", None, low),
        ][number % 5]
        out.append(Order(number, number, side, pricetype, price, trigger, INSTRUMENTS[number % len(INSTRUMENTS)]))
    return out


def rust(resting: int) -> Tick:
    """The Rust matcher with that many orders."""
    matcher = Matcher()

    def scaled(price: Decimal | None) -> int | None:
        return None if price is None else int(price * Matcher.PRICE_SCALE)

    for one in orders(resting):
        row = (one.id, one.sequence, one.side, one.pricetype, scaled(one.price), scaled(one.trigger))
        matcher.restore(*one.name, row)
    assert matcher.resting() == (resting, 0)
    topics = {instrument: instrument.topic(Mode.QUOTE) for instrument in INSTRUMENTS}
    return lambda instrument: matcher.ingest(topics[instrument], PAYLOAD, 1)


def plain(resting: int) -> Tick:
    """The plain reference with that many orders."""
    matcher = ReferenceMatcher({one.id: one for one in orders(resting)})
    return lambda instrument: matcher.tick(instrument, Mode.QUOTE, PAYLOAD, 1, replay=False)


def ns_per_tick(tick: Tick, ticks: int) -> float:
    """Mean over `ticks` ticks of all instruments in turn."""
    gc.disable()
    try:
        start = perf_counter_ns()
        for number in range(ticks):
            tick(INSTRUMENTS[number % len(INSTRUMENTS)])
        return (perf_counter_ns() - start) / ticks
    finally:
        gc.enable()


def best(few: Tick, many: Tick, ticks: int, windows: int) -> tuple[float, float]:
    """The best window of each, measured in turns: `(few, many)` in ns per tick."""
    pairs = [(ns_per_tick(few, ticks), ns_per_tick(many, ticks)) for _ in range(windows)]
    one, other = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
    print(f"{FEW} resting: {one:.0f} ns per tick, {MANY} resting: {other:.0f} ns, ratio {other / one:.2f}")
    return one, other


def test_a_tick_costs_the_same_however_many_orders_rest() -> None:
    few, many = best(rust(FEW), rust(MANY), TICKS, WINDOWS)
    assert many < NS_LIMIT
    assert many < few * RATIO_LIMIT


def test_a_look_at_every_order_would_fail_the_gate() -> None:
    few, many = best(plain(FEW), plain(MANY), ticks=3, windows=1)
    assert many > few * RATIO_LIMIT
    assert many > NS_LIMIT
