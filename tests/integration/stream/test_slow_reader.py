"""A reader that stops reading: bounded memory, newest values, cut with 4408, and nobody else notices."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from websockets.sync.client import ClientConnection

from tests.harness import Gateway
from tests.integration.stream.client import Publisher, RawClient, ask, log_in, metric, raw, subscribe

SYMBOLS = [f"SLOW{number}" for number in range(40)]
PAD = "x" * 3000


def resident(gateway: Gateway) -> int:
    """Resident memory of the market process, bytes."""
    return int(Path(f"/proc/{gateway.child_pid()}/statm").read_text("utf-8").split()[1]) * 4096


def flood(bus: Publisher, rounds: int, start: int = 0, seconds: float = 0.0) -> int:
    """Publishes rounds of ticks of all symbols, spread over `seconds`; the last price."""
    for price in range(start, start + rounds):
        for symbol in SYMBOLS:
            bus.send(f"NSE_{symbol}_LTP", {"ltp": price, "pad": PAD})
        time.sleep(seconds / rounds)
    return start + rounds - 1


def stop_reading(client: RawClient) -> None:
    rows = [{"symbol": symbol, "exchange": "NSE"} for symbol in SYMBOLS]
    assert client.ask(action="subscribe", symbols=rows, mode=1)["status"] == "success"


def test_who_drains_again_gets_the_newest_values_and_stays(gateway: Gateway, key: str, bus: Publisher) -> None:
    with raw(gateway, key, receive_buffer=8192) as slow, log_in(gateway, key) as good:
        stop_reading(slow)
        subscribe(good, SYMBOLS[-1])
        before = resident(gateway)
        last = flood(bus, 400, seconds=0.5)
        while prices(good)[-1] != last:
            pass
        assert metric(gateway, "gateway_readers_slow") == 1
        assert metric(gateway, "gateway_reader_buffer_bytes_total") < 600_000
        assert resident(gateway) - before < 16 << 20
        newest: dict[str, int] = {}
        got = 0
        while len([price for price in newest.values() if price == last]) < len(SYMBOLS):
            frame = slow.text()
            assert frame["data"]["ltp"] >= newest.get(frame["symbol"], -1)
            newest[frame["symbol"]] = frame["data"]["ltp"]
            got += 1
        assert got < 400 * len(SYMBOLS) / 10, "it was not conflated"
        assert slow.ask(action="ping")["type"] == "pong"


def prices(client: ClientConnection) -> list[int]:
    return [json.loads(client.recv(timeout=5))["data"]["ltp"]]


def test_who_stays_slow_is_cut_and_ten_others_notice_nothing(gateway: Gateway, key: str, bus: Publisher) -> None:
    late: list[float] = []
    stop = threading.Event()

    def read(client: ClientConnection) -> None:
        while not stop.is_set():
            data = json.loads(client.recv(timeout=5))["data"]
            if "sent" in data:
                late.append(time.monotonic() - data["sent"])

    with raw(gateway, key, receive_buffer=8192) as slow:
        stop_reading(slow)
        clients = [log_in(gateway, key) for _ in range(10)]
        opened = [client.__enter__() for client in clients]
        threads = [threading.Thread(target=read, args=(client,)) for client in opened]
        for client, thread in zip(opened, threads, strict=True):
            subscribe(client, "CALM")
            thread.start()
        began = time.monotonic()
        price = 0
        while "reader too slow" not in gateway.log:
            assert time.monotonic() - began < 8
            price = flood(bus, 2, price + 1)
            for _ in range(5):
                bus.send("NSE_CALM_LTP", {"ltp": 1, "sent": time.monotonic()})
            time.sleep(0.02)
        took = time.monotonic() - began
        code = slow.close_code()
        stop.set()
        bus.send("NSE_CALM_LTP", {"ltp": 2})
        for thread, context in zip(threads, clients, strict=True):
            thread.join(5)
            context.__exit__(None, None, None)
    assert code == 4408
    assert 2.5 < took < 5
    late.sort()
    assert len(late) > 1000
    assert late[len(late) * 99 // 100] < 0.05, f"p99 {late[len(late) * 99 // 100] * 1000:.1f} ms"


def test_a_flood_of_pings_by_someone_who_does_not_read_piles_nothing_up(gateway: Gateway, key: str) -> None:
    before = resident(gateway)
    with raw(gateway, key, receive_buffer=8192) as rude, log_in(gateway, key) as other:
        rude.socket.settimeout(1.5)
        try:
            for _ in range(150):
                rude.socket.sendall((b"\x89\xfd" + bytes(4) + b"x" * 125) * 1000)
        except (TimeoutError, ConnectionError):
            pass
        assert ask(other, action="ping")["type"] == "pong"
        assert metric(gateway, "gateway_reader_buffer_bytes_total") < 600_000
    assert resident(gateway) - before < 8 << 20
