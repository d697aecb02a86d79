"""Limits of connections and requests, signals, and the end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.harness import Gateway
from tests.integration.stream.client import RawClient, ask, closed, get, log_in, quiet, raw, subscribe


def until(true: Callable[[], bool], seconds: float = 3.0) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_limits_and_their_change_by_hangup(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    limits = {
        "WS_MAX_CONNECTIONS": 4,
        "WS_MAX_CONNECTIONS_PER_USER": 2,
        "WS_REQUESTS_PER_SECOND": 1,
        "WS_REQUEST_BURST": 6,
    }
    write = (home / ".env").write_text
    write("".join(f"{name}={value}\n" for name, value in {**limits, "WS_AUTH_FAILURES_PER_MINUTE": 3}.items()))
    with Gateway("--feed", "none", home=home) as gateway, contextlib.ExitStack() as stack:
        key, other = gateway.add_key("asha"), gateway.add_key("ravi")
        first = stack.enter_context(log_in(gateway, key))
        stack.enter_context(log_in(gateway, key))
        with connect(gateway.ws_url) as third:
            answer = ask(third, action="auth", api_key=key)
            assert (answer["type"], answer["code"]) == ("auth", "MAX_CAPACITY_REACHED")
        stack.enter_context(log_in(gateway, other))
        stack.enter_context(connect(gateway.ws_url))
        with pytest.raises(InvalidStatus) as refused, connect(gateway.ws_url):
            pass
        assert refused.value.response.status_code == 503
        assert get(gateway, "/healthz")[0] == 200

        for number in range(12):
            first.send(json.dumps({"action": "ping", "request_id": number}))
        answers = quiet(first)
        assert [answer["request_id"] for answer in answers] == list(range(12))
        assert [answer.get("code") for answer in answers] == [None] * 5 + ["RATE_LIMITED"] * 7

        new = {"WS_MAX_CONNECTIONS": 6, "WS_MAX_CONNECTIONS_PER_USER": 9, "WS_REQUESTS_PER_SECOND": 1000}
        write("".join(f"{name}={value}\n" for name, value in {**limits, **new, "LOG_LEVEL": "WARNING"}.items()))
        os.kill(gateway.pid, signal.SIGHUP)
        until(lambda: _admitted(gateway))
        stack.enter_context(log_in(gateway, key))
        time.sleep(0.01)
        first.send(json.dumps({"action": "ping"}))
        assert quiet(first)[-1]["type"] == "pong"
        size = len(gateway.log)
        with connect(gateway.ws_url) as late:
            for _ in range(3):
                late.send(json.dumps({"action": "auth", "api_key": "n" * 30}))
            assert closed(late)[0] == 4403
        assert "connection ended" not in gateway.log[size:], "the log level was not taken over"


def _admitted(gateway: Gateway) -> bool:
    with contextlib.suppress(InvalidStatus), connect(gateway.ws_url):
        return True
    return False


def test_an_address_that_fails_too_often_is_refused_but_known_keys_pass() -> None:
    with Gateway("--feed", "none", WS_AUTH_FAILURES_PER_MINUTE="3") as gateway:
        known, fresh = gateway.add_key("asha"), gateway.add_key("ravi")
        with log_in(gateway, known), connect(gateway.ws_url) as bad:
            for _ in range(3):
                bad.send(json.dumps({"action": "auth", "api_key": "n" * 30}))
            assert closed(bad)[0] == 4403
        for key in ("m" * 30, fresh):
            with connect(gateway.ws_url) as blocked:
                answer = ask(blocked, action="auth", api_key=key)
                assert (answer["type"], answer["code"]) == ("auth", "RATE_LIMITED")
        with log_in(gateway, known) as again:
            assert ask(again, action="ping")["type"] == "pong"


def test_stop_says_goodbye_to_everyone_within_five_seconds() -> None:
    gateway = Gateway("--feed", "simulated")
    with gateway, contextlib.ExitStack() as stack:
        key = gateway.add_key("asha")
        clients = [stack.enter_context(log_in(gateway, key)) for _ in range(20)]
        fresh = stack.enter_context(connect(gateway.ws_url))
        deaf: list[RawClient] = [stack.enter_context(raw(gateway, key, receive_buffer=8192)) for _ in range(3)]
        for one in deaf:
            rows = [{"symbol": name, "exchange": "NSE"} for name in ("RELIANCE", "SBIN")]
            one.send(json.dumps({"action": "subscribe", "symbols": rows, "mode": 3}).encode())
        for client in clients:
            subscribe(client, "RELIANCE", mode=3)
        began = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - began < 5
        for client in (*clients, fresh):
            assert closed(client)[0] == 1001
