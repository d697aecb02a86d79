"""The desk on real matcher and core: what is committed is told, what fails is taken back whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from gateway.errors import StoreError
from gateway.model import Instrument
from gateway.trade.core.orders import Status
from gateway.trade.desk import SLICE
from tests.unit.trade.floor import SBIN, Floor

pytestmark = pytest.mark.asyncio


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_limit_order_fills_on_the_tick_that_reaches_it() -> None:
    floor = Floor()
    floor.tick(100)
    orderid = await floor.order("BUY", 10, pricetype="LIMIT", price="99")
    floor.tick("99.5")
    assert not floor.writer.waiting
    floor.tick("98.9")
    assert [row["order_status"] for row in floor.told.updates] == ["open"], "nothing is told before its commit"
    floor.writer.commit()
    assert [(row["order_status"], row["seq"]) for row in floor.told.updates] == [("open", 1), ("complete", 2)]
    assert floor.told.updates[-1]["average_price"] == 99
    status = await floor.ask("orderstatus", orderid=orderid)
    assert status["data"]["order_status"] == "complete"
    assert [row["orderid"] for row in (await floor.ask("tradebook"))["data"]] == [orderid]
    floor.check()


async def test_a_market_order_fills_at_the_far_side() -> None:
    floor = Floor()
    floor.tick(100, bid=99.95, ask=100.05)
    await floor.order("BUY", 10)
    await floor.order("SELL", 10)
    prices = [row["average_price"] for row in (await floor.ask("tradebook"))["data"]]
    assert prices == [Decimal("100.05"), Decimal("99.95")]
    funds = (await floor.ask("funds"))["data"]
    assert funds["m2mrealized"] == "-1.00"
    assert funds["utiliseddebits"] == "0.00"


async def test_a_price_that_came_while_the_order_was_written_counts() -> None:
    floor = Floor()
    floor.tick(100)
    task = asyncio.ensure_future(
        floor.service.call("asha", "placeorder", {
            "symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 1, "pricetype": "LIMIT", "price": 99,
        })
    )  # fmt: skip
    await turns()
    floor.tick(98)
    assert not floor.told.updates
    floor.writer.commit()
    await turns()
    floor.writer.commit()
    await task
    assert [row["order_status"] for row in floor.told.updates] == ["open", "complete"]
    floor.check()


async def test_what_rests_keeps_its_instrument_subscribed() -> None:
    floor = Floor()
    floor.tick(100)
    orderid = await floor.order("BUY", 10, pricetype="LIMIT", price="99")
    other = await floor.order("BUY", 10, pricetype="LIMIT", price="98")
    assert set(floor.prices.held) == {SBIN}
    await floor.ask("cancelorder", orderid=orderid)
    assert set(floor.prices.held) == {SBIN}
    floor.tick(98)
    floor.writer.commit()
    assert set(floor.prices.held) == {SBIN}, "the position needs it"
    await floor.ask("closeposition")
    assert not floor.prices.held
    assert (await floor.ask("orderstatus", orderid=other))["data"]["order_status"] == "complete"
    floor.check()


async def test_modify_replaces_the_terms_at_once() -> None:
    floor = Floor()
    floor.tick(100)
    orderid = await floor.order("BUY", 10, pricetype="LIMIT", price="99")
    fields = {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 10, "pricetype": "LIMIT"}
    task = asyncio.ensure_future(floor.service.call("asha", "modifyorder", {"orderid": orderid, **fields, "price": 90}))
    await turns()
    floor.tick(98)  # the old terms would fill
    floor.writer.commit()
    await task
    await turns()
    assert (await floor.ask("orderstatus", orderid=orderid))["data"]["order_status"] == "open"
    floor.tick(90)
    floor.writer.commit()
    assert (await floor.ask("orderstatus", orderid=orderid))["data"]["average_price"] == 90
    floor.check()


async def test_a_refused_modify_leaves_the_order_where_it_was() -> None:
    floor = Floor()
    floor.tick(100)
    orderid = await floor.order("BUY", 10, pricetype="LIMIT", price="99")
    fields: dict[str, Any] = {
        "symbol": "SBIN",
        "exchange": "NSE",
        "action": "BUY",
        "quantity": 10,
        "pricetype": "LIMIT",
    }
    error = await floor.refused("modifyorder", orderid=orderid, price="98.99", **fields)
    assert error.field == "price"
    floor.check()
    floor.tick(99)
    floor.writer.commit()
    assert (await floor.ask("orderstatus", orderid=orderid))["data"]["order_status"] == "complete"


async def test_a_fill_that_cannot_be_written_is_taken_back_and_fills_later() -> None:
    floor = Floor()
    floor.tick(100)
    orderid = await floor.order("BUY", 10, pricetype="LIMIT", price="99")
    floor.tick(98)
    floor.writer.commit(fail=True)
    await turns()
    floor.check()
    assert [row["order_status"] for row in floor.told.updates] == ["open"]
    assert (await floor.ask("orderstatus", orderid=orderid))["data"]["order_status"] == "open"
    floor.tick(97)
    floor.writer.commit()
    assert [(row["order_status"], row["seq"]) for row in floor.told.updates] == [("open", 1), ("complete", 2)]
    floor.check()


async def test_what_builds_on_a_failure_fails_with_it() -> None:
    floor = Floor()
    floor.tick(100)
    call = floor.service.call
    fields = {"symbol": "SBIN", "exchange": "NSE", "quantity": 10, "pricetype": "LIMIT"}
    first = asyncio.ensure_future(call("asha", "placeorder", {**fields, "action": "BUY", "price": 99}))
    second = asyncio.ensure_future(call("asha", "placeorder", {**fields, "action": "BUY", "price": 98}))
    others = asyncio.ensure_future(call("ravi", "placeorder", {**fields, "action": "BUY", "price": 97}))
    await turns()
    floor.writer.commit(fail=True)
    outcomes = await asyncio.gather(first, second, others, return_exceptions=True)
    assert [type(one) for one in outcomes] == [StoreError, StoreError, dict]
    await turns()
    floor.check()
    assert not floor.desk.users["asha"].account.ledger.resting
    assert await floor.order("BUY", 10, pricetype="LIMIT", price="96"), "the user goes on"
    floor.check()


async def test_a_full_writer_loses_nothing() -> None:
    floor = Floor()
    floor.tick(100)
    orderid = await floor.order("BUY", 10, pricetype="LIMIT", price="99")
    floor.writer.full = True
    floor.tick(98)
    floor.check()
    floor.writer.full = False
    floor.tick(97)
    floor.writer.commit()
    assert (await floor.ask("orderstatus", orderid=orderid))["data"]["average_price"] == 99
    floor.check()


async def test_a_burst_is_carried_out_in_slices() -> None:
    floor = Floor()
    floor.tick(100)
    rows = [
        {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 1, "pricetype": "LIMIT", "price": "99"}
    ] * 100  # fmt: skip
    answer = await floor.ask("basketorder", orders=rows)
    assert {row["status"] for row in answer["results"]} == {"success"}
    floor.tick(98)
    assert len(floor.writer.waiting) == SLICE
    await turns(10)
    assert len(floor.writer.waiting) == 100
    floor.writer.commit()
    floor.check()
    assert floor.desk.users["asha"].account.ledger.positions
    order = [row["orderid"] for row in floor.told.updates if row["order_status"] == "complete"]
    assert order == sorted(order), "time priority"


async def test_a_command_comes_after_what_was_decided_before_it() -> None:
    floor = Floor()
    floor.tick(100)
    rows = [
        {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 1, "pricetype": "LIMIT", "price": "99"}
    ] * 60  # fmt: skip
    ids = [row["orderid"] for row in (await floor.ask("basketorder", orders=rows))["results"]]
    floor.tick(98)
    error = await floor.refused("cancelorder", orderid=ids[-1])
    assert error.status == 409
    floor.check()


async def test_a_gtt_fires_once_and_its_child_may_fill_on_the_tick() -> None:
    floor = Floor()
    floor.tick(100)
    answer = await floor.ask(
        "placegttorder", symbol="SBIN", exchange="NSE", action="BUY", product="CNC", quantity=5, pricetype="LIMIT",
        trigger_type="OCO", triggerprice_sl=95, triggerprice_tg=105, stoploss=96, target=105,
    )  # fmt: skip
    floor.check()
    floor.tick(95)
    floor.writer.commit()
    floor.tick(106)
    floor.writer.commit()
    (gtt,) = (await floor.ask("gttorderbook"))["data"]
    assert (gtt["trigger_id"], gtt["status"]) == (answer["trigger_id"], "triggered")
    assert [leg["status"] for leg in gtt["legs"]] == ["fired", "cancelled"]
    assert [row["average_price"] for row in (await floor.ask("tradebook"))["data"]] == [95]
    floor.check()


async def test_replayed_values_fill_nothing_that_rests() -> None:
    floor = Floor()
    floor.tick(100)
    orderid = await floor.order("BUY", 1, pricetype="LIMIT", price="99")
    floor.tick(90, replay=True)
    assert not floor.writer.waiting
    assert floor.desk.users["asha"].account.ledger.orders[orderid].status is Status.OPEN


async def test_old_prices_are_waited_for() -> None:
    floor = Floor()
    floor.prices.old.add(SBIN)
    error = await floor.refused("placeorder", symbol="SBIN", exchange="NSE", action="BUY", quantity=1)
    assert (error.status, bool(error.orderid)) == (503, True)
    assert floor.prices.waited == [SBIN]
    rejected = (await floor.ask("orderbook"))["data"]
    assert rejected["statistics"]["total_rejected_orders"] == 1
    floor.now += timedelta(seconds=1)
    floor.check()


async def test_a_fault_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    floor = Floor()
    floor.tick(100)
    await floor.order("BUY", 1, pricetype="LIMIT", price="90")
    before = floor.desk.users["asha"].account.ledger.funds

    def broken(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("gateway.order_events.analyzer_update", broken)
    with pytest.raises(RuntimeError):
        await floor.order("BUY", 10)
    assert floor.desk.users["asha"].account.ledger.funds == before
    floor.check()
    monkeypatch.undo()
    monkeypatch.setattr("gateway.trade.events.order_update", broken)
    with pytest.raises(RuntimeError):
        await floor.order("BUY", 10)
    assert floor.desk.users["asha"].account.ledger.funds == before
    floor.check()


async def test_a_fill_does_not_let_go_of_its_instrument() -> None:
    floor = Floor()
    floor.tick(100)
    await floor.order("BUY", 1, pricetype="LIMIT", price="99")
    released: list[object] = []
    release = floor.prices.release

    def noted(holder: str, instruments: Iterable[Instrument]) -> None:
        released.append(holder)
        release(holder, instruments)

    floor.prices.release = noted  # type: ignore[method-assign]
    floor.tick(98)
    floor.writer.commit()
    assert not released
    floor.check()
