"""The hub with fake sockets and feeds: what clients see and what is held and let go."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson
import pytest

from gateway import closes
from gateway.errors import StoreError
from gateway.model import FeedState, User
from gateway.stream.session import Rules
from tests.unit.stream.fakes import NOW_MS, World, settle, status

pytestmark = pytest.mark.asyncio
TICK = b'{"ltp":625.50,"ltt":1705294800000,"x":[1, 2]}'


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


async def test_welcome_as_the_protocol_has_it(patch: pytest.MonkeyPatch) -> None:
    client = World(patch).connect()
    assert await client.ask_later(action="auth", apikey="key-asha", request_id=0) == [
        {
            "type": "auth",
            "status": "success",
            "message": "Authentication successful",
            "broker": "zerodha",
            "user_id": "asha",
            "supported_features": {"ltp": True, "quote": True, "depth": True},
            "request_id": 0,
        }
    ]


async def test_subscribe_answers_row_by_row_then_sends_the_snapshot(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    world.tick("NSE_SBIN_QUOTE", TICK)
    client = await world.reader()
    answer, snapshot = client.subscribe("SBIN", "TCS", request_id="r")
    assert answer == {
        "type": "subscribe",
        "status": "success",
        "message": "Subscription processing complete",
        "broker": "zerodha",
        "request_id": "r",
        "subscriptions": [
            {"symbol": name, "exchange": "NSE", "status": "success", "mode": "LTP", "depth": 5, "broker": "zerodha"}
            for name in ("SBIN", "TCS")
        ],
    }
    assert (snapshot["mode"], snapshot["snapshot"], snapshot["data"]) == (1, True, json.loads(TICK))
    assert world.feeds.symbols() == {("SBIN", "LTP"), ("TCS", "LTP")}
    world.tick("NSE_TCS_LTP", TICK)
    assert client.listener.sent[0].endswith(b'"data":' + TICK + b"}")
    assert "snapshot" not in client.listener.take()[0]


async def test_partial_answers_keep_the_order_of_rows(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    world.feeds.refuse = {"FULL": "MAX_CAPACITY_REACHED", "GONE": "INVALID_PARAMETERS"}
    client = await world.reader()
    rows: list[Any] = [
        {"symbol": "A", "exchange": "NSE"},
        {"symbol": "B", "exchange": "NASDAQ"},
        {"symbol": "FULL", "exchange": "NSE"},
        {"symbol": " blank", "exchange": "NSE"},
        {"symbol": "A", "exchange": "NSE", "mode": 9},
        7,
        {"symbol": "GONE", "exchange": "NSE"},
        {"symbol": "Z", "exchange": "NSE", "mode": 3},
    ]
    (answer,) = client.ask(action="subscribe", symbols=rows, mode=1)
    assert answer["status"] == "partial"
    assert [(row["symbol"], row.get("code"), row["status"]) for row in answer["subscriptions"]] == [
        ("A", None, "success"),
        ("B", "INVALID_PARAMETERS", "error"),
        ("FULL", "MAX_CAPACITY_REACHED", "error"),
        (" blank", "INVALID_PARAMETERS", "error"),
        ("A", "INVALID_MODE", "error"),
        (None, "INVALID_PARAMETERS", "error"),
        ("GONE", "INVALID_PARAMETERS", "error"),
        ("Z", None, "success"),
    ]
    assert all(row["message"] for row in answer["subscriptions"] if row["status"] == "error")
    world.tick("NSE_FULL_LTP", TICK)
    assert client.listener.take() == []
    assert world.feeds.symbols() == {("A", "LTP"), ("Z", "Depth")}


async def test_all_rows_failed(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    world.feeds.refuse = {"FULL": "MAX_CAPACITY_REACHED"}
    client = await world.reader()
    (answer,) = client.subscribe("FULL", "FULL", "FULL")
    assert answer["status"] == "error"
    assert [row["code"] for row in answer["subscriptions"]] == ["MAX_CAPACITY_REACHED"] * 3
    world.tick("NSE_FULL_LTP", TICK)
    assert client.listener.take() == []
    world.feeds.refuse = {}
    assert client.subscribe("FULL")[0]["status"] == "success"
    assert world.feeds.symbols() == {("FULL", "LTP")}


async def test_symbols_per_client(patch: pytest.MonkeyPatch) -> None:
    client = await World(patch, rules=Rules(symbols_per_client=2)).reader()
    (answer,) = client.subscribe("A", "B", "C")
    assert [row.get("code") for row in answer["subscriptions"]] == [None, None, "MAX_CAPACITY_REACHED"]
    assert "2 symbols" in answer["subscriptions"][2]["message"]
    assert client.subscribe("A", mode="Depth")[0]["status"] == "success"


async def test_unsubscribe_releases_what_nobody_else_holds(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    first, second = await world.reader(), await world.reader("key-ravi")
    first.subscribe("A", "B")
    first.subscribe("A", mode="Depth")
    second.subscribe("A")
    (answer,) = first.ask(action="unsubscribe", symbol="A", exchange="NSE")
    assert answer["status"] == "success"
    assert [row["mode"] for row in answer["successful"]] == ["LTP", "Depth"]
    assert answer["failed"] == []
    assert world.feeds.symbols() == {("A", "LTP"), ("B", "LTP")}
    (answer,) = first.ask(action="unsubscribe", symbol="A", exchange="NSE", mode=1)
    assert (answer["status"], answer["successful"]) == ("error", [])
    (answer,) = first.ask(action="unsubscribe_all")
    assert [(row["symbol"], row["mode"]) for row in answer["successful"]] == [("B", "LTP")]
    world.tick("NSE_A_LTP", TICK)
    assert (len(first.listener.take()), len(second.listener.take())) == (0, 1)


async def test_a_lost_connection_lets_everything_go(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    client = await world.reader()
    client.subscribe("A", "B", mode=3)
    client.connection.on_lost()
    client.connection.on_lost()
    assert world.feeds.held == set()
    assert (world.hub.connections, world.hub.by_user) == ({}, {})
    assert world.engine.stats()["readers"] == 0
    assert world.hub.closed == {closes.LOST.reason: 1}


async def test_reasons_of_ends_are_told_apart(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    said, oversize, ended = world.connect(), world.connect(), world.connect()
    said.connection.on_close_frame(1000)
    oversize.listener.below = 1009
    world.hub.end(ended.connection, closes.AUTH_TIMEOUT)
    for client in (said, oversize, ended):
        client.connection.on_lost()
    assert world.hub.closed == {reason.reason: 1 for reason in (closes.NORMAL, closes.TOO_BIG, closes.AUTH_TIMEOUT)}


async def test_who_said_goodbye_holds_nothing_any_more(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    client = await world.reader()
    client.subscribe("A")
    client.connection.on_close_frame(1000)
    assert world.feeds.held == set()
    assert client.ask(action="ping") == []


async def test_requests_after_the_end_do_nothing(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    client = await world.reader()
    world.hub.end_keys([1])
    assert client.listener.close_code == closes.KEY_REVOKED.code == 4403
    assert client.subscribe("A") == []
    assert world.feeds.held == set()
    waiting = world.connect()
    waiting.ask(action="auth", api_key="key-asha")
    world.hub.end(waiting.connection, closes.GOING_AWAY)
    await settle()
    assert waiting.listener.take() == []
    assert world.engine.stats()["readers"] == 0


async def test_only_connections_of_the_revoked_key_end(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    asha, ravi, new = await world.reader(), await world.reader("key-ravi"), world.connect()
    world.hub.end_keys([2, 99])
    assert [client.listener.close_code for client in (asha, ravi, new)] == [0, 4403, 0]


async def test_repeated_failures_close_with_4403(patch: pytest.MonkeyPatch) -> None:
    client = World(patch).connect()
    for _ in range(3):
        (answer,) = await client.ask_later(action="auth", api_key="guess-guess-guess")
        assert (answer["type"], answer["code"]) == ("auth", "AUTHENTICATION_ERROR")
        assert "guess" not in json.dumps(answer)
    assert client.listener.close_code == 4403


async def test_a_blocked_address_is_told_so_and_good_keys_still_pass(patch: pytest.MonkeyPatch) -> None:
    world = World(patch, tries=2)
    await world.reader()
    for _ in range(2):
        await world.connect().ask_later(action="auth", api_key="wrong")
    (answer,) = await world.connect().ask_later(action="auth", api_key="key-ravi")
    assert (answer["type"], answer["code"]) == ("auth", "RATE_LIMITED")
    await world.reader()
    other = world.connect("10.0.0.1")
    assert (await other.ask_later(action="auth", api_key="key-ravi"))[0]["status"] == "success"


@pytest.mark.parametrize("fault", [StoreError("database: away"), ZeroDivisionError("bug")])
async def test_a_look_up_that_fails_is_answered_and_costs_no_try(patch: pytest.MonkeyPatch, fault: Exception) -> None:
    world = World(patch)

    def broken(api_key: str) -> User | None:
        raise fault

    world.look_up = broken
    client = world.connect()
    for _ in range(4):
        (answer,) = await client.ask_later(action="auth", api_key="key-asha")
        assert (answer["type"], answer["code"]) == ("auth", "SERVER_ERROR")
        assert str(fault) not in answer["message"]
    world.look_up = world.users.get
    assert (await client.ask_later(action="auth", api_key="key-asha"))[0]["status"] == "success"


async def test_a_fault_of_ours_costs_the_answer_not_the_connection(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    client = await world.reader()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    patch.setattr(world.feeds, "statuses", broken)
    (answer,) = client.ask(action="get_broker_info")
    assert (answer["type"], answer["code"]) == ("error", "SERVER_ERROR")
    assert client.ask(action="ping")[0]["type"] == "pong"


async def test_connections_per_user(patch: pytest.MonkeyPatch) -> None:
    world = World(patch, max_per_user=2)
    first = await world.reader()
    await world.reader()
    await world.reader("key-ravi")
    late = world.connect()
    (answer,) = await late.ask_later(action="auth", api_key="key-asha")
    assert (answer["type"], answer["code"]) == ("auth", "MAX_CAPACITY_REACHED")
    first.connection.on_lost()
    assert (await late.ask_later(action="auth", api_key="key-asha"))[0]["status"] == "success"


async def test_ping_tells_the_time(patch: pytest.MonkeyPatch) -> None:
    client = await World(patch).reader()
    assert client.ask(action="ping", timestamp=7, _pingId="a", request_id=1) == [
        {
            "type": "pong",
            "status": "success",
            "client_timestamp": 7,
            "_pingId": "a",
            "request_id": 1,
            "server_timestamp": NOW_MS,
        }
    ]


async def test_broker_information(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    world.feeds.states = [status("zerodha", FeedState.STALE), status("simulated")]
    client = await world.reader()
    assert client.ask(action="get_broker_info", request_id=False) == [
        {
            "type": "broker_info",
            "status": "success",
            "broker": "zerodha",
            "adapter_status": "stale",
            "user_id": "asha",
            "request_id": False,
        }
    ]
    (answer,) = client.ask(action="get_supported_brokers")
    assert (answer["brokers"], answer["count"]) == (["zerodha", "simulated"], 2)


async def test_feed_states_at_once_and_on_change_for_those_who_asked(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    world.feeds.states = [status("zerodha")]
    plain, client = await world.reader(), world.connect()
    welcome, first = await client.ask_later(action="auth", api_key="key-asha", feed_status=True)
    assert welcome["type"] == "auth"
    assert first == {"type": "feed_status", "broker": "zerodha", "state": "connected", "since": NOW_MS - 5}
    world.hub.tell_feed_state(status("zerodha", FeedState.DISCONNECTED))
    assert [frame["state"] for frame in client.listener.take()] == ["disconnected"]
    assert plain.listener.take() == []


async def test_order_updates_reach_only_the_owner(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    asked: list[tuple[str, int, int]] = []
    world.hub.orders.ask = lambda *values: asked.append(values)
    asha, quiet, ravi = await world.reader(), await world.reader(), await world.reader("key-ravi")
    assert asha.ask(action="subscribe_orders", request_id=0) == [
        {"type": "subscribe_orders", "status": "success", "seq": 0, "request_id": 0}
    ]
    ravi.ask(action="subscribe_orders")
    update = {"type": "order_update", "user_id": "asha", "orderid": "1", "seq": 5}
    world.hub.relay_order(orjson.dumps(update))
    world.hub.relay_order(b"rubbish")
    assert asha.listener.take() == [update]
    assert quiet.listener.take() == ravi.listener.take() == []
    (answer,) = quiet.ask(action="subscribe_orders", after=2)
    assert answer["seq"] == 5
    assert asked == [("asha", 2, quiet.connection.number)]
    world.hub.relay_order(orjson.dumps({**update, "seq": 3, "conn": quiet.connection.number}))
    assert quiet.listener.take() == [{**update, "seq": 3}]
    assert asha.listener.take() == []
    asha.ask(action="unsubscribe_orders")
    quiet.ask(action="unsubscribe_orders")
    world.hub.relay_order(orjson.dumps({**update, "seq": 6}))
    world.hub.relay_order(orjson.dumps({**update, "seq": 6, "conn": quiet.connection.number}))
    world.hub.relay_order(orjson.dumps({**update, "conn": ravi.connection.number}))
    assert asha.listener.take() == quiet.listener.take() == ravi.listener.take() == []


async def test_a_full_reader_gets_only_the_newest_after_it_has_drained(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    slow, good = await world.reader(), await world.reader()
    for client in (slow, good):
        client.subscribe("A")
    slow.connection.on_pause()
    for price in range(1, 51):
        world.tick("NSE_A_LTP", b'{"ltp":%d}' % price)
    assert slow.listener.take() == []
    assert [frame["data"]["ltp"] for frame in good.listener.take()] == list(range(1, 51))
    assert slow.ask(action="ping")[0]["type"] == "pong"
    slow.connection.on_resume()
    assert [frame["data"]["ltp"] for frame in slow.listener.take()] == [50]


async def test_answers_that_pile_up_cut_the_reader(patch: pytest.MonkeyPatch) -> None:
    world = World(patch, hard_limit=1000)
    client = await world.reader()
    client.connection.on_pause()
    client.listener.waiting = 1000
    client.ask(action="ping")
    assert client.listener.close_code == 0
    client.listener.waiting = 1001
    client.ask(action="ping")
    assert client.listener.close_code == 4408


async def test_the_last_price_of_a_burst_comes_when_the_window_ends(patch: pytest.MonkeyPatch) -> None:
    world = World(patch, rules=Rules(default_window_ms=20))
    client = await world.reader()
    client.subscribe("A")
    for price in (1, 2, 3):
        world.tick("NSE_A_LTP", b'{"ltp":%d}' % price)
    assert [frame["data"]["ltp"] for frame in client.listener.take()] == [1]
    await asyncio.sleep(0.03)
    assert [frame["data"]["ltp"] for frame in client.listener.take()] == [3]


async def test_new_limits_hold_for_open_connections(patch: pytest.MonkeyPatch) -> None:
    world = World(patch)
    client = await world.reader()
    world.hub.set_rules(Rules(burst=1, requests_per_second=0.001))
    assert client.ask(action="ping")[0]["type"] == "pong"
    assert client.ask(action="ping")[0]["code"] == "RATE_LIMITED"
