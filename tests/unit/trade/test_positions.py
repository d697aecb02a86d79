"""Netting in its five cases, exactness, unrealised PnL."""

# a Decimal equals an int, and a word of an enumeration its text
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.trade.core.positions import FLAT, Case, Net, average, net_fill
from tests.reference.books import Line
from tests.unit.trade.desk import Desk, dec


@pytest.mark.parametrize(
    ("quantity", "average_price", "margin", "fill", "price", "brings", "case", "after", "cost", "left", "gain"),
    [
        (0, 0, 0, 100, 50, 1000, Case.OPEN, 100, 5000, 1000, 0),
        (0, 0, 0, -100, 50, 1000, Case.OPEN, -100, 5000, 1000, 0),
        (100, 50, 1000, 100, 60, 1200, Case.ADD, 200, 11000, 2200, 0),
        (-100, 50, 1000, -50, 44, 440, Case.ADD, -150, 7200, 1440, 0),
        (200, 55, 2200, -50, 60, 0, Case.REDUCE, 150, 8250, 1650, 250),
        (-150, 48, 1440, 50, 50, 0, Case.REDUCE, -100, 4800, 960, -100),
        (100, 50, 1000, -100, 45, 0, Case.CLOSE, 0, 0, 0, -500),
        (-100, 50, 1000, 100, 45, 0, Case.CLOSE, 0, 0, 0, 500),
        (100, 50, 1000, -160, 60, 720, Case.REVERSE, -60, 3600, 720, 1000),
        (-100, 50, 1000, 160, 60, 720, Case.REVERSE, 60, 3600, 720, -1000),
    ],
)
def test_the_five_cases(
    quantity: int, average_price: int, margin: int, fill: int, price: int, brings: int,
    case: Case, after: int, cost: int, left: int, gain: int,
) -> None:  # fmt: skip
    net = Net(dec(quantity), dec(abs(quantity) * average_price), dec(margin))
    got = net_fill(net, dec(fill), dec(price), dec(brings), Decimal(1))
    assert (got.case, got.net, got.realised) == (case, Net(dec(after), dec(cost), dec(left)), gain)
    scaled = net_fill(net, dec(fill), dec(price), dec(brings), Decimal("0.001"))
    assert (scaled.net, scaled.realised * 1000) == (got.net, gain)


FILL = st.tuples(
    st.integers(-30, 30).filter(bool).map(lambda lots: Decimal(lots) / 10),
    st.integers(1, 10**6).map(lambda ticks: Decimal(ticks) * Decimal("0.05")),
)


@given(st.lists(FILL, max_size=30))
def test_fills_equal_averages_in_fractions(fills: list[tuple[Decimal, Decimal]]) -> None:
    net, line, realised = FLAT, Line(), Decimal(0)
    for quantity, price in fills:
        got = net_fill(net, quantity, price, Decimal(0), Decimal("0.01"))
        net, realised = got.net, realised + got.realised
        line.take(Fraction(quantity), Fraction(price), Fraction(1, 100))
        assert Fraction(net.quantity) == line.quantity
        assert abs(Fraction(net.cost) - abs(line.quantity) * line.average) < Fraction(1, 10**15)
        assert abs(Fraction(realised) - line.realised) < Fraction(1, 10**15)
        if not net.quantity:
            # what was sold for less what was bought for, to the last digit
            assert Fraction(realised) == line.cash


def test_averages_keep_full_precision() -> None:
    net = FLAT
    for quantity, price in ((1, "100.05"), (2, "100.10")):
        net = net_fill(net, dec(quantity), dec(price), Decimal(0), Decimal(1)).net
    assert net.cost == dec("300.25")
    assert average(net) == dec("100.083333333333333333")
    assert average(FLAT) == 0


def test_unrealised_follows_the_price_on_both_sides_and_the_contract_value() -> None:
    desk = Desk()
    desk.place("SELL", 10, ltp=100)
    assert desk.position().unrealised(dec(90)) == 100
    desk.place("BUY", 2, "BTCUSDFUT", ltp=100_000, product="NRML")
    assert desk.position("BTCUSDFUT", "NRML").unrealised(dec("100500.5")) == dec("1.001")
    # 2 contracts of 0.001 BTC at 100,000, leverage 10
    assert desk.position("BTCUSDFUT", "NRML").net.margin == 20


def test_realised_today_starts_anew_at_three() -> None:
    desk = Desk()
    desk.place("BUY", 75 * 2, "NIFTY28JUL26FUT", ltp=100, product="NRML")
    desk.place("SELL", 75, "NIFTY28JUL26FUT", ltp=102, product="NRML")
    funds, position = desk.account.ledger.funds, desk.position("NIFTY28JUL26FUT", "NRML")
    day = desk.account.ledger.day
    desk.at(2026, 7, 16, 2, 59)
    assert funds.realised_today(day(desk.now)) == position.realised_today(day(desk.now)) == 150
    desk.at(2026, 7, 16, 3, 0)
    assert funds.realised_today(day(desk.now)) == position.realised_today(day(desk.now)) == 0
    desk.place("SELL", 75, "NIFTY28JUL26FUT", ltp=99, product="NRML")
    assert desk.account.ledger.funds.realised_today(day(desk.now)) == -75
    assert (desk.realised, desk.used) == (75, 0)
