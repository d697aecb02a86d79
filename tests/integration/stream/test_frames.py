"""Frames and bytes that well-behaved clients do not send, and pages on the same port."""

from __future__ import annotations

import json
import os
import socket
import time
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import connect

from tests.harness import Gateway
from tests.integration.stream.client import Publisher, ask, closed, get, log_in, metric, next_frame, raw, subscribe

PING = json.dumps({"action": "ping"}).encode()
LIMIT = 65_536


def test_a_frame_over_the_limit_ends_the_connection_with_1009(gateway: Gateway, key: str) -> None:
    with log_in(gateway, key) as client:
        client.send(json.dumps({"action": "ping", "pad": "x" * LIMIT}))
        assert closed(client)[0] == 1009
    deadline = time.monotonic() + 2
    while metric(gateway, 'gateway_connections_closed_total{reason="frame too big"}') < 1:
        assert time.monotonic() < deadline


def test_a_large_frame_within_the_limit_is_fine(gateway: Gateway, key: str) -> None:
    with log_in(gateway, key) as client:
        assert ask(client, action="ping", pad="x" * (LIMIT - 100))["type"] == "pong"


def test_fragmented_messages(gateway: Gateway, key: str) -> None:
    with raw(gateway, key) as client:
        client.send(PING[:5], opcode=1, fin=False)
        client.send(b"in between", opcode=9)
        assert client.frame() == (10, b"in between")
        client.send(b"", opcode=0, fin=False)
        client.send(PING[5:], opcode=0)
        assert client.text()["type"] == "pong"
        assert client.ask(action="ping")["type"] == "pong"


def test_fragments_that_add_up_to_too_much(gateway: Gateway, key: str) -> None:
    with raw(gateway, key) as client:
        client.send(b"x" * 40_000, opcode=1, fin=False)
        client.send(b"x" * 40_000, opcode=0, fin=False)
        assert client.close_code() == 1009


@pytest.mark.parametrize("opcode", [1, 2])
def test_binary_frames_and_what_is_no_text_cost_an_answer_not_the_connection(
    gateway: Gateway, key: str, opcode: int
) -> None:
    with raw(gateway, key) as client:
        for payload in (b"\xff\xfe\x80", b"", b"\x00", b'{"action":"\xc3\x28"}', os.urandom(2000)):
            client.send(payload, opcode=opcode)
            answer = client.text()
            assert (answer["type"], answer["code"]) == ("error", "INVALID_JSON")
        client.send(PING, opcode=opcode)
        assert client.text()["type"] == "pong"


@pytest.mark.parametrize(
    "frame",
    [
        {"payload": PING, "mask": False},
        {"payload": PING, "opcode": 3},
        {"payload": b"x", "opcode": 9, "fin": False},
        {"payload": b"\x03\xed", "opcode": 8},
        {"payload": b"x", "opcode": 8},
    ],
)
def test_broken_framing_ends_one_connection_only(gateway: Gateway, key: str, frame: dict[str, object]) -> None:
    with raw(gateway, key) as broken, raw(gateway, key) as other:
        broken.send(**frame)  # type: ignore[arg-type]
        assert broken.close_code() == 1002
        assert other.ask(action="ping")["type"] == "pong"


def test_a_close_is_answered_with_its_code(gateway: Gateway, key: str) -> None:
    for code in (1000, 1001, 3999, 4000):
        with raw(gateway, key) as client:
            client.send(code.to_bytes(2, "big") + b"so long", opcode=8)
            assert client.close_code() == code
            with pytest.raises(EOFError):
                client.frame()


def test_pings_of_the_client_are_answered_with_their_payload(gateway: Gateway) -> None:
    with raw(gateway) as client:
        client.send(b"hello", opcode=9)
        assert client.frame() == (10, b"hello")


