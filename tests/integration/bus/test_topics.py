"""Every kind of topic of the bus (zmq-bus, the table and "Reading a market-data topic"), from a foreign PUB socket."""

from __future__ import annotations

import orjson
import pytest
import zmq

from tests.harness import Gateway
from tests.integration.peers import Reader, Subscriber, dropped, publisher, stream_of, through, wait_for

PRICED = b'{"ltp":625.5,"timestamp":1705294800000, "extra" : [1]}'


@pytest.mark.parametrize(
    ("topic", "exchange", "symbol", "broker"),
    [
        (b"NSE_SBIN_LTP", "NSE", "SBIN", "bus"),
        (b"CRYPTO_SOL_INR_LTP", "CRYPTO", "SOL_INR", "bus"),
        (b"angel_NSE_SBIN-EQ_LTP", "NSE", "SBIN-EQ", "angel"),
        (b"zerodha_CRYPTO_A_B_C_LTP", "CRYPTO", "A_B_C", "zerodha"),
        (b"NSE_INDEX_NIFTY_LTP", "NSE_INDEX", "NIFTY", "bus"),
        (b"BSE_INDEX_SENSEX_LTP", "BSE_INDEX", "SENSEX", "bus"),
        (b"MCX_INDEX_MCXBULLDEX_LTP", "MCX_INDEX", "MCXBULLDEX", "bus"),
        (b"GLOBAL_INDEX_GIFT_NIFTY_LTP", "GLOBAL_INDEX", "GIFT_NIFTY", "bus"),
        (b"angel_NSE_INDEX_BANKNIFTY_LTP", "NSE_INDEX", "BANKNIFTY", "angel"),
        (b"NSE_M&M_LTP", "NSE", "M&M", "bus"),
        (b"NSE_INDEXCO_LTP", "NSE", "INDEXCO", "bus"),
        (b"NFO_NIFTY25AUG26FUT_LTP", "NFO", "NIFTY25AUG26FUT", "bus"),
    ],
)
def test_market_data(
    reader: Reader, pub: zmq.Socket[bytes], topic: bytes, exchange: str, symbol: str, broker: str
) -> None:
    reader.subscribe(exchange, symbol)
    pub.send_multipart([topic, PRICED])
    text = reader.socket.recv(timeout=5)
    assert isinstance(text, str)
    assert text.endswith(f'"data":{PRICED.decode()}}}'), "the payload was changed"
    frame = orjson.loads(text)
    del frame["data"]
    assert frame == {"type": "market_data", "symbol": symbol, "exchange": exchange, "mode": 1, "broker": broker}


def test_modes_nest_downwards(reader: Reader, pub: zmq.Socket[bytes]) -> None:
    for mode in ("LTP", "Quote", "Depth"):
        reader.subscribe("NSE", "NEST", mode)
    book = {"buy": [{"price": 1.5, "quantity": 2, "orders": 1}], "sell": []}
    for topic, body, served in (
        (b"NSE_NEST_LTP", {"ltp": 1}, [1]),
        (b"NSE_NEST_QUOTE", {"ltp": 2}, [1, 2]),
        (b"NSE_NEST_DEPTH", {"ltp": 3, "depth": book}, [1, 2, 3]),
        (b"NSE_NEST_DEPTH", {"depth": book}, [3]),
    ):
        pub.send_multipart([topic, orjson.dumps(body)])
        frames = [reader.tick() for _ in served]
        assert sorted(frame["mode"] for frame in frames) == served
        assert all(frame["data"] == body for frame in frames)
    assert reader.silent(0.1)


@pytest.mark.parametrize("topic", [b"zerodha_ash_a_orders", b"ANALYZE_ash_a_orders"])
def test_order_updates_reach_the_user_that_the_payload_names(
    gateway: Gateway, reader: Reader, pub: zmq.Socket[bytes], topic: bytes
) -> None:
    with Reader(gateway.ws_url, gateway.add_key("ash_a")) as owner:
        assert owner.ask(action="subscribe_orders")["status"] == "success"
        assert reader.ask(action="subscribe_orders")["status"] == "success"
        update = {"type": "order_update", "user_id": "ash_a", "orderid": "1", "seq": 4}
        pub.send_multipart([topic, orjson.dumps(update)])
        assert owner.receive() == update
        assert reader.silent(0.1)
    assert reader.ask(action="unsubscribe_orders")["status"] == "success"


def test_cache_invalidate_is_passed_on(gateway: Gateway, pub: zmq.Socket[bytes]) -> None:
    with Subscriber(stream_of(gateway), b"_invalidate") as trade:
        trade.silent(0.3)
        for kind in ("AUTH", "FEED", "ALL"):
            body = {"user_id": "ash_a", "cache_type": kind}
            pub.send_multipart([f"CACHE_INVALIDATE_{kind}_ash_a".encode(), orjson.dumps(body)])
            assert trade.json(b"_invalidate") == body
        for bad in (
            b"",
            b"[]",
            b'{"user_id":1}',
            b'{"user_id":"a","cache_type":"X"}',
            b'{"user_id":"a","cache_type":[]}',
        ):
            pub.send_multipart([b"CACHE_INVALIDATE_ALL_a", bad])
        assert trade.silent(0.2)


