"""gateway.config: defaults, sources, checks, messages."""

from __future__ import annotations

import os
import time
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Settings, load_settings, reload_settings
from gateway.errors import SettingsError
from gateway.settings.fields import describe

pytestmark = pytest.mark.usefixtures("bare_environment")


def problems(**overrides: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(**overrides)
    return caught.value.problems


def test_defaults_are_those_of_the_operating_contract(bare_environment: Path) -> None:
    settings = load_settings()
    assert settings.gateway_home == bare_environment / "var"
    assert (settings.websocket_host, settings.websocket_port) == ("127.0.0.1", 8765)
    assert (settings.api_host, settings.api_port) == ("127.0.0.1", 5000)
    assert (settings.zmq_host, settings.zmq_port) == ("127.0.0.1", 5555)
    assert settings.feeds == ()
    assert settings.database_url == f"sqlite:///{bare_environment}/var/gateway.db"
    assert (settings.simulated_rate, settings.simulated_seed, settings.simulated_instruments) == (1000, 1, 200)
    assert (settings.ws_auth_grace_seconds, settings.ws_ping_interval, settings.ws_ping_timeout) == (15, 20, 20)
    assert (settings.ws_max_frame_size, settings.ws_max_symbols_per_client) == (65536, 3000)
    assert (settings.ws_max_connections, settings.ws_max_connections_per_user) == (20_000, 12_000)
    assert (settings.ws_requests_per_second, settings.ws_request_burst) == (200, 500)
    assert (settings.message_throttle_ms, settings.ws_send_buffer, settings.ws_slow_consumer_seconds) == (
        50,
        131072,
        10,
    )
    assert settings.sandbox_starting_capital == 10_000_000
    assert settings.clock_offset_ns == 0
    assert settings.warnings == ()


def test_environment_wins_over_env_file(bare_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare_environment / ".env").write_text("WEBSOCKET_PORT=1111\nZMQ_PORT='2222'\nFEEDS=\nLOG_LEVEL = debug\n")
    monkeypatch.setenv("WEBSOCKET_PORT", "3333")
    settings = load_settings()
    assert (settings.websocket_port, settings.zmq_port, settings.log_level) == (3333, 2222, "DEBUG")
    assert settings.environment["ZMQ_PORT"] == "2222"
    assert load_settings(websocket_port=4444).websocket_port == 4444


def test_openalgo_aliases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_HOST_IP", "0.0.0.0")
    monkeypatch.setenv("FLASK_PORT", "5001")
    assert (load_settings().api_host, load_settings().api_port) == ("0.0.0.0", 5001)
    monkeypatch.setenv("API_PORT", "5002")
    assert load_settings().api_port == 5002


def test_every_problem_is_said_at_once_with_variable_value_and_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSOCKET_PORT", "99999")
    monkeypatch.setenv("FLASK_PORT", "abc")
    monkeypatch.setenv("FEEDS", "zerodah")
    monkeypatch.setenv("CLOCK_START", "2026-01-05T10:00:00")
    monkeypatch.setenv("ZERODHA_WS_URL", "http://127.0.0.1")
    lines = problems()
    assert [line.split(" is ")[0] for line in lines] == [
        "CLOCK_START",
        "WEBSOCKET_PORT",
        "FEEDS",
        "FLASK_PORT",
        "ZERODHA_WS_URL",
    ]
    assert lines[1] == "WEBSOCKET_PORT is '99999'; it may hold a port number from 0 to 65535; 0 takes any free port"
    assert "'zerodah'" in lines[2]
    assert "zerodha" in lines[2]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("websocket_host", "http://x"),
        ("websocket_port", -1),
        ("message_throttle_ms", -1),
        ("ws_auth_grace_seconds", 0),
        ("ws_max_connections", 0),
        ("simulated_rate", 100_001),
        ("replay_speed", -1),
        ("log_level", "LOUD"),
        ("api_rate_limit", "10 per fortnight"),
        ("sandbox_reset_day", "someday"),
        ("sandbox_gtt_oco_margin_mode", "min"),
        ("tick_stream", "localhost:5556"),
        ("tick_stream", "ipc:///" + "x" * 100),
        ("database_url", "gateway.db"),
        ("ws_tls_cert", "/nonexistent.pem"),
    ],
)
def test_wrong_values(name: str, value: object) -> None:
    (line,) = problems(**{name: value})
    assert line.startswith(f"{name.upper()} is ")
    assert describe(Settings)[name].may in line


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZMQ_CURVE_SECRET_KEY", "hush-hush-hush")
    monkeypatch.setenv("DATABASE_URL", "POSTGRES://joe:open-sesame@host/db")
    text = "\n".join(problems())
    assert "POSTGRES://joe:***@host/db" in text
    assert "sesame" not in text
    monkeypatch.setenv("DATABASE_URL", "postgresql://joe:open-sesame@host/db")
    text = "\n".join(problems())
    assert text == "ZMQ_CURVE_SECRET_KEY is ***; it may hold 40 characters of Z85"
    monkeypatch.delenv("ZMQ_CURVE_SECRET_KEY")
    assert "sesame" not in repr(load_settings())


