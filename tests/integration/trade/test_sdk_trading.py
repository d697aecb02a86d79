"""The unmodified `openalgo` SDK trades: every order and account method, with the answers its documents show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openalgo import api

from tests.harness import Gateway
from tests.integration.trade.venue import Venue, eventually, venue

Json = dict[str, Any]
SBIN: Json = {"symbol": "SBIN", "exchange": "NSE"}
BUY: Json = {**SBIN, "action": "BUY", "product": "MIS"}
SELL: Json = {**SBIN, "action": "SELL", "product": "MIS"}
FUT: Json = {"symbol": "NIFTY28JUL26FUT", "exchange": "NFO"}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    with venue(tmp_path_factory.mktemp("sdk")) as running:
        running.price(100, bid=99.95, ask=100.05, open=98, high=105, low=95, close=97, volume=10, oi=2)
        running.price(24_000, "NIFTY28JUL26FUT")
        yield running


@pytest.fixture
def sdk(market: Venue, request: pytest.FixtureRequest) -> Any:
    """The SDK for a user who has never traded."""
    return api(api_key=market.gateway.add_key(request.node.name[:60]), host=market.gateway.api_url)


def ok(answer: Json) -> Json:
    assert answer["status"] == "success", answer
    assert answer.get("mode") == "analyze"
    return answer


def status(sdk: Any, orderid: str) -> str:
    return str(ok(sdk.orderstatus(order_id=orderid))["data"]["order_status"])


def test_price_types(market: Venue, sdk: Any) -> None:
    filled = ok(sdk.placeorder(**BUY, price_type="MARKET", quantity=1))["orderid"]
    limit = ok(sdk.placeorder(**BUY, price_type="LIMIT", quantity="2", price="99.5"))["orderid"]
    stop = ok(sdk.placeorder(**BUY, price_type="SL", quantity=1, price=101, trigger_price=100.5))["orderid"]
    stop_market = ok(sdk.placeorder(**SELL, price_type="SL-M", quantity=1, trigger_price=99.6))["orderid"]
    assert [status(sdk, one) for one in (filled, limit, stop, stop_market)] == [
        "complete", "open", "trigger pending", "trigger pending",
    ]  # fmt: skip
    market.tick(100.5)
    eventually(lambda: status(sdk, stop) == "complete")
    market.tick(99.5)
    eventually(lambda: (status(sdk, limit), status(sdk, stop_market)) == ("complete", "complete"))
    market.price(100, bid=99.95, ask=100.05, open=98, high=105, low=95, close=97, volume=10, oi=2)
    data = sdk.orderstatus(order_id=limit)["data"]
    expected = {
        "orderid": limit, "symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 2, "price": 99.5,
        "trigger_price": 0, "pricetype": "LIMIT", "product": "MIS", "order_status": "complete", "average_price": 99.5,
    }  # fmt: skip
    assert expected.items() <= data.items()


@pytest.mark.parametrize(
    ("before", "fields", "after", "quantity"),
    [
        (0, {"action": "BUY", "quantity": 7, "position_size": 0}, 7, 7),
        (-100, {"action": "BUY", "quantity": 1, "position_size": 100}, 100, 200),
        (100, {"action": "BUY", "quantity": 1, "position_size": 100}, 100, None),
        (100, {"action": "BUY", "quantity": 1, "position_size": 200}, 200, 100),
        (0, {"action": "SELL", "quantity": 7, "position_size": 0}, -7, 7),
        (100, {"action": "SELL", "quantity": 1, "position_size": -100}, -100, 200),
        (-100, {"action": "SELL", "quantity": 1, "position_size": -100}, -100, None),
        (-100, {"action": "SELL", "quantity": 1, "position_size": -200}, -200, 100),
    ],
)
@pytest.mark.usefixtures("market")
def test_smart_orders(sdk: Any, before: int, fields: Json, after: int, quantity: int | None) -> None:
    if before:
        ok(sdk.placeorder(**{**SBIN, "action": "BUY" if before > 0 else "SELL", "quantity": abs(before)}))
    answer = ok(sdk.placesmartorder(**SBIN, **fields))
    assert ok(sdk.openposition(**SBIN, product="MIS"))["quantity"] == str(after)
    if quantity is None:
        assert "Already Matched" in answer["message"]
    else:
        assert sdk.orderstatus(order_id=answer["orderid"])["data"]["quantity"] == quantity


@pytest.mark.usefixtures("market")
def test_modify_and_cancel(sdk: Any) -> None:
    first, second = (
        ok(sdk.placeorder(**BUY, price_type="LIMIT", quantity=1, price=price))["orderid"] for price in (90, 91)
    )
    ok(sdk.modifyorder(order_id=first, **BUY, price_type="LIMIT", quantity=5, price=92))
    data = sdk.orderstatus(order_id=first)["data"]
    assert (data["quantity"], data["price"]) == (5, 92)
    assert ok(sdk.cancelorder(order_id=first))["orderid"] == first
    again = sdk.cancelorder(order_id=first)
    assert (again["status"], again["code"]) == ("error", 409)
    assert sdk.cancelorder(order_id="nothing")["code"] == 404
    answer = ok(sdk.cancelallorder())
    assert (answer["canceled_orders"], answer["failed_cancellations"]) == ([second], [])


@pytest.mark.usefixtures("market")
def test_baskets_splits_and_books(sdk: Any) -> None:
    legs = [
        {**SELL, "quantity": 1, "pricetype": "MARKET"}, {**BUY, "quantity": 3, "pricetype": "MARKET"},
        {**FUT, "action": "BUY", "quantity": 75, "pricetype": "MARKET", "product": "NRML"},
        {**BUY, "quantity": 0, "pricetype": "MARKET"},
    ]  # fmt: skip
    results = ok(sdk.basketorder(orders=legs))["results"]
    assert [row["status"] for row in results] == ["success", "success", "success", "error"]
    split = ok(sdk.splitorder(**SBIN, action="BUY", quantity=105, splitsize=20))
    assert [row["quantity"] for row in split["results"]] == [20] * 5 + [5]
    positions = {row["symbol"]: row for row in ok(sdk.positionbook())["data"]}
    assert positions["SBIN"]["quantity"] == 107
    assert positions["NIFTY28JUL26FUT"]["average_price"] == 24_000
    assert {"ltp", "pnl", "pnl_percent", "product", "exchange"} <= positions["SBIN"].keys()
    trades = ok(sdk.tradebook())["data"]
    assert len(trades) == 9
    assert trades[0]["trade_value"] == trades[0]["average_price"] * trades[0]["quantity"]
    statistics = ok(sdk.orderbook())["data"]["statistics"]
    assert (statistics["total_completed_orders"], statistics["total_sell_orders"]) == (9, 1)
    funds = ok(sdk.funds())["data"]
    used = float(funds["utiliseddebits"])
    assert used > 180_000
    assert float(funds["availablecash"]) + used == pytest.approx(10_000_000 + float(funds["m2mrealized"]))
    assert "2 positions" in ok(sdk.closeposition())["message"]
    assert float(sdk.funds()["data"]["utiliseddebits"]) == 0
    assert ok(sdk.holdings())["data"]["holdings"] == []


@pytest.mark.usefixtures("market")
def test_margin_and_mode(sdk: Any) -> None:
    legs = [{**BUY, "quantity": "10", "pricetype": "LIMIT", "price": "100"},
            {**FUT, "action": "SELL", "quantity": "75", "product": "NRML", "pricetype": "MARKET"}]  # fmt: skip
    assert ok(sdk.margin(positions=legs))["data"]["total_margin_required"] == 180_200
    assert sdk.analyzerstatus()["data"]["analyze_mode"] is True
    assert sdk.analyzertoggle(mode=False)["data"]["mode"] == "live"
    assert sdk.placeorder(**BUY, quantity=1)["code"] == 403
    assert sdk.analyzertoggle(mode=True)["data"]["analyze_mode"] is True


@pytest.mark.usefixtures("market")
def test_quotes_and_instruments(sdk: Any) -> None:
    quote = ok(sdk.quotes(**SBIN))["data"]
    assert (quote["ltp"], quote["bid"], quote["ask"], quote["prev_close"]) == (100, 99.95, 100.05, 97)
    results = ok(sdk.multiquotes(symbols=[SBIN, FUT]))["results"]
    assert [(row["symbol"], row["data"]["ltp"]) for row in results] == [("SBIN", 100), ("NIFTY28JUL26FUT", 24_000)]
    depth = ok(sdk.depth(**SBIN))["data"]
    assert len(depth["bids"]) == len(depth["asks"]) == 5
    assert ok(sdk.symbol(**FUT))["data"]["lotsize"] == 75
    assert ok(sdk.search(query="NIFTY", exchange="NFO"))["data"][0]["exchange"] == "NFO"
    assert ok(sdk.expiry(symbol="NIFTY", exchange="NFO", instrumenttype="options"))["data"] == ["28-JUL-26"]
    frame = sdk.instruments(exchange="NSE")
    assert {"SBIN", "INFY", "TCS"} <= set(frame["symbol"])


def test_default_limits(tmp_path: Path) -> None:
    with Gateway("--feed", "none", home=tmp_path) as gateway:
        sdk: Any = api(api_key=gateway.add_key("asha"), host=gateway.api_url)
        codes = [sdk.cancelorder(order_id="1").get("code") for _ in range(12)]
        assert 429 in codes
        assert codes[0] == 404
