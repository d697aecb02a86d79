"""The market process: puts its parts together, runs them, and stops them in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import time
from collections.abc import Sequence
from typing import Any, Final

import structlog
import uvloop
import zmq
from gateway_matcher import Engine

from adapters.registry import create_pool
from gateway import closes
from gateway import log as gateway_log
from gateway.children import report_ready
from gateway.config import Settings, reload_settings
from gateway.errors import SettingsError, StartError
from gateway.home import Home
from gateway.market.bus import TickBus
from gateway.market.feeds import FeedManager, TrackedSink
from gateway.market.keys import Keys
from gateway.market.metrics import MarketCollector, exposition
from gateway.market.pages import Pages
from gateway.market.slices import ask_for_short_slices
from gateway.market.tick_stream import TickStream
from gateway.model import FeedStatus
from gateway.store.changes import change_detector
from gateway.store.engine import make_engine
from gateway.store.feeds import feed_configs
from gateway.store.keys import KeyStore
from gateway.stream.hub import Hub
from gateway.stream.server import ServerConfig, StreamServer, listening_socket
from gateway.stream.session import Rules
from gateway.stream.sweep import Patience, Sweep
from gateway.stream.throttle import AuthThrottle

log = structlog.get_logger(__name__)

#: Readers get this long to say goodbye, s; the whole stop takes at most 5.
_GOODBYE_S: Final = 2.5
#: How long a start waits for the port of a predecessor that is still dying, s.
_PORT_WAIT_S: Final = 3.0
_S: Final = 1_000_000_000


class EngineSink:
    """The way of a feed in this process: straight into the engine, then out to the readers in the same turn."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._hub: Hub | None = None
        self._stream: TickStream | None = None

    def connect(self, hub: Hub, stream: TickStream) -> None:
        """Names who is served after each publish."""
        self._hub, self._stream = hub, stream

    def publish(self, ticks: Sequence[tuple[bytes, bytes]], feed: str) -> None:
        """See TickSink."""
        self._engine.publish_ticks(ticks, feed)
        self.pump()

    def pump(self) -> None:
        """Writes what is due to readers, then looks after the tick stream's socket."""
        assert self._hub is not None
        assert self._stream is not None
        self._hub.pump()
        if self._engine.take_published():
            self._stream.poke()


def run(settings: Settings) -> int:
    """Runs the market process until SIGTERM or SIGINT; returns the exit code."""
    raise_file_limit()
    # before any thread is made: they inherit it
    ask_for_short_slices()
    logging.getLogger("picows").setLevel(logging.WARNING)
    return uvloop.run(MarketApp(settings).run())


def raise_file_limit() -> None:
    """Raises the soft limit of open files to the hard one: each reader takes one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def rules_of(settings: Settings) -> Rules:
    """What the settings say of one client's limits."""
    return Rules(
        default_window_ms=settings.message_throttle_ms,
        symbols_per_client=settings.ws_max_symbols_per_client,
        requests_per_second=settings.ws_requests_per_second,
        burst=settings.ws_request_burst,
    )


def patience_of(settings: Settings) -> Patience:
    """What the settings say of waiting."""
    return Patience(
        auth_ns=int(settings.ws_auth_grace_seconds * _S),
        ping_interval_ns=int(settings.ws_ping_interval * _S),
        ping_timeout_ns=int(settings.ws_ping_timeout * _S),
        slow_ns=int(settings.ws_slow_consumer_seconds * _S),
    )


def server_config(settings: Settings) -> ServerConfig:
    """What the settings say of the listening side."""
    return ServerConfig(
        host=settings.websocket_host,
        port=settings.websocket_port,
        send_buffer=settings.ws_send_buffer,
        high_water=settings.ws_high_water_bytes,
        max_frame=settings.ws_max_frame_size,
        max_connections=settings.ws_max_connections,
        tls_cert=str(settings.ws_tls_cert or ""),
        tls_key=str(settings.ws_tls_key or ""),
    )


