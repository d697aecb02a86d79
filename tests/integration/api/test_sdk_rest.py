"""Every REST method of the unmodified `openalgo` SDK against the API on a real port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openalgo import api

from tests.integration.api.conftest import Served

Json = dict[str, Any]
SBIN = {"symbol": "SBIN", "exchange": "NSE"}
ORDER = {**SBIN, "action": "BUY"}
LEG = {**ORDER, "quantity": 1, "product": "MIS", "pricetype": "LIMIT", "price": 850.55}
ROW = (
    "orderid symbol exchange action quantity price trigger_price pricetype product order_status average_price timestamp"
)


@pytest.fixture
def client(served: Served) -> Any:
    """The SDK, pointed at the API."""
    return api(api_key=served.key, host=served.url)


#: what is called, and what must be in the answer
SERVED: dict[str, tuple[Callable[[Any], Json], Callable[[Json], bool]]] = {
    "placeorder": (lambda c: c.placeorder(**ORDER, quantity=5), lambda a: bool(a["orderid"])),
    "placeorder LIMIT": (
        lambda c: c.placeorder(**ORDER, quantity=5, price_type="limit", price=850.55, disclosed_quantity=0),
        lambda a: bool(a["orderid"]),
    ),
    "placeorder SL": (
        lambda c: c.placeorder(**ORDER, quantity="5", price_type="SL", price=851, trigger_price="850.5"),
        lambda a: bool(a["orderid"]),
    ),
    "placeorder SL-M": (
        lambda c: c.placeorder(**ORDER, quantity=5, price_type="SL-M", trigger_price=850.5),
        lambda a: bool(a["orderid"]),
    ),
    "placesmartorder": (lambda c: c.placesmartorder(**ORDER, position_size=5), lambda a: bool(a["orderid"])),
    "basketorder": (
        lambda c: c.basketorder(orders=[LEG, {**LEG, "action": "SELL"}, {**LEG, "quantity": 0}]),
        lambda a: [row["status"] for row in a["results"]] == ["success", "success", "error"],
    ),
    "splitorder": (
        lambda c: c.splitorder(**ORDER, quantity=105, splitsize=20),
        lambda a: [row["quantity"] for row in a["results"]] == [20] * 5 + [5] and a["split_size"] == 20,
    ),
    "modifyorder": (
        lambda c: c.modifyorder(order_id="7", **ORDER, product="MIS", quantity=5, price=851),
        lambda a: a["orderid"] == "7",
    ),
    "cancelorder": (lambda c: c.cancelorder(order_id="7"), lambda a: a["orderid"] == "7"),
    "cancelallorder": (lambda c: c.cancelallorder(), lambda a: a["canceled_orders"] == ["1"]),
    "closeposition": (lambda c: c.closeposition(), lambda a: bool(a["message"])),
    "orderstatus": (lambda c: c.orderstatus(order_id="7"), lambda a: set(a["data"]) == set(ROW.split())),
    "openposition": (lambda c: c.openposition(**SBIN, product="MIS"), lambda a: a["quantity"] == "-10"),
    "orderbook": (lambda c: c.orderbook(), lambda a: len(a["data"]["orders"]) == 1),
    "tradebook": (lambda c: c.tradebook(), lambda a: a["data"][0]["trade_value"] == 4252.75),
    "positionbook": (lambda c: c.positionbook(), lambda a: a["data"][0]["average_price"] == 850.55),
    "holdings": (lambda c: c.holdings(), lambda a: a["data"]["holdings"] == []),
    "funds": (lambda c: c.funds(), lambda a: a["data"]["availablecash"] == "10000000.00"),
    "margin": (lambda c: c.margin(positions=[LEG]), lambda a: a["data"]["total_margin_required"] == 850.55),
    "quotes": (lambda c: c.quotes(**SBIN), lambda a: a["data"]["ltp"] == 850.55),
    "depth": (lambda c: c.depth(**SBIN), lambda a: a["data"]["ltp"] == 850.55),
    "multiquotes": (lambda c: c.multiquotes(symbols=[SBIN]), lambda a: a["results"][0]["data"]["ltp"] == 1.5),
    "symbol": (lambda c: c.symbol(**SBIN), lambda a: a["data"]["tick_size"] == 0.05),
    "search": (lambda c: c.search(query="SBIN", exchange="NSE"), lambda a: a["data"][0]["symbol"] == "SBIN"),
    "expiry": (
        lambda c: c.expiry(symbol="NIFTY", exchange="NFO", instrumenttype="futures"),
        lambda a: a["data"] == ["24-NOV-26"],
    ),
    "analyzertoggle live": (lambda c: c.analyzertoggle(mode=False), lambda a: a["data"]["mode"] == "live"),
    "analyzertoggle": (lambda c: c.analyzertoggle(mode=True), lambda a: a["data"]["analyze_mode"] is True),
    "analyzerstatus": (lambda c: c.analyzerstatus(), lambda a: a["data"]["mode"] == "analyze"),
}

OPTION = {"underlying": "NIFTY", "exchange": "NSE_INDEX", "offset": "ATM", "option_type": "CE"}
LEG_OF_OPTION = {"offset": "ATM", "option_type": "CE", "action": "BUY", "quantity": 75}
NOT_SERVED: dict[str, Callable[[Any], Json]] = {
    "history": lambda c: c.history(**SBIN, interval="5m", start_date="2026-11-01", end_date="2026-11-02"),
    "intervals": lambda c: c.intervals(),
    "interval": lambda c: c.interval(),
    "optiongreeks": lambda c: c.optiongreeks(symbol="NIFTY24NOV2626000CE", exchange="NFO"),
    "optionsorder": lambda c: c.optionsorder(**OPTION, action="BUY", quantity=75, expiry_date="24NOV26"),
    "optionsymbol": lambda c: c.optionsymbol(**OPTION, expiry_date="24NOV26"),
    "optionsmultiorder": lambda c: c.optionsmultiorder(
        strategy="x", underlying="NIFTY", exchange="NSE_INDEX", legs=[LEG_OF_OPTION]
    ),
    "optionchain": lambda c: c.optionchain(underlying="NIFTY", exchange="NSE_INDEX", expiry_date="24NOV26"),
    "syntheticfuture": lambda c: c.syntheticfuture(underlying="NIFTY", exchange="NSE_INDEX", expiry_date="24NOV26"),
    "telegram": lambda c: c.telegram(username="x", message="y"),
    "holidays": lambda c: c.holidays(year=2026),
    "timings": lambda c: c.timings(date="2026-11-23"),
}


@pytest.mark.parametrize("method", SERVED)
def test_the_sdk_is_answered_as_it_expects(client: Any, method: str) -> None:
    call, expected = SERVED[method]
    answer = call(client)
    assert answer["status"] == "success", answer
    assert expected(answer), answer


@pytest.mark.parametrize("method", NOT_SERVED)
def test_the_sdk_is_told_what_is_not_served(client: Any, method: str) -> None:
    answer = NOT_SERVED[method](client)
    assert (answer["status"], answer["code"]) == ("error", 501), answer


def test_the_sdk_makes_a_table_of_the_instruments(client: Any) -> None:
    table = client.instruments(exchange="NSE")
    assert len(table) == 5001
    assert table["tick_size"][5000] == 0.05


def test_every_method_of_the_sdk_is_looked_at(client: Any) -> None:
    others = "connect disconnect subscribe_ltp subscribe_quote subscribe_depth unsubscribe_ltp unsubscribe_quote "
    others += "unsubscribe_depth get_ltp get_quotes get_depth instruments"
    methods = {name for name in dir(client) if not name.startswith("_") and callable(getattr(client, name))}
    known = {name.split()[0] for name in SERVED} | set(NOT_SERVED) | set(others.split())
    assert methods - known == set()


def test_errors_reach_the_sdk_with_their_message(client: Any, served: Served) -> None:
    answer = client.placeorder(**{**ORDER, "action": "HOLD"}, quantity=5)
    assert answer["code"] == 400
    assert "action is 'HOLD'" in answer["message"]
    assert api(api_key="wrong-key-0123456789", host=served.url).funds()["code"] == 403