BOOK = b'{"depth":{"buy":[{"price":%s}],"sell":[]}}'


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ([b"zerodha_asha_positions", b"{}"], "private"),
        ([b"zerodha_asha_margins", b"{}"], "private"),
        ([b"hello", b"{}"], "unknown_topic"),
        ([b"", b"{}"], "unknown_topic"),
        ([b"NSE_LTP", PRICED], "bad_topic"),
        ([b"NSE__LTP", PRICED], "bad_topic"),
        ([b"NSE_INDEX_LTP", PRICED], "bad_topic"),
        ([b"NSE_BAD_TICK", PRICED], "bad_topic"),
        ([b"NSE_\xff\xfe_LTP", PRICED], "bad_topic"),
        ([b"NSE_" + b"X" * 65 + b"_LTP", PRICED], "bad_topic"),
        ([b"a_b_NSE_BAD_LTP", PRICED], "bad_topic"),
        ([b"NSE_BAD_LTP", b""], "bad_payload"),
        ([b"NSE_BAD_LTP", b"[1]"], "bad_payload"),
        ([b"NSE_BAD_LTP", b'{"ltp":1}{"ltp":2}'], "bad_payload"),
        ([b"NSE_BAD_LTP", b'{"ltp":1,}'], "bad_payload"),
        ([b"NSE_BAD_LTP", b'{"ltp":1,"x":"\xff"}'], "bad_payload"),
        ([b"NSE_BAD_LTP", b'{"ltp":1,"x":"\\ud800"}'], "bad_payload"),
        ([b"NSE_BAD_LTP", b'{"ltp":' + b"[" * 5000 + b"]" * 5000 + b"}"], "bad_payload"),
        ([b"NSE_BAD_LTP", b'{"ltp":NaN}'], "bad_number"),
        ([b"NSE_BAD_LTP", b'{"ltp":1,"volume":Infinity}'], "bad_number"),
        ([b"NSE_BAD_LTP", b'{"ltp":-1}'], "bad_number"),
        ([b"NSE_BAD_LTP", b'{"l\\u0074p":-1}'], "bad_number"),
        ([b"NSE_BAD_LTP", b'{"ltp":1e999}'], "bad_number"),
        ([b"NSE_BAD_LTP", b'{"ltp":0e2147483647}'], "bad_number"),
        ([b"NSE_BAD_DEPTH", BOOK % b"-1"], "bad_number"),
        ([b"NSE_BAD_LTP", b'{"price":1}'], "no_price"),
        ([b"NSE_BAD_LTP", b'{"ltp":"625"}'], "no_price"),
        ([b"NSE_BAD_LTP", b'{"ltp":1,"ltp":null}'], "no_price"),
        ([b"NSE_BAD_QUOTE", BOOK % b"1"], "no_price"),
        ([b"NSE_BAD_DEPTH", b'{"depth":{"buy":[],"sell":[]}}'], "no_price"),
        ([b"NSE_BAD_LTP", b'{"ltp":1,"x":"' + b"x" * 65536 + b'"}'], "too_large"),
        ([b"NSE_BAD_LTP"], "bad_frames"),
        ([b"NSE_BAD_LTP", PRICED, b"more"], "bad_frames"),
        ([b"NSE_BAD_LTP", PRICED, b"", b"", b""], "bad_frames"),
    ],
)
def test_malformed_traffic_is_counted_and_harms_nobody(
    gateway: Gateway, reader: Reader, pub: zmq.Socket[bytes], message: list[bytes], reason: str
) -> None:
    for mode in ("LTP", "Quote", "Depth"):
        reader.subscribe("NSE", "BAD", mode)
    reader.subscribe("NSE", "GOOD")
    before = dropped(gateway)
    pub.send_multipart(message)
    assert through(pub, reader) == []
    after = dropped(gateway)
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {reason: 1}


def test_a_message_too_large_for_the_bus_costs_its_sender_the_connection_only(
    gateway: Gateway, reader: Reader, pub: zmq.Socket[bytes]
) -> None:
    reader.subscribe("NSE", "GOOD")
    with publisher(gateway.zmq_url) as rude:
        rude.linger = 0
        rude.send_multipart([b"NSE_BAD_LTP", b"x" * (2 << 20)])
        assert through(pub, reader) == []

        # It reconnects by itself and is heard again.
        def heard() -> bool:
            rude.send_multipart([b"NSE_GOOD_LTP", b'{"ltp":2}'])
            return not reader.silent(0.1)

        assert wait_for(heard)


def test_an_order_update_that_cannot_be_passed_on_stops_nothing(
    gateway: Gateway, pub: zmq.Socket[bytes], reader: Reader
) -> None:
    deep = b'{"user_id":"asha","x":' + b"[" * 900 + b"]" * 900 + b"}"
    reader.subscribe("NSE", "GOOD")
    for _ in range(600):
        pub.send_multipart([b"zerodha_asha_orders", deep])
    assert through(pub, reader) == []
