"""Typed settings, read from the environment and `.env` and validated whole at start (operating, "Settings")."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, PrivateAttr, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from adapters.base import FeedConfig
from gateway.settings import brokers, checks, events, kafka, load
from gateway.settings.fields import setting

MARKET = "Market process"
STREAM = "WebSocket limits"
FEED = "Feeds"
BUS = "Tick bus and tick stream"
COMMON = "Everywhere"
TRADE = "Trade process: REST API and paper trading"
EVENTS = "Order events"
KAFKA = "Kafka (with ORDER_EVENT_MODE KAFKA or BOTH, or KAFKA_INBOUND)"

Host = Annotated[str, AfterValidator(checks.host)]
Rate = Annotated[str, AfterValidator(checks.rate_limit)]
_HOST = "a host name or an IP address"
_PORT = "a port number from 0 to 65535; 0 takes any free port"
_COUNT = "a whole number from 1"
_NUMBER = "a number above 0"
_BOOL = "true or false"
_FILE = "the path of a readable file"
_TOPIC = "a topic's name: 1 to 249 letters, digits, dots, underscores, hyphens"
_RATE = 'words of the limits library, such as "10 per second"'


class Settings(BaseSettings):
    """Every setting under its variable's name in lower case. Made by `load_settings`; immutable."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        validate_default=True,
    )

    gateway_home: Annotated[Path, AfterValidator(checks.absolute)] = setting(
        Path("./var"), COMMON, "the only folder written to (mode 0700)", "the path of a folder"
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(checks.upper)] = setting(
        "INFO", COMMON, "the least urgent log lines written", "DEBUG, INFO, WARNING or ERROR", reload=True
    )
    log_format: Annotated[Literal["auto", "json", "console"], BeforeValidator(checks.lower)] = setting(
        "auto", COMMON, "JSON lines or text for people; auto: text on a terminal", "auto, json or console"
    )
    database_url: Annotated[str, AfterValidator(checks.database_url)] = setting(
        checks.default_database,
        COMMON,
        "the database; SQLite in GATEWAY_HOME when empty",
        "an SQLAlchemy URL, such as postgresql://user:password@host/name",
        secret=True,
    )
    clock_start: Annotated[datetime | None, BeforeValidator(checks.clock_start)] = setting(
        None,
        COMMON,
        "trading time starts here and runs at real speed",
        "a time as ISO 8601 with offset, such as 2026-01-05T10:00:00+05:30",
    )

    websocket_host: Host = setting("127.0.0.1", MARKET, "where WebSocket clients connect", _HOST)
    websocket_port: int = setting(8765, MARKET, "its port; also /healthz, /readyz, /metrics", _PORT, ge=0, le=65535)
    metrics_public: bool = setting(False, MARKET, "answer /metrics to others than loopback", _BOOL)
    ws_tls_cert: Annotated[Path | None, AfterValidator(checks.readable)] = setting(
        None, MARKET, "certificate chain (PEM) for wss://", _FILE, reload=True
    )
    ws_tls_key: Annotated[Path | None, AfterValidator(checks.readable)] = setting(
        None, MARKET, "its private key (PEM)", _FILE, reload=True
    )

    message_throttle_ms: int = setting(
        50, STREAM, "least time between two messages of one symbol and mode, ms; 0 = every tick",
        "a whole number from 0 to 60000", reload=True, ge=0, le=60_000,
    )  # fmt: skip
    ws_auth_grace_seconds: float = setting(15.0, STREAM, "time to authenticate, s", _NUMBER, reload=True, gt=0)
    ws_ping_interval: float = setting(20.0, STREAM, "time between pings, s", _NUMBER, gt=0)
    ws_ping_timeout: float = setting(20.0, STREAM, "time to answer one, s", _NUMBER, gt=0)
    ws_slow_consumer_seconds: float = setting(
        10.0, STREAM, "how long a reader may stay over its high-water mark, s", _NUMBER, reload=True, gt=0
    )
    ws_send_buffer: int = setting(
        131_072, STREAM, "SO_SNDBUF of accepted sockets, bytes", "a whole number from 4096", ge=4096
    )
    ws_high_water_bytes: int = setting(
        262_144, STREAM, "waiting bytes above which a reader is conflated", "a whole number from 4096", ge=4096
    )
    ws_max_frame_size: int = setting(
        65_536, STREAM, "largest frame a client may send, bytes", "a whole number from 1024", ge=1024
    )
    ws_max_symbols_per_client: int = setting(3000, STREAM, "symbols of one connection", _COUNT, reload=True, ge=1)
    ws_max_connections: int = setting(20_000, STREAM, "connections in all", _COUNT, reload=True, ge=1)
    ws_max_connections_per_user: int = setting(12_000, STREAM, "connections of one user", _COUNT, reload=True, ge=1)
    ws_requests_per_second: float = setting(
        200.0, STREAM, "requests of one connection, lasting rate", _NUMBER, reload=True, gt=0
    )
    ws_request_burst: int = setting(500, STREAM, "requests of one connection at once", _COUNT, reload=True, ge=1)
    ws_auth_failures_per_minute: int = setting(
        10, STREAM, "failed authentications from one address", _COUNT, reload=True, ge=1
    )

    zmq_host: Host = setting("127.0.0.1", BUS, "where publishers connect", _HOST)
    zmq_port: int = setting(5555, BUS, "its port", _PORT, ge=0, le=65535)
    tick_stream: Annotated[str, AfterValidator(checks.endpoint)] = setting(
        "", BUS, "where other processes read every tick; a socket in GATEWAY_HOME when empty",
        "a ZeroMQ endpoint, such as tcp://127.0.0.1:5556 or ipc:///run/ticks.sock (path at most 100 bytes)",
    )  # fmt: skip
    zmq_curve_secret_key_file: Annotated[Path | None, AfterValidator(checks.readable)] = setting(
        None, BUS, "CURVE certificate of the bus (zmq.auth.create_certificates, *.key_secret)", _FILE
    )
    zmq_curve_public_key: str = setting("", BUS, "CURVE public key of the bus", "40 characters of Z85")
    zmq_curve_secret_key: SecretStr = setting(
        SecretStr(""), BUS, "CURVE secret key of the bus", "40 characters of Z85", secret=True
    )

    feeds: Annotated[tuple[str, ...], NoDecode, BeforeValidator(checks.feeds)] = setting(
        "none", FEED, "feeds to run",
        "none, or a comma list of simulated, replay and names of brokers: " + ", ".join(brokers.NAMES),
    )  # fmt: skip
    replay_file: Annotated[Path | None, AfterValidator(checks.readable)] = setting(
        None, FEED, "recording for the replay feed", _FILE
    )
    replay_speed: float = setting(
        1.0, FEED, "1 = as recorded, 10 = ten times as fast, 0 = as fast as possible", "a number from 0", ge=0
    )
    replay_loop: bool = setting(False, FEED, "start over at the end of the recording", _BOOL)
    simulated_rate: float = setting(
        1000.0, FEED, "ticks per second", "a number from 1 to 100000", ge=1, le=100_000
    )  # fmt: skip
    simulated_seed: int = setting(1, FEED, "same seed, same ticks", "a whole number from 0", ge=0, lt=2**63)
    simulated_instruments: int = setting(200, FEED, "how many instruments move", _COUNT, ge=1, le=100_000)
    max_symbols_per_websocket: int | None = setting(
        None, FEED, "lowers a broker's own number of symbols per connection", _COUNT, ge=1
    )
    max_websocket_connections: int | None = setting(
        None, FEED, "lowers a broker's own number of connections", _COUNT, ge=1
    )

    api_host: Host = setting(
        "127.0.0.1", TRADE, "REST, Socket.IO, dashboard (also FLASK_HOST_IP)", _HOST,
        alias=AliasChoices("API_HOST", "FLASK_HOST_IP"),
    )  # fmt: skip
    api_port: int = setting(
        5000, TRADE, "its port (also FLASK_PORT)", _PORT,
        alias=AliasChoices("API_PORT", "FLASK_PORT"), ge=0, le=65535,
    )  # fmt: skip
    api_rate_limit: Rate = setting("50 per second", TRADE, "per key", _RATE, reload=True)
    order_rate_limit: Rate = setting("10 per second", TRADE, "per key", _RATE, reload=True)
    smart_order_rate_limit: Rate = setting("10 per second", TRADE, "per key", _RATE, reload=True)
    cors_allowed_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(checks.origins)] = setting(
        "", TRADE, "origins whose web pages may call the API; localhost on any port when empty",
        "a comma list of origins such as https://app.example, or * for all",
    )  # fmt: skip
    sandbox_starting_capital: float = setting(10_000_000.0, TRADE, "INR", _NUMBER, gt=0)
    sandbox_equity_mis_leverage: float = setting(5.0, TRADE, "margin = value / leverage", _NUMBER, gt=0)
    sandbox_equity_cnc_leverage: float = setting(1.0, TRADE, "margin = value / leverage", _NUMBER, gt=0)
    sandbox_futures_leverage: float = setting(10.0, TRADE, "margin = value / leverage", _NUMBER, gt=0)
    sandbox_option_buy_leverage: float = setting(1.0, TRADE, "margin = value / leverage", _NUMBER, gt=0)
    sandbox_option_sell_leverage: float = setting(1.0, TRADE, "margin = value / leverage", _NUMBER, gt=0)
    sandbox_gtt_oco_margin_mode: Literal["max", "sum"] = setting(
        "max", TRADE, "margin of a two-legged GTT", "max or sum (of the two legs)"
    )
    sandbox_max_price_age_s: float = setting(
        60.0, TRADE, "how old the last arrival of a price may be for an order to enter on it, s", _NUMBER, gt=0
    )
    sandbox_engine_type: Annotated[Literal["websocket", "polling"], BeforeValidator(checks.lower)] = setting(
        "websocket", TRADE, "where paper orders get prices: every tick of the feeds, or quotes asked for every 5 s",
        "websocket or polling",
    )  # fmt: skip
    sandbox_engine_fallback: bool = setting(
        True, TRADE, "ask for quotes while the feeds bring no tick for 30 s and something waits for one", _BOOL
    )
    sandbox_reset_day: Annotated[str, BeforeValidator(checks.weekday)] = setting(
        "never", TRADE, "when capital and books start anew", "never or a weekday, such as sunday"
    )

    order_event_mode: Annotated[Literal["SOCKETIO", "KAFKA", "BOTH"], BeforeValidator(checks.upper)] = setting(
        "SOCKETIO", EVENTS, "where order events go", "SOCKETIO, KAFKA or BOTH"
    )
    socketio_transports: Annotated[tuple[str, ...], NoDecode, BeforeValidator(events.transports)] = setting(
        "polling,websocket", EVENTS, "how Socket.IO clients may connect", "polling, websocket, or both with a comma"
    )
    socketio_public: bool = setting(
        False, EVENTS, "everyone who connects sees every user's events, without a key", _BOOL
    )  # fmt: skip
    socketio_redis_url: Annotated[SecretStr, AfterValidator(events.redis_url)] = setting(
        SecretStr(""), EVENTS, "Redis through which several gateway processes share Socket.IO rooms",
        "a URL such as redis://:password@127.0.0.1:6379/0, rediss://… or unix://…", secret=True,
    )  # fmt: skip

    kafka_bootstrap_servers: Annotated[str, AfterValidator(kafka.servers)] = setting(
        "localhost:9092", KAFKA, "where Kafka's brokers are asked for", "a comma list of host:port"
    )
    kafka_order_events_topic: Annotated[str, AfterValidator(kafka.topic)] = setting(
        "from_openalgo_order_events", KAFKA, "topic of all order events; one for each installation", _TOPIC
    )
    kafka_producer_compression: Annotated[
        Literal["snappy", "none", "gzip", "lz4", "zstd"], BeforeValidator(checks.lower)
    ] = setting("snappy", KAFKA, "how events are compressed", "snappy, none, gzip, lz4 or zstd")
    kafka_producer_batch_size: int = setting(
        65_536, KAFKA, "bytes of a batch before compression; historic 16384 halves the throughput",
        "a whole number from 1024 to 900000", ge=1024, le=900_000,
    )  # fmt: skip
    kafka_producer_linger_ms: int = setting(
        0, KAFKA, "how long a batch waits to be filled, ms; only adds delay, the outbox feeds whole batches",
        "a whole number from 0 to 60000", ge=0, le=60_000,
    )  # fmt: skip
    kafka_producer_request_timeout_ms: int = setting(
        30_000, KAFKA, "how long Kafka may take to acknowledge before a new connection asks what it has, ms",
        "a whole number from 1000 to 600000", ge=1000, le=600_000,
    )  # fmt: skip
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], BeforeValidator(checks.upper)
    ] = setting(
        "PLAINTEXT", KAFKA, "encryption and authentication", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )  # fmt: skip
    kafka_sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], BeforeValidator(checks.upper)
    ] = setting("PLAIN", KAFKA, "how SASL authenticates", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    kafka_sasl_username: str = setting("", KAFKA, "user for SASL", "a user's name")
    kafka_sasl_password: SecretStr = setting(SecretStr(""), KAFKA, "its password", "a password", secret=True)
    kafka_ssl_cafile: Annotated[Path | None, AfterValidator(checks.readable)] = setting(
        None, KAFKA, "who signs the brokers' certificates (PEM); the system's authorities when empty", _FILE
    )
    kafka_ssl_certfile: Annotated[Path | None, AfterValidator(checks.readable)] = setting(
        None, KAFKA, "our certificate chain (PEM), where brokers ask for one", _FILE
    )
    kafka_ssl_keyfile: Annotated[Path | None, AfterValidator(checks.readable)] = setting(
        None, KAFKA, "its private key (PEM), where it is not in the same file", _FILE
    )
    kafka_ssl_key_password: SecretStr = setting(SecretStr(""), KAFKA, "the key's password", "a password", secret=True)
    kafka_inbound: bool = setting(False, KAFKA, "take orders from KAFKA_ESB_EVENTS_TOPIC", _BOOL)
    kafka_esb_events_topic: Annotated[str, AfterValidator(kafka.topic)] = setting(
        "from_esb_order_events", KAFKA, "topic of inbound commands; who may write to it trades for any user", _TOPIC
    )
    kafka_consumer_group: str = setting(
        "openalgo-order-consumer", KAFKA, "consumer group of the inbound topic", "1 to 200 characters",
        min_length=1, max_length=200,
    )  # fmt: skip

    #: names of settings that SIGHUP reads again
    RELOADABLE: ClassVar[frozenset[str]]

    _environment: dict[str, str] = PrivateAttr(default_factory=dict)
    _warnings: tuple[str, ...] = PrivateAttr(default=())
    _clock_offset_ns: int = PrivateAttr(default=0)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each variable that bears one of our prefixes and is not known."""
        return self._warnings

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables the settings were read from: `.env` below the environment."""
        return self._environment

    @property
    def clock_offset_ns(self) -> int:
        """Trading time minus wall-clock time, ns; fixed when the settings were loaded (0 without CLOCK_START)."""
        return self._clock_offset_ns

    def clock(self) -> Callable[[], int]:
        """A function that tells trading time in Unix ns."""
        offset = self._clock_offset_ns
        now = time.time_ns
        return (lambda: now() + offset) if offset else now

    def broker(self, name: str, stored: Mapping[str, str] | None = None) -> FeedConfig:
        """The resolved settings of one feed. `stored` (from the credential store) wins over the environment."""
        return brokers.feed_config(self, name, stored or {})

    def tick_stream_to_bind(self) -> str:
        """Endpoint for the market process; makes the folder of the socket where the default path is too long."""
        from gateway.home import Home

        return self.tick_stream or Home(self.gateway_home).tick_stream_to_bind()

    def tick_stream_to_connect(self) -> str:
        """Endpoint for readers of the tick stream. Raises StartError where no gateway has made one yet."""
        from gateway.home import Home

        return self.tick_stream or Home(self.gateway_home).tick_stream_to_connect()

    def curve(self) -> tuple[bytes, bytes] | None:
        """CURVE public and secret key of the bus (Z85), or None where it is open."""
        return checks.curve_keys(self)


Settings.RELOADABLE = load.reloadable(Settings)


def load_settings(**overrides: Any) -> Settings:
    """Reads and checks all settings; keyword arguments (lower-case names) win over the environment.

    Raises SettingsError with one line for each problem: the variable, what it holds, what it may hold.
    """
    return load.load(Settings, overrides)


def reload_settings(current: Settings) -> Settings:
    """Reads the settings again and returns `current` with what may change without a restart (SIGHUP).

    Raises SettingsError when the new settings are wrong; `current` then stays in force.
    """
    return load.reload(Settings, current)