def test_settings_that_do_not_go_together(tmp_path: Path) -> None:
    pem = tmp_path / "a.pem"
    pem.write_text("x")
    assert "WS_TLS_KEY is not set" in problems(ws_tls_cert=pem)[0]
    assert "REPLAY_FILE is not set" in problems(feeds="replay")[0]
    assert "ZMQ_PORT is 8765; WEBSOCKET_PORT holds the same port" in problems(zmq_port=8765)[0]
    assert load_settings(zmq_port=0, websocket_port=0).zmq_port == 0


def test_unknown_variables_with_our_prefixes_are_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WS_MAX_CONECTIONS", "3")
    monkeypatch.setenv("KAFKA_QQQQQQQQ", "3")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("MY_OWN", "3")
    assert load_settings().warnings == (
        "KAFKA_QQQQQQQQ is not a setting of the gateway",
        "WS_MAX_CONECTIONS is not a setting of the gateway; did you mean WS_MAX_CONNECTIONS?",
    )


def test_feeds_without_an_adapter_are_said_so() -> None:
    (line,) = problems(feeds="simulated,dhan_sandbox")
    assert line.startswith("FEEDS is 'simulated,dhan_sandbox'; dhan_sandbox has no adapter yet, there are ")


def test_feeds_list() -> None:
    assert load_settings(feeds=" Simulated, zerodha,simulated ").feeds == ("simulated", "zerodha")
    assert load_settings(feeds=("none",)).feeds == ()


def test_postgresql_urls_get_the_psycopg_driver() -> None:
    for scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        assert load_settings(database_url=f"{scheme}://u@h/d").database_url == "postgresql+psycopg://u@h/d"
    assert load_settings(database_url="mysql+pymysql://u@h/d").database_url == "mysql+pymysql://u@h/d"


def test_clock_start_runs_at_real_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = load_settings(clock_start="2026-01-05T10:00:00+05:30").clock()
    start = 1_767_587_400 * 1_000_000_000
    first = clock()
    assert start <= first < start + 5_000_000_000
    time.sleep(0.02)
    assert 0.015e9 < clock() - first < 2e9
    monkeypatch.setenv("GATEWAY_CLOCK_OFFSET_NS", "-5000000000")
    settings = load_settings(clock_start="2026-01-05T10:00:00+05:30")
    assert settings.clock_offset_ns == -5_000_000_000
    assert settings.warnings == ()


def test_broker_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZERODHA_WS_URL", "ws://127.0.0.1:9")
    monkeypatch.setenv("ZERODHA_API_KEY", "from-environment")
    monkeypatch.setenv("ZERODHA_ACCESS_TOKEN", "token-from-environment")
    settings = load_settings(max_symbols_per_websocket=10)
    config = settings.broker("zerodha", {"api_key": "stored"})
    assert (config.ws_url, config.api_key, config.access_token) == (
        "ws://127.0.0.1:9",
        "stored",
        "token-from-environment",
    )
    assert config.options["symbols_per_connection"] == 10
    assert "token-from" not in repr(config)
    assert settings.broker("simulated").options == {"rate": 1000.0, "seed": 1, "instruments": 200}


def test_tick_stream_endpoint(tmp_path: Path) -> None:
    short = load_settings(gateway_home=tmp_path / "h")
    assert short.tick_stream_to_bind() == f"ipc://{tmp_path}/h/ticks.sock" == short.tick_stream_to_connect()
    given_one = load_settings(tick_stream="tcp://127.0.0.1:1")
    assert given_one.tick_stream_to_bind() == given_one.tick_stream_to_connect() == "tcp://127.0.0.1:1"


def test_curve_keys_from_file_or_variables(tmp_path: Path) -> None:
    import zmq.auth

    public_file, secret_file = zmq.auth.create_certificates(tmp_path, "bus")
    public, secret = zmq.auth.load_certificate(secret_file)
    assert load_settings().curve() is None
    assert load_settings(zmq_curve_secret_key_file=secret_file).curve() == (public, secret)
    assert secret is not None
    keys = {"zmq_curve_public_key": public.decode(), "zmq_curve_secret_key": secret.decode()}
    assert load_settings(**keys).curve() == (public, secret)
    assert "ZMQ_CURVE_SECRET_KEY_FILE" in problems(zmq_curve_secret_key_file=public_file)[0]
    assert "ZMQ_CURVE_PUBLIC_KEY" in problems(zmq_curve_secret_key=secret.decode())[0]


def test_reload_takes_only_what_may_change(bare_environment: Path) -> None:
    current = load_settings(websocket_port=0, clock_start="2026-01-05T10:00:00+05:30")
    (bare_environment / ".env").write_text("LOG_LEVEL=ERROR\nWEBSOCKET_PORT=1234\nWS_MAX_CONNECTIONS=7\n")
    fresh = reload_settings(current)
    assert (fresh.log_level, fresh.ws_max_connections, fresh.websocket_port) == ("ERROR", 7, 0)
    assert fresh.clock_offset_ns == current.clock_offset_ns
    (bare_environment / ".env").write_text("LOG_LEVEL=LOUD\n")
    with pytest.raises(SettingsError):
        reload_settings(current)


@given(
    st.dictionaries(st.sampled_from([about.variable for about in describe(Settings).values()]), st.text(max_size=30))
)
def test_any_text_in_any_variable_is_settings_or_settings_error(values: dict[str, str]) -> None:
    usable = {name: text for name, text in values.items() if "\x00" not in text and text.isprintable()}
    with mock.patch.dict(os.environ, usable):
        try:
            load_settings()
        except SettingsError as error:
            lines = error.problems
        else:
            return
    assert lines
