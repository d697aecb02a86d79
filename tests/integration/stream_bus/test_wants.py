"""A subscription on the tick stream is a want at the feeds; the stream's own topics."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import orjson
import pytest
import zmq

from tests.harness import Gateway
from tests.integration.peers import Reader, Subscriber

#: instruments of the simulated feed
WANTED = [b"NSE_RELIANCE_LTP", b"NSE_SBIN_QUOTE", b"NSE_INDEX_NIFTY_LTP"]


@pytest.fixture
def health(endpoint: str) -> Iterator[Subscriber]:
    with Subscriber(endpoint, b"_health") as subscriber:
        yield subscriber


def subscribed(health: Subscriber) -> int:
    while health.raw(0) is not None:
        pass
    count: int = health.json(b"_health")["feeds"][0]["subscribed"]
    return count


def becomes(health: Subscriber, count: int, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while (now := subscribed(health)) != count:
        assert time.monotonic() < deadline, f"{now} instruments are subscribed, not {count}"


def test_health_comes_every_second(gateway: Gateway, health: Subscriber) -> None:
    health.json(b"_health")
    began = time.monotonic()
    bodies = [health.json(b"_health") for _ in range(3)]
    assert 2.5 < time.monotonic() - began < 3.5
    assert all(set(body) == {"ts", "feeds"} for body in bodies)
    assert 1900 <= bodies[2]["ts"] - bodies[0]["ts"] <= 2100
    (feed,) = bodies[0]["feeds"]
    assert set(feed) == {"name", "state", "last_tick_age_ms", "subscribed"}
    assert (feed["name"], feed["state"]) == ("simulated", "connected")


def test_the_feed_follows_subscriptions(endpoint: str, health: Subscriber) -> None:
    becomes(health, 0)
    with Subscriber(endpoint, *WANTED) as one:
        seen: set[bytes] = set()
        while seen != set(WANTED):
            seen.add(one.next().topic)
        becomes(health, 3)
        one.socket.unsubscribe(WANTED[0])
        becomes(health, 2)
        one.socket.subscribe(WANTED[0])
        becomes(health, 3)
    becomes(health, 0)


def test_the_last_of_several_subscribers_releases(endpoint: str, health: Subscriber) -> None:
    topic = WANTED[0]
    with Subscriber(endpoint, topic) as one, Subscriber(endpoint, topic) as two:
        assert {one.next().topic, two.next().topic} == {topic}
        becomes(health, 1)
        one.close()
        time.sleep(0.3)
        becomes(health, 1)
        while two.raw(0):
            pass
        assert two.next().topic == topic
        two.socket.unsubscribe(topic)
        becomes(health, 0)
        two.socket.subscribe(topic)
        assert two.next().topic == topic
        becomes(health, 1)
    becomes(health, 0)


def test_one_that_subscribes_twice_counts_once(endpoint: str, health: Subscriber) -> None:
    topic = WANTED[0]
    with Subscriber(endpoint, topic, topic, topic) as thrice, Subscriber(endpoint, topic) as once:
        assert {thrice.next().topic, once.next().topic} == {topic}
        thrice.close()
        time.sleep(0.3)
        becomes(health, 1)
        while once.raw(0):
            pass
        assert once.next().topic == topic
    becomes(health, 0)


def handshaken(endpoint: str) -> socket.socket:
    """A bare ZMTP connection as a SUB socket has it: it may then send what no SUB socket would."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    bare = socket.create_connection((host, int(port)))
    bare.sendall(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0" + b"NULL".ljust(20, b"\0") + bytes(32))
    ready = b"\x05READY\x0bSocket-Type\0\0\0\x03SUB"
    bare.sendall(bytes((4, len(ready))) + ready)
    time.sleep(0.2)
    return bare


def test_nobody_ends_the_want_of_another(endpoint: str, health: Subscriber) -> None:
    topic = WANTED[0]
    with Subscriber(endpoint, topic) as honest, handshaken(endpoint) as rude:
        assert honest.next().topic == topic
        for message in (b"\x00" + topic, b"\x01", b"\x00", b"\x00" + topic, b"", b"hello"):
            rude.sendall(bytes((0, len(message))) + message)
        time.sleep(0.3)
        becomes(health, 1)
        while honest.raw(0):
            pass
        assert honest.next().topic == topic
    becomes(health, 0)


def test_a_killed_subscriber_releases_what_it_held(endpoint: str, health: Subscriber) -> None:
    code = (
        "import sys, zmq\n"
        "s = zmq.Context().socket(zmq.SUB); s.connect(sys.argv[1])\n"
        "[s.subscribe(topic.encode()) for topic in sys.argv[2:]]\n"
        "s.recv_multipart(); print('here', flush=True)\n"
        "while True: s.recv_multipart()\n"
    )
    command = [sys.executable, "-c", code, endpoint, *(topic.decode() for topic in WANTED)]
    with Subscriber(endpoint, WANTED[0]) as stays:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "here\n"
            becomes(health, 3)
            os.kill(victim.pid, signal.SIGKILL)
        becomes(health, 1)
        while stays.raw(0):
            pass
        assert stays.next().topic == WANTED[0]
    becomes(health, 0)


def test_modes_of_the_want_follow_too(endpoint: str) -> None:
    with Subscriber(endpoint, b"NSE_TCS_LTP") as low:
        assert "depth" not in low.next().payload
        with Subscriber(endpoint, b"NSE_TCS_DEPTH") as high:
            assert high.next().payload["depth"]["buy"]
            deadline = time.monotonic() + 3
            while "depth" not in low.next().payload:
                assert time.monotonic() < deadline, "Depth ticks serve LTP as well"


def test_an_unknown_instrument_is_served_once_somebody_publishes_it(
    endpoint: str, health: Subscriber, pub: zmq.Socket[bytes]
) -> None:
    with Subscriber(endpoint, b"NSE_LATER_LTP") as early:
        assert early.silent(0.3)
        pub.send_multipart([b"NSE_LATER_LTP", b'{"ltp":5}'])
        assert early.next().payload == {"ltp": 5}
    assert health.json(b"_health")["feeds"]


def test_missed_orders_are_asked_for_and_answered_to_one_connection(
    gateway: Gateway, key: str, endpoint: str, pub: zmq.Socket[bytes]
) -> None:
    with Subscriber(endpoint, b"_orders") as trade:
        trade.silent(0.3)
        with Reader(gateway.ws_url, key) as reader, Reader(gateway.ws_url, key) as other:
            assert other.ask(action="subscribe_orders")["status"] == "success"
            assert trade.silent(0.2)
            assert reader.ask(action="subscribe_orders", after=3)["status"] == "success"
            asked = trade.json(b"_orders")
            assert (asked["user_id"], asked["after"], set(asked)) == ("asha", 3, {"user_id", "after", "conn"})
            update = {"type": "order_update", "user_id": "asha", "orderid": "1", "seq": 4}
            pub.send_multipart([b"ANALYZE_asha_orders", orjson.dumps({**update, "conn": asked["conn"]})])
            assert reader.receive() == update
            pub.send_multipart([b"ANALYZE_asha_orders", orjson.dumps({**update, "seq": 5})])
            assert reader.receive()["seq"] == 5
            assert other.receive()["seq"] == 5
