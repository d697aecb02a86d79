"""A broker's feed that dies, comes back, or refuses its token, as readers and publishers of tokens see it."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import orjson
import pytest

from tests.harness import Gateway
from tests.integration.peers import Json, Reader, publisher, wait_for
from tests.simulators.kite import KiteServer

INSTRUMENTS = [("NSE", "INFY", "LTP"), ("NSE_INDEX", "NIFTY", "Quote"), ("NSE", "RELIANCE", "Depth")]


@pytest.fixture
def kite() -> Iterator[KiteServer]:
    with KiteServer(rate=100.0) as server:
        yield server


def gateway_on(kite: KiteServer, token: str = "token") -> Gateway:
    return Gateway(
        "--feed",
        "zerodha",
        ZERODHA_WS_URL=kite.ws_url,
        ZERODHA_REST_URL=kite.rest_url,
        ZERODHA_API_KEY="key",
        ZERODHA_ACCESS_TOKEN=token,
    )


def told(reader: Reader, until: str, seconds: float = 10.0) -> tuple[list[str], float]:
    """The states told up to `until`, and when that came; ticks are passed over."""
    states: list[str] = []
    deadline = time.monotonic() + seconds
    while not states or states[-1] != until:
        frame = reader.receive(max(0.01, deadline - time.monotonic()))
        if frame.get("type") == "feed_status":
            assert frame["broker"] == "zerodha"
            states.append(frame["state"])
    return states, time.monotonic()


def live(reader: Reader, seconds: float = 5.0) -> list[Json]:
    """A live tick of each instrument."""
    seen: dict[str, Json] = {}
    deadline = time.monotonic() + seconds
    while len(seen) < len(INSTRUMENTS):
        frame = reader.tick(max(0.01, deadline - time.monotonic()))
        if not frame.get("snapshot"):
            seen[frame["symbol"]] = frame
    return list(seen.values())


def drained(reader: Reader) -> list[Json]:
    frames = []
    while True:
        try:
            frames.append(reader.receive(0.3))
        except TimeoutError:
            return frames


def test_a_dead_feed_is_told_and_resubscribed_within_five_seconds(kite: KiteServer) -> None:
    with gateway_on(kite) as gateway, Reader(gateway.ws_url, gateway.add_key("asha"), feed_status=True) as reader:
        assert told(reader, "connected")[0][-1] == "connected"
        for exchange, symbol, mode in INSTRUMENTS:
            reader.subscribe(exchange, symbol, mode)
        live(reader)
        held = kite.held()
        for _ in range(2):
            kite.kill()
            began = time.monotonic()
            states, at = told(reader, "disconnected")
            assert states == ["disconnected"]
            assert at - began < 1.0
            assert [frame for frame in drained(reader) if frame["type"] == "feed_status"] == []
            kite.start()
            began = time.monotonic()
            states, at = told(reader, "connected")
            assert states == ["connected"], "nothing but what is so"
            live(reader)
            took = time.monotonic() - began
            print(f"connected after {at - began:.2f} s, all flowing after {took:.2f} s")
            assert took < 5.0
            assert kite.held() == held


def readiness(gateway: Gateway) -> tuple[int, Json]:
    url = gateway.ws_url.replace("ws://", "http://") + "/readyz"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, orjson.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, orjson.loads(error.read())


@pytest.mark.parametrize("kind", ["AUTH", "FEED", "ALL"])
def test_a_refused_token_waits_for_a_new_one(kite: KiteServer, kind: str) -> None:
    with gateway_on(kite) as gateway, Reader(gateway.ws_url, gateway.add_key("asha"), feed_status=True) as reader:
        told(reader, "connected")
        for exchange, symbol, mode in INSTRUMENTS:
            reader.subscribe(exchange, symbol, mode)
        live(reader)
        kite.access_token = "tomorrow"
        kite.close_clients()
        states, _ = told(reader, "refused")
        assert "connected" not in states
        assert readiness(gateway)[1]["feeds"] == {"zerodha": "refused"}
        tries = kite.refused
        time.sleep(1.5)
        assert kite.refused == tries, "a refused token is not tried again"
        done = gateway.command("brokers", "add", "zerodha", "--stdin", text="access_token=tomorrow\n")
        assert done.returncode == 0, done.stderr
        with publisher(gateway.zmq_url) as pub:
            body = orjson.dumps({"user_id": "asha", "cache_type": kind})
            pub.send_multipart([f"CACHE_INVALIDATE_{kind}_asha".encode(), body])
        states, _ = told(reader, "connected")
        assert "refused" not in states
        live(reader)
        assert readiness(gateway)[0] == 200
        assert "tomorrow" not in gateway.log


def test_a_token_refused_at_the_start_holds_up_nothing(kite: KiteServer) -> None:
    """The ports answer at once; the state is told; a new token starts the feed."""
    began = time.monotonic()
    with gateway_on(kite, "yesterday") as gateway:
        assert time.monotonic() - began < 8.0
        wait_for(lambda: readiness(gateway)[1]["feeds"] == {"zerodha": "refused"})
        with Reader(gateway.ws_url, gateway.add_key("asha"), feed_status=True) as reader:
            gateway.command("brokers", "add", "zerodha", "--stdin", text="access_token=token\n")
            with publisher(gateway.zmq_url) as pub:
                pub.send_multipart([b"CACHE_INVALIDATE_ALL_asha", b'{"user_id":"asha","cache_type":"ALL"}'])
            told(reader, "connected")
            for exchange, symbol, mode in INSTRUMENTS:
                reader.subscribe(exchange, symbol, mode)
            live(reader)