def test_a_client_that_answers_no_ping_is_dropped(gateway: Gateway, key: str) -> None:
    with raw(gateway, key) as silent, log_in(gateway, key) as answering:
        assert silent.frame()[0] == 9
        assert silent.close_code() == 4409
        assert ask(answering, action="ping")["type"] == "pong"


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n",
        b"x" * 100_000,
        b"\r\n\r\n",
        os.urandom(5000),
    ],
)
def test_garbage_before_the_handshake(gateway: Gateway, key: str, garbage: bytes) -> None:
    address = urlsplit(gateway.ws_url)
    with socket.create_connection((address.hostname, address.port), timeout=7) as sock:
        try:
            sock.sendall(garbage)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65_536):
                pass
        except OSError:  # it was cut off
            pass
    with log_in(gateway, key) as client:
        assert ask(client, action="ping")["type"] == "pong"


def test_firefox_upgrade_header(gateway: Gateway, key: str) -> None:
    for value in ("keep-alive, Upgrade", "upgrade", "Keep-Alive,UPGRADE"):
        with raw(gateway, key, headers={"Connection": value}) as client:
            assert client.status == 101
    with raw(gateway, headers={"Connection": "keep-alive"}) as client:
        assert client.status == 400


def test_any_path_and_query_is_accepted(gateway: Gateway, key: str) -> None:
    with connect(f"{gateway.ws_url}/ws?client=1") as client:
        assert ask(client, action="authenticate", api_key=key)["status"] == "success"


def test_pages(gateway: Gateway) -> None:
    status, text = get(gateway, "/healthz")
    assert (status, json.loads(text)["status"]) == (200, "ok")
    status, text = get(gateway, "/readyz?x=1")
    assert (status, json.loads(text)) == (200, {"status": "ready", "database": True, "feeds": {}})
    assert get(gateway, "/nothing")[0] == 404


def test_metrics(gateway: Gateway, key: str, bus: Publisher) -> None:
    with log_in(gateway, key) as client:
        subscribe(client, "METRIC")
        before = metric(gateway, "gateway_frames_out_total")
        bus.send("NSE_METRIC_LTP", {"ltp": 1})
        bus.send("NSE_METRIC_LTP", b"[1]")
        bus.send("NSE_METRIC_LTP", b'{"ltp":-1}')
        bus.send("nonsense", b"{}")
        next_frame(client)
        deadline = time.monotonic() + 3
        while metric(gateway, "gateway_frames_out_total") < before + 1:
            assert time.monotonic() < deadline
        text = get(gateway, "/metrics")[1]
        assert metric(gateway, 'gateway_connections{state="authenticated"}') >= 1
    for name in (
        'gateway_ticks_in_total{mode="ltp"}',
        'gateway_messages_dropped_total{reason="bad_payload"}',
        'gateway_messages_dropped_total{reason="bad_number"}',
        'gateway_messages_dropped_total{reason="unknown_topic"}',
        'gateway_ticks_conflated_total{reason="slow reader"}',
        'gateway_tick_to_write_seconds_bucket{le="+Inf"}',
        "gateway_tick_to_write_seconds_sum",
        "gateway_reader_buffer_bytes_total",
        "gateway_readers_slow",
        'gateway_actions_total{action="Subscribe"}',
        "process_resident_memory_bytes",
    ):
        assert f"\n{name} " in text, name


def test_no_key_shows_anywhere(gateway: Gateway) -> None:
    good, wrong = gateway.add_key("hush"), "w" * 40 + "secretwrongkey"
    told = []
    with connect(gateway.ws_url) as client:
        for request in ({"action": "auth", "api_key": wrong}, {"action": "auth", "api_key": good, "format": "bad"}):
            client.send(json.dumps(request))
            told.append(client.recv(timeout=5))
        client.send(json.dumps({"action": "auth", "api_key": good}))
        told.append(client.recv(timeout=5))
        client.send('{"action":"subscribe","api_key":"' + good + '","symbols":')
        told.append(client.recv(timeout=5))
        client.send(json.dumps({"action": "subscribe", "api_key": good, "mode": "x", "symbol": "A", "exchange": "NSE"}))
        told.append(client.recv(timeout=5))
    get(gateway, f"/metrics?api_key={good}")
    get(gateway, f"/unknown/{good}")
    everything = "\n".join([*map(str, told), get(gateway, "/metrics")[1], gateway.log])
    assert good not in everything
    assert wrong not in everything
