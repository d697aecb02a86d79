"""The protocol over real sockets: authentication, subscriptions, market data, orders."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq
from websockets.sync.client import ClientConnection, connect

from tests.harness import Gateway
from tests.integration.stream.client import Publisher, ask, closed, log_in, next_frame, quiet, subscribe, tick_stream

LTP = b'{"ltp":625.50, "ltt":1705294800000,"timestamp":1705294800000,"odd":[null, "\xe2\x82\xb9"]}'
DEPTH = b'{"ltp":101.25,"depth":{"buy":[{"price":101.2,"quantity":5,"orders":1}],"sell":[]},"timestamp":1}'


@pytest.fixture
def client(gateway: Gateway, key: str) -> Iterator[ClientConnection]:
    with log_in(gateway, key) as one:
        yield one


def test_a_wrong_key_then_a_good_one(gateway: Gateway, key: str) -> None:
    with connect(gateway.ws_url) as one:
        bad = ask(one, action="authenticate", api_key="x" * 64, request_id=0)
        assert (bad["type"], bad["status"], bad["code"]) == ("auth", "error", "AUTHENTICATION_ERROR")
        assert bad["request_id"] == 0
        good = ask(one, type="auth", apikey=key, request_id=None)
        assert good == {
            "type": "auth",
            "status": "success",
            "message": "Authentication successful",
            "broker": "bus",
            "user_id": "asha",
            "supported_features": {"ltp": True, "quote": True, "depth": True},
            "request_id": None,
        }


def test_three_wrong_keys(gateway: Gateway) -> None:
    with connect(gateway.ws_url) as one:
        for _ in range(3):
            one.send(json.dumps({"action": "authenticate", "api_key": "y" * 64}))
        assert closed(one)[0] == 4403


def test_who_does_not_authenticate_in_time(gateway: Gateway) -> None:
    with connect(gateway.ws_url) as one:
        assert ask(one, action="subscribe", symbol="A", exchange="NSE")["code"] == "NOT_AUTHENTICATED"
        began = time.monotonic()
        assert closed(one)[0] == 4401
        assert time.monotonic() - began < 3


def test_everything_may_be_sent_at_once(gateway: Gateway, key: str) -> None:
    with connect(gateway.ws_url) as one:
        one.send(json.dumps({"action": "authenticate", "api_key": key, "request_id": 1}))
        one.send(json.dumps({"action": "subscribe", "symbol": "A", "exchange": "NSE", "request_id": 2}))
        one.send(json.dumps({"action": "ping", "request_id": 3}))
        answers = [json.loads(one.recv(timeout=5)) for _ in range(3)]
    assert [(answer["type"], answer["request_id"]) for answer in answers] == [
        ("auth", 1),
        ("subscribe", 2),
        ("pong", 3),
    ]


def test_a_key_added_while_it_runs_works_at_once(gateway: Gateway) -> None:
    with log_in(gateway, gateway.command("keys", "add", "late").stdout.strip()) as client:
        assert ask(client, action="get_broker_info")["user_id"] == "late"


def test_a_revoked_key_ends_its_connections_within_a_second(gateway: Gateway, client: ClientConnection) -> None:
    store = gateway.keys()
    with log_in(gateway, store.add("leaver")) as one:
        (key_id,) = [row.id for row in store.list() if row.user == "leaver"]
        store.revoke(key_id)
        began = time.monotonic()
        assert closed(one) == (4403, "api key revoked")
        assert time.monotonic() - began < 1
    assert ask(client, action="ping")["type"] == "pong"


@pytest.mark.parametrize(
    ("native", "payload", "modes"), [("LTP", LTP, [1]), ("QUOTE", LTP, [1, 2]), ("DEPTH", DEPTH, [1, 2, 3])]
)
def test_modes_nest_and_data_comes_byte_for_byte(
    client: ClientConnection, bus: Publisher, native: str, payload: bytes, modes: list[int]
) -> None:
    for mode in (1, "quote", " DEPTH "):
        subscribe(client, f"NEST{native}", mode=mode)
    bus.send(f"NSE_NEST{native}_{native}", payload)
    got = {}
    for _ in modes:
        text = client.recv(timeout=5, decode=False)
        got[json.loads(text)["mode"]] = bytes(text)
    for mode in modes:
        head = f'{{"type":"market_data","symbol":"NEST{native}","exchange":"NSE","mode":{mode},"broker":"bus","data":'
        assert got[mode] == head.encode() + payload + b"}"
    assert quiet(client) == []


def test_a_depth_tick_without_a_price_serves_depth_only(client: ClientConnection, bus: Publisher) -> None:
    for mode in (1, 2, 3):
        subscribe(client, "LEVELS", mode=mode)
    bus.send("NSE_LEVELS_DEPTH", {"depth": {"buy": [{"price": 1, "quantity": 1, "orders": 1}], "sell": []}})
    assert [frame["mode"] for frame in quiet(client)] == [3]


def test_unsubscribing_one_mode_all_modes_and_everything(client: ClientConnection, bus: Publisher) -> None:
    for mode in (1, 2, 3):
        subscribe(client, "U1", "U2", mode=mode)

    def modes() -> list[tuple[str, int]]:
        for symbol in ("U1", "U2"):
            bus.send(f"NSE_{symbol}_DEPTH", DEPTH)
        return sorted((frame["symbol"], frame["mode"]) for frame in quiet(client))

    assert len(modes()) == 6
    one = {"symbol": "U1", "exchange": "NSE"}
    answer = ask(client, action="unsubscribe", symbols=[one], mode="Quote")
    assert [(row["symbol"], row["mode"]) for row in answer["successful"]] == [("U1", "Quote")]
    assert modes() == [("U1", 1), ("U1", 3), ("U2", 1), ("U2", 2), ("U2", 3)]
    answer = ask(client, action="unsubscribe", instruments=[one, {"symbol": "NONE", "exchange": "NSE"}])
    assert (answer["status"], len(answer["successful"]), len(answer["failed"])) == ("partial", 2, 1)
    assert modes() == [("U2", 1), ("U2", 2), ("U2", 3)]
    assert ask(client, action="unsubscribe", type="unsubscribe_all")["status"] == "success"
    assert modes() == []


def test_snapshot_follows_the_answer(client: ClientConnection, bus: Publisher, gateway: Gateway, key: str) -> None:
    subscribe(client, "SNAP", mode=3)
    bus.send("NSE_SNAP_DEPTH", DEPTH)
    next_frame(client)
    with log_in(gateway, key) as other:
        other.send(json.dumps({"action": "subscribe", "symbol": "SNAP", "exchange": "NSE", "mode": "LTP"}))
        answer, snapshot = (json.loads(other.recv(timeout=5)) for _ in range(2))
    assert answer["type"] == "subscribe"
    assert (snapshot["mode"], snapshot["snapshot"], snapshot["data"]) == (1, True, json.loads(DEPTH))


def test_flat_format(gateway: Gateway, key: str, bus: Publisher) -> None:
    with log_in(gateway, key, format="flat") as flat:
        subscribe(flat, "FLAT")
        bus.send("NSE_FLAT_LTP", b'{"ltp":1.5,"symbol":"no","mode":9,"type":"x","broker":"b","data":{},"timestamp":7}')
        assert json.loads(flat.recv(timeout=5)) == {"symbol": "FLAT", "exchange": "NSE", "ltp": 1.5, "timestamp": 7}


def test_conflation_keeps_the_last_price(gateway: Gateway, key: str, bus: Publisher) -> None:
    with log_in(gateway, key, conflate_ms=100) as slow, log_in(gateway, key) as fast, log_in(gateway, key) as own:
        subscribe(slow, "BURST")
        subscribe(fast, "BURST")
        subscribe(own, "BURST", conflate_ms=60_000)
        for price in range(1, 31):
            bus.send("NSE_BURST_LTP", {"ltp": price})
        assert [frame["data"]["ltp"] for frame in quiet(slow, 0.3)] == [1, 30]
        assert [frame["data"]["ltp"] for frame in quiet(fast)] == list(range(1, 31))
        assert [frame["data"]["ltp"] for frame in quiet(own)] == [1]


def test_the_default_window_is_a_setting() -> None:
    with (
        Gateway("--feed", "none", MESSAGE_THROTTLE_MS="150") as gateway,
        Publisher(gateway) as bus,
        log_in(gateway, gateway.add_key("asha")) as one,
    ):
        subscribe(one, "W")
        for price in range(10):
            bus.send("NSE_W_LTP", {"ltp": price})
        assert next_frame(one)["data"]["ltp"] == 0
        began = time.monotonic()
        assert next_frame(one)["data"]["ltp"] == 9
        assert 0.1 < time.monotonic() - began < 0.4


def test_partial_and_failed_requests(client: ClientConnection) -> None:
    rows: list[Any] = [{"symbol": "OK", "exchange": "NSE"}, {"symbol": "X", "exchange": "NASDAQ"}]
    answer = ask(client, action="subscribe", symbols=rows, mode="Quote")
    assert answer["status"] == "partial"
    assert [(row["status"], row.get("code")) for row in answer["subscriptions"]] == [
        ("success", None),
        ("error", "INVALID_PARAMETERS"),
    ]
    assert ask(client, action="subscribe", symbols=rows[1:])["status"] == "error"
    assert ask(client, action="subscribe", symbols=rows, mode=False)["code"] == "INVALID_MODE"
    assert ask(client, action="fly")["code"] == "INVALID_ACTION"
    assert ask(client, action="subscribe")["code"] == "INVALID_PARAMETERS"


def test_a_thousand_symbols_in_one_request(client: ClientConnection) -> None:
    rows = [{"symbol": f"T{number}", "exchange": "NSE"} for number in range(1000)]
    answer = ask(client, action="subscribe", symbols=rows, mode=3)
    assert [row["symbol"] for row in answer["subscriptions"]] == [row["symbol"] for row in rows]
    assert len(ask(client, action="unsubscribe_all")["successful"]) == 1000


def test_more_symbols_than_a_client_may_hold(client: ClientConnection) -> None:
    def chunk(start: int) -> list[Any]:
        rows = [{"symbol": f"C{number}", "exchange": "NSE"} for number in range(start, start + 1000)]
        found: list[Any] = ask(client, action="subscribe", symbols=rows, mode=1)["subscriptions"]
        return found

    assert all(row["status"] == "success" for start in (0, 1000, 2000) for row in chunk(start))
    assert {row["code"] for row in chunk(3000)} == {"MAX_CAPACITY_REACHED"}


def test_ping_and_information(client: ClientConnection) -> None:
    pong = ask(client, action="ping", timestamp=3, _pingId="p")
    assert abs(pong.pop("server_timestamp") - time.time() * 1000) < 2000
    assert pong == {"type": "pong", "status": "success", "client_timestamp": 3, "_pingId": "p"}
    info = ask(client, action="get_broker_info")
    assert (info["type"], info["broker"], info["user_id"]) == ("broker_info", "bus", "asha")
    brokers = ask(client, action="get_supported_brokers")
    assert (brokers["brokers"], brokers["count"]) == (["bus"], 1)


def test_order_updates_reach_only_their_owner(gateway: Gateway, key: str, client: ClientConnection) -> None:
    ravi_key = gateway.add_key("ravi_k")
    with Publisher(gateway, zmq.PUB) as foreign, log_in(gateway, ravi_key) as ravi, log_in(gateway, ravi_key) as second:
        for one in (ravi, second, client):
            assert ask(one, action="subscribe_orders")["type"] == "subscribe_orders"
        update = {"type": "order_update", "user_id": "ravi_k", "orderid": "26071590395364", "price": 24077.8, "seq": 3}
        deadline = time.monotonic() + 5
        while not (first := quiet(ravi)):
            assert time.monotonic() < deadline
            foreign.send("zerodha_ravi_k_orders", update)
        assert first[0] == update
        quiet(second)
        connection = asked_for(gateway, second)
        foreign.send("ANALYZE_ravi_k_orders", {**update, "type": "position_update", "user_id": "asha"})
        assert [frame["type"] for frame in quiet(client)] == ["position_update"]
        assert quiet(ravi) == []
        foreign.send("ANALYZE_ravi_k_orders", {**update, "seq": 2, "conn": connection})
        assert [quiet(one) for one in (ravi, second, client)] == [[], [{**update, "seq": 2}], []]
        ask(ravi, action="unsubscribe_orders")
        foreign.send("ANALYZE_ravi_k_orders", {**update, "seq": 4})
        assert [len(quiet(one)) for one in (ravi, second)] == [0, 1]


def asked_for(gateway: Gateway, client: ClientConnection) -> int:
    """Lets a client ask for missed updates; the connection number that the trade process is told."""
    with tick_stream(gateway, b"_orders") as stream:
        deadline = time.monotonic() + 5
        while not stream.poll(100):
            assert time.monotonic() < deadline
            assert ask(client, action="subscribe_orders", after=1)["seq"] == 3
        request = json.loads(stream.recv_multipart()[1])
    assert (request["user_id"], request["after"]) == ("ravi_k", 1)
    number: int = request["conn"]
    return number


def test_cache_invalidate_is_taken_and_passed_on(gateway: Gateway, bus: Publisher, client: ClientConnection) -> None:
    with tick_stream(gateway, b"_invalidate") as stream:
        deadline = time.monotonic() + 5
        while not stream.poll(100):
            assert time.monotonic() < deadline
            bus.send("CACHE_INVALIDATE_ALL_asha", {"user_id": "asha", "cache_type": "ALL"})
        assert json.loads(stream.recv_multipart()[1]) == {"user_id": "asha", "cache_type": "ALL"}
    bus.send("CACHE_INVALIDATE_ALL_asha", b"rubbish")
    assert ask(client, action="ping")["type"] == "pong"


def test_feed_states_on_request() -> None:
    with Gateway("--feed", "simulated", SIMULATED_RATE="10") as gateway, connect(gateway.ws_url) as client:
        client.send(json.dumps({"action": "auth", "api_key": gateway.add_key("asha"), "feed_status": True}))
        welcome, state = (json.loads(client.recv(timeout=5)) for _ in range(2))
    assert welcome["broker"] == "simulated"
    assert (state["type"], state["broker"], state["state"]) == ("feed_status", "simulated", "connected")
    assert abs(state["since"] - time.time() * 1000) < 60_000