class MarketApp:
    """All parts of the process. `run` is the only entry."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._clock_ns = settings.clock()
        self._stopping: asyncio.Event | None = None

    async def run(self) -> int:
        """Starts everything, waits for a signal, stops everything."""
        self._stopping = asyncio.Event()
        self._compose()
        try:
            await self._start()
        except StartError as error:
            log.error(str(error))
            await self._stop(closes.SERVICE_RESTART)
            return 1
        self._signals()
        # Everything made so far stays: the collector need not walk it while prices wait.
        gc.collect()
        gc.freeze()
        report_ready(ws=self.server.url, zmq=self.bus_address)
        await self._stopping.wait()
        await self._stop(closes.GOING_AWAY)
        return 0

    def _compose(self) -> None:
        settings = self.settings
        self.broker = settings.feeds[0] if settings.feeds else "bus"
        self.engine = Engine(self.broker, symbols_per_reader=settings.ws_max_symbols_per_client)
        self.sink = EngineSink(self.engine)
        home = Home(settings.gateway_home)
        self.database = make_engine(settings.database_url)
        tracked = TrackedSink(self.sink, self._clock_ns)
        config_of = feed_configs(settings, self.database, home)
        self.feeds = FeedManager(
            [create_pool(config_of(name), tracked, self._clock_ns) for name in settings.feeds],
            tracked,
            clock_ns=self._clock_ns,
            known_on_bus=lambda instrument: self.engine.known(*instrument),
            credentials=config_of,
        )
        store = KeyStore(self.database, home.key_secret())
        self.keys = Keys(store, store.last_revocation(), self._on_revoked, change_detector(settings.database_url))
        self.hub = Hub(
            self.engine,
            self.feeds,
            self.keys.look_up,
            rules=rules_of(settings),
            broker=self.broker,
            throttle=AuthThrottle(settings.ws_auth_failures_per_minute),
            max_per_user=settings.ws_max_connections_per_user,
            hard_limit=max(8 << 20, 4 * settings.ws_high_water_bytes),
            now_ms=self._now_ms,
        )
        self.feeds.on_status = self.hub.tell_feed_state
        self.stream = TickStream(self.engine, self.feeds, self._now_ms)
        self.hub.orders.ask = self.stream.ask_orders
        self.sink.connect(self.hub, self.stream)
        self.bus = TickBus(self.engine, self.sink.pump, self.hub.relay_order, self._on_invalidate)
        self.sweep = Sweep(self.hub, patience_of(settings))
        collector = MarketCollector(self.engine, self.hub, self._statuses)
        pages = Pages(exposition([collector]), self._statuses, lambda: self.keys.healthy, settings.metrics_public)
        self.server = StreamServer(self.hub, server_config(settings), pages)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()

    async def _start(self) -> None:
        settings, curve = self.settings, self.settings.curve()
        self.stream.start(self.context, settings.tick_stream_to_bind(), curve)
        endpoint = f"tcp://{settings.zmq_host}:{settings.zmq_port}"
        self.bus_address = await _patiently(lambda: self.bus.start(self.context, endpoint, curve))
        await self.feeds.start()
        self.keys.start()
        self.sweep.start()
        host, port = settings.websocket_host, settings.websocket_port
        await self.server.start(await _patiently(lambda: listening_socket(host, port, settings.ws_send_buffer)))

    async def _stop(self, close: closes.Close) -> None:
        self.sweep.stop()
        await self.server.stop(close, _GOODBYE_S)
        self.bus.stop()
        await self.feeds.stop()
        self.stream.stop()
        await self.keys.stop()
        self.context.destroy(linger=0)
        self.database.dispose()

    def _signals(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._stopping is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        """Takes over the settings that may change without a restart."""
        try:
            self.settings = reload_settings(self.settings)
            self.server.config = server_config(self.settings)
            self.server.reload_tls()
        except (SettingsError, StartError, OSError) as error:
            log.error("settings were not taken over", reason=str(error))
            return
        gateway_log.set_level(self.settings.log_level)
        self.sweep.patience = patience_of(self.settings)
        self.hub.set_rules(rules_of(self.settings))
        self.hub.max_per_user = self.settings.ws_max_connections_per_user
        self.hub.throttle.per_minute = self.settings.ws_auth_failures_per_minute
        log.info("settings were read again")

    def _now_ms(self) -> int:
        return self._clock_ns() // 1_000_000

    def _statuses(self) -> list[FeedStatus]:
        return self.feeds.statuses(self._now_ms())

    def _on_revoked(self, key_ids: list[int]) -> None:
        self.hub.end_keys(key_ids)

    def _on_invalidate(self, user_id: str, cache_type: str) -> None:
        self.feeds.invalidate(user_id, cache_type)
        self.stream.pass_on_invalidate(user_id, cache_type)


async def _patiently(bind: Any) -> Any:
    """Calls `bind` again while a predecessor may still hold the address, then lets its StartError go."""
    deadline = time.monotonic() + _PORT_WAIT_S
    while True:
        try:
            return bind()
        except StartError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
