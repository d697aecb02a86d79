"""Publishers come and go in any order; the gateway too. CURVE. A flood starves nobody."""

from __future__ import annotations

import statistics
import threading
import time
from typing import Any

import pytest
import zmq

from bench import tool
from tests.harness import Gateway
from tests.integration.peers import Reader, metrics, publisher, through, wait_for

TICK = [b"NSE_SBIN_LTP", b'{"ltp":1}']


def heard(pub: zmq.Socket[bytes], reader: Reader) -> bool:
    pub.send_multipart(TICK)
    return not reader.silent(0.05)


def free_port() -> int:
    with zmq.Context() as context, context.socket(zmq.PULL) as sock:
        port: int = sock.bind_to_random_port("tcp://127.0.0.1")
        return port


def test_publisher_first_then_gateway_then_both_start_anew() -> None:
    port = str(free_port())
    with publisher(f"tcp://127.0.0.1:{port}", reconnect_ivl=50) as early:
        with Gateway("--feed", "none", ZMQ_PORT=port) as first:
            key = first.add_key("asha")
            with Reader(first.ws_url, key) as reader:
                reader.subscribe("NSE", "SBIN")
                wait_for(lambda: heard(early, reader))
                with publisher(first.zmq_url) as late:
                    wait_for(lambda: heard(late, reader))
                with publisher(first.zmq_url) as again:
                    wait_for(lambda: heard(again, reader))
        with (
            Gateway("--feed", "none", ZMQ_PORT=port) as second,
            Reader(second.ws_url, second.add_key("asha")) as reader,
        ):
            reader.subscribe("NSE", "SBIN")
            wait_for(lambda: heard(early, reader))


def test_curve_lets_in_who_knows_the_key_only() -> None:
    public, secret = zmq.curve_keypair()
    mine, mine_secret = zmq.curve_keypair()
    wrong, _ = zmq.curve_keypair()
    gateway = Gateway("--feed", "none", ZMQ_CURVE_PUBLIC_KEY=public.decode(), ZMQ_CURVE_SECRET_KEY=secret.decode())
    with gateway, Reader(gateway.ws_url, gateway.add_key("asha")) as reader:
        reader.subscribe("NSE", "SBIN")
        own: dict[str, Any] = {"curve_publickey": mine, "curve_secretkey": mine_secret}
        with (
            publisher(gateway.zmq_url, linger=0) as plain,
            publisher(gateway.zmq_url, linger=0, curve_serverkey=wrong, **own) as mistaken,
            publisher(gateway.zmq_url, curve_serverkey=public, **own) as trusted,
        ):
            for _ in range(5):
                assert not heard(plain, reader)
                assert not heard(mistaken, reader)
            wait_for(lambda: heard(trusted, reader))
        assert secret.decode() not in gateway.log


def test_a_flood_starves_no_request(gateway: Gateway, key: str) -> None:
    """A ping is answered in some ms while 50,000 ticks a second come in, and none of them is lost."""
    address = gateway.zmq_url.removeprefix("tcp://")
    before = sum(value for (name, _), value in metrics(gateway).items() if name == "gateway_ticks_in_total")
    with Reader(gateway.ws_url, key) as reader:
        done: list[tool.Json] = []
        flood = threading.Thread(
            target=lambda: done.append(tool.run("publish", address=address, rate=50_000, seconds=2.0, symbols=100))
        )
        flood.start()
        time.sleep(0.5)
        waits: list[float] = []
        while flood.is_alive() and len(waits) < 100:
            began = time.monotonic()
            reader.ask(action="ping")
            waits.append(time.monotonic() - began)
            time.sleep(0.01)
        flood.join()
    sent = done[0]["sent"]
    typical, worst = statistics.median(waits), max(waits)
    print(f"{sent} ticks; ping median {typical * 1e3:.2f} ms, worst {worst * 1e3:.2f} ms")

    def arrived() -> float:
        found = metrics(gateway).items()
        return sum(value for (name, _), value in found if name == "gateway_ticks_in_total") - before

    wait_for(lambda: arrived() >= sent, 10)
    assert arrived() == sent
    assert typical < 0.005, f"{typical * 1e3:.1f} ms"
    assert worst < 0.2, f"{worst * 1e3:.1f} ms"


@pytest.mark.slow
def test_ever_new_symbols_fill_no_memory(gateway: Gateway, reader: Reader, pub: zmq.Socket[bytes]) -> None:
    """300,000 different instruments with 1 KB each: more than are kept, and than the last values may take."""
    padding = b'{"ltp":1,"x":"' + b"x" * 1000 + b'"}'
    reader.subscribe("NSE", "HELD")
    for number in range(300_000):
        pub.send_multipart([b"NSE_Z%d_LTP" % number, padding])
        if number % 20_000 == 0:
            time.sleep(0.05)
    assert through(pub, reader, "HELD") == []
    reader.subscribe("NSE", "FRESH")
    assert through(pub, reader, "FRESH") == []
    found = metrics(gateway)
    assert found["gateway_instruments", ""] <= 250_000
    assert found["gateway_last_value_bytes", ""] < 360 << 20
    assert found["process_resident_memory_bytes", ""] < 900 << 20
