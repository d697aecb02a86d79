"""Random values of the books, and one example of each kind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from gateway.trade import rows
from gateway.trade.core.changes import Row, Settlement, Trade
from gateway.trade.core.funds import Funds
from gateway.trade.core.gtt import Gtt, GttRequest, GttStatus, GttType, Leg, LegStatus, Side
from gateway.trade.core.orders import Action, Key, Kind, Order, OrderRequest, PriceType, Product, Source, Status, Terms
from gateway.trade.core.positions import Holding, Net, Position

BACK: dict[type[Row], Callable[[Any], Row]] = {
    Order: rows.order_of,
    Trade: rows.trade_of,
    Position: rows.position_of,
    Holding: rows.holding_of,
    Settlement: rows.settlement_of,
    Funds: rows.funds_of,
    Gtt: rows.gtt_of,
}

IST = timezone(timedelta(hours=5, minutes=30))
MONEY = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**18), max_value=10**18)
LONG = st.builds(
    lambda whole, places: Decimal(whole).scaleb(-places), st.integers(-(10**40), 10**40), st.integers(0, 36)
)
AMOUNT = MONEY | LONG
TIME = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.sampled_from([UTC, IST]))
DAY = st.dates() | st.just(date.min)
WORD = st.text(st.characters(exclude_categories=["C"]), max_size=20)
NAME = st.text("ABCXYZ0189-&", min_size=1, max_size=20)
TERMS = st.builds(Terms, st.sampled_from(Kind), AMOUNT, st.none() | DAY)
NET = st.builds(Net, AMOUNT, AMOUNT, AMOUNT)
KEY = st.builds(Key, NAME, NAME, st.sampled_from(Product))
ACTION = st.sampled_from(Action)
EPOCH = st.integers(0, 2**31 - 1)
REQUEST = st.builds(
    OrderRequest, NAME, NAME, ACTION, AMOUNT, st.sampled_from(PriceType), st.sampled_from(Product), AMOUNT, AMOUNT,
    AMOUNT, WORD,
)  # fmt: skip
GTT_REQUEST = st.builds(
    GttRequest, st.sampled_from(GttType), NAME, NAME, ACTION, AMOUNT, st.sampled_from(PriceType),
    st.sampled_from(Product), AMOUNT, AMOUNT, AMOUNT, AMOUNT, AMOUNT, WORD,
)  # fmt: skip
LEG = st.builds(Leg, st.sampled_from(Side), AMOUNT, st.sampled_from(LegStatus), NAME, WORD)
VALUES: st.SearchStrategy[Row] = st.one_of(
    st.builds(
        Order, NAME, REQUEST, TERMS, st.sampled_from(Status), TIME, TIME, AMOUNT, AMOUNT, st.booleans(), AMOUNT, WORD,
        st.sampled_from(Source),
    ),
    st.builds(Trade, NAME, KEY, ACTION, AMOUNT, AMOUNT, AMOUNT, TIME, DAY, AMOUNT, EPOCH),
    st.builds(Position, KEY, TERMS, TIME, TIME, DAY, NET, AMOUNT, AMOUNT, DAY),
    st.builds(Holding, NAME, NAME, TERMS, TIME, NET, AMOUNT),
    st.builds(Settlement, NAME, NAME, AMOUNT, AMOUNT, TIME, DAY, AMOUNT, EPOCH),
    st.builds(Funds, AMOUNT, AMOUNT, TIME, AMOUNT, AMOUNT, AMOUNT, DAY, EPOCH),
    st.builds(
        Gtt, NAME, GTT_REQUEST, TERMS, st.lists(LEG, max_size=2).map(tuple), TIME, TIME, TIME,
        st.sampled_from(GttStatus), AMOUNT,
    ),
)  # fmt: skip

_AT = datetime(2026, 7, 15, 23, 59, 59, 999_999, tzinfo=IST)
_FINE = Decimal("-12345678901234567890.123456789012345678")
_TERMS = Terms(Kind.FUTURE, Decimal("0.001"), date(2026, 7, 28))
_KEY = Key("NFO", "M&M28JUL26FUT", Product.NRML)
_REQUEST = OrderRequest(_KEY.symbol, _KEY.exchange, Action.SELL, _FINE, PriceType.SL_M, _KEY.product, strategy="é ₹")
_GTT = GttRequest(GttType.OCO, "SBIN", "NSE", Action.BUY, Decimal(1), triggerprice_sl=_FINE, target=Decimal("1E+3"))
_LEGS = (Leg(Side.SL, _FINE), Leg(Side.TG, Decimal(3), LegStatus.FAILED, "17", 'no "funds"'))
#: each kind of value with the function that makes it of a row
EXAMPLES: list[tuple[Row, Callable[[Any], Row]]] = [
    (value, BACK[type(value)])
    for value in (
        Order("17", _REQUEST, _TERMS, Status.TRIGGER_PENDING, _AT, _AT, triggered=True, source=Source.SQUARE_OFF),
        Trade("17", _KEY, Action.BUY, _FINE, _FINE, Decimal(1), _AT, date(2026, 7, 15), _FINE, 3),
        Position(_KEY, _TERMS, _AT, _AT, date.max, Net(_FINE, _FINE, _FINE)),
        Holding("NSE", "SBIN", Terms(Kind.EQUITY), _AT, Net(_FINE)),
        Settlement("NSE", "SBIN", _FINE, _FINE, _AT, date(2026, 7, 15), _FINE, 0),
        Funds.fresh(_FINE, _AT),
        Gtt("18", _GTT, Terms(Kind.EQUITY), _LEGS, _AT, _AT, _AT),
    )
]
