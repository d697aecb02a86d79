"""The trade process: puts its parts together, runs them, and stops them in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import structlog
import uvloop
import zmq
from gateway_matcher import Matcher

from gateway import log as gateway_log
from gateway import order_events
from gateway.api.app import create_app
from gateway.api.keys import Keys
from gateway.api.metrics import ApiMetrics
from gateway.api.server import ApiServer, listening_socket, server_config
from gateway.children import report_ready
from gateway.config import Settings, reload_settings
from gateway.errors import GatewayError, SettingsError, StartError
from gateway.home import Home
from gateway.instruments.record import InstrumentRecord
from gateway.log import limited
from gateway.model import Instrument
from gateway.store.engine import make_engine
from gateway.store.feeds import feed_configs
from gateway.store.keys import KeyStore
from gateway.tools.stream import Place
from gateway.trade import books
from gateway.trade.core import calendar
from gateway.trade.core.calendar import IST
from gateway.trade.core.ledger import Rules
from gateway.trade.core.margin import LeverageModel
from gateway.trade.days import Days
from gateway.trade.desk import Desk
from gateway.trade.fallback import Fallback
from gateway.trade.health import Health
from gateway.trade.ids import Ids
from gateway.trade.listener import Listener
from gateway.trade.market_data import MarketData, Priority
from gateway.trade.marks import Marks
from gateway.trade.masters import Masters
from gateway.trade.matching import Matching
from gateway.trade.metrics import TradeCollector, exposition, readings
from gateway.trade.queries import Queries
from gateway.trade.quoting import quote_sources
from gateway.trade.service import Service
from gateway.trade.stream import StreamReader
from gateway.trade.updates import UpdatePublisher
from gateway.trade.upkeep import Upkeep
from gateway.trade.writer import Writer
from publishers.cursors import Outbox
from publishers.factory import make_publishers
from publishers.relays import Relays
from publishers.sio_engine import CuttingProtocol
from publishers.socketio import SocketIoPublisher

log = structlog.get_logger(__name__)

_S: Final = 1_000_000_000
#: how often the calendar is looked at, s
_DAY_LOOK_S: Final = 1.0
#: how long the writer may take for what is queued at a stop, s
_LAST_COMMITS_S: Final = 1.5
#: how long the last updates may take to leave, ms
_LINGER_MS: Final = 500
_PORT_WAIT_S: Final = 3.0


def run(settings: Settings) -> int:
    """Runs the trade process until SIGTERM or SIGINT; returns the exit code."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return uvloop.run(TradeApp(settings).run())


def margin_model(settings: Settings) -> LeverageModel:
    """The leverages that the settings name."""
    return LeverageModel(
        equity_mis=_exact(settings.sandbox_equity_mis_leverage),
        equity_cnc=_exact(settings.sandbox_equity_cnc_leverage),
        futures=_exact(settings.sandbox_futures_leverage),
        option_buy=_exact(settings.sandbox_option_buy_leverage),
        option_sell=_exact(settings.sandbox_option_sell_leverage),
    )


def _exact(value: float) -> Decimal:
    """The decimal that was written, not the binary number it became."""
    return Decimal(str(value))


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class TradeApp:
    """All parts of the process. `run` is the only entry."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._clock_ns = settings.clock()
        self._stopping: asyncio.Event | None = None
        self._ends = AsyncExitStack()
        self._code = 0

    def now(self) -> datetime:
        """Trading time, to the microsecond."""
        seconds, rest = divmod(self._clock_ns(), _S)
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=rest // 1000)

    async def run(self) -> int:
        """Starts everything, waits for a signal, stops everything."""
        self._stopping = asyncio.Event()
        # what is made registers how it ends; the last made ends first
        async with AsyncExitStack() as self._ends:
            try:
                self._compose()
                url = await self._start()
            except GatewayError as error:
                log.error(str(error))
                return 1
            self._signals()
            # Everything made so far stays: the collector need not walk it while orders wait.
            gc.collect()
            gc.freeze()
            report_ready(api=url)
            await self._stopping.wait()
        return self._code

    def _compose(self) -> None:
        settings, ends = self.settings, self._ends
        self.home = Home(settings.gateway_home)
        self.calendar = calendar.parse(self._calendars())
        self.engine = make_engine(settings.database_url)
        ends.callback(self.engine.dispose)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        ends.callback(self.context.destroy, linger=_LINGER_MS)
        self.matcher = Matcher()
        self.health = Health(time.time_ns())
        self.prices = MarketData(self.matcher, settings.sandbox_max_price_age_s, self._paused)
        curve = settings.curve()
        bus = f"tcp://{reachable(settings.zmq_host)}:{settings.zmq_port}"
        self.updates = UpdatePublisher(self.context, bus, curve[0] if curve else None)
        ends.callback(self.updates.stop)
        self.queries = Queries(self.engine)
        ends.callback(self.queries.stop)
        store = self.store = KeyStore(self.engine, self.home.key_secret())
        self.keys = Keys(store.verify)
        ends.callback(self.keys.close)
        outbox = Outbox(self.engine)
        self.publishers = make_publishers(
            settings,
            {"socketio": lambda: SocketIoPublisher(settings, self.keys.look_up, outbox.missed, store.revoked_since)},
        )
        self.relays = Relays(outbox, self.publishers, self.now)
        self.writer = Writer(self.engine, asyncio.get_running_loop(), on_commit=self.relays.wake)
        self.listener = Listener(self.prices, self.health, self.queries, self.updates)
        self.listener.invalidate = lambda _user_id, _cache_type: self.keys.forget()
        self.stream = StreamReader(lambda: Place.of(settings), self.listener)
        self.masters = Masters(settings.gateway_home, self._own_records, settings.feeds, lenient=not settings.feeds)

    def _calendars(self) -> list[str]:
        """The calendar that comes with the gateway, and the operator's own additions to it."""
        own = self.settings.gateway_home / "calendar.toml"
        return [calendar.builtin_text(), *([own.read_text("utf-8")] if own.exists() else [])]

    def _own_records(self) -> Iterable[InstrumentRecord]:
        if "simulated" not in self.settings.feeds:
            return ()
        from adapters.simulated.records import records

        return records(self.settings.simulated_instruments, self.now().astimezone(IST).date())

    async def _start(self) -> str:
        settings = self.settings
        await asyncio.to_thread(self.masters.load)
        await asyncio.to_thread(self.writer.start)
        self.relays.start()
        self._ends.push_async_callback(self.relays.stop)
        self._ends.push_async_callback(self._last_commits)
        today = self.calendar.trading_day(self.now())
        stored, newest, prices = await asyncio.to_thread(self._read, self.calendar.day_begin(today))
        self._make_desk(newest, prices)
        self.desk.load(stored)
        self.fallback = Fallback(
            await asyncio.to_thread(self._sources),
            self.health,
            self._needed,
            self.prices.on_ticks,
            engine_type=settings.sandbox_engine_type,
            fallback=settings.sandbox_engine_fallback,
            credentials=feed_configs(settings, self.engine, self.home),
        )
        self.service = Service(self.desk, self.prices, self.masters, self.queries, self.fallback)
        await self.days.run(self.now())
        self.stream.start(self.context)
        self._ends.callback(self.stream.stop)
        self.prices.connect(self.stream)
        self.fallback.start()
        self._ends.push_async_callback(self.fallback.stop)
        upkeep = Upkeep(self.engine, self.masters, self.writer, self.desk, self.prices, self.now)
        if settings.kafka_inbound:
            await self._take_commands(upkeep)
        self._ends.callback(upkeep.save)
        for work in (self._each_second(), upkeep.run()):
            self._ends.push_async_callback(_ended, asyncio.create_task(work))
        return await self._serve()

    async def _take_commands(self, upkeep: Upkeep) -> None:
        """Orders of another system, from Kafka."""
        # its libraries are loaded where they are used
        from publishers.inbound import Inbound

        async def known(user_id: str) -> bool:
            return await self.queries.run(lambda: self.store.knows(user_id))

        async def reject(user_id: str, endpoint: str, fields: Mapping[str, Any], reason: str) -> None:
            response = {"status": "error", "message": reason}
            await upkeep.tell(user_id, [order_events.analyzer_update(fields, response, endpoint)])

        self.inbound = Inbound(self.settings, self.service, known, reject)
        await self.inbound.start()
        self._ends.push_async_callback(self.inbound.stop)

    async def _last_commits(self) -> None:
        if not await asyncio.to_thread(self.writer.stop, _LAST_COMMITS_S):
            log.error("the database did not take the last changes in time; they were not acknowledged")
        # their outcomes are told before the sockets close
        await asyncio.sleep(0)

    def _read(self, begin: datetime) -> tuple[list[Any], int, dict[Instrument, Decimal]]:
        return books.load_users(self.engine, begin), books.newest_id(self.engine), books.last_prices(self.engine)

    def _sources(self) -> list[Any]:
        config_of = feed_configs(self.settings, self.engine, self.home)
        return quote_sources(self.settings.feeds, config_of, self._clock_ns)

    def _make_desk(self, newest: int, stored: Mapping[Instrument, Decimal]) -> None:
        settings = self.settings
        rules = Rules(
            self.calendar,
            margin_model(settings),
            _exact(settings.sandbox_starting_capital),
            settings.sandbox_gtt_oco_margin_mode,
        )
        max_age_ns = int(settings.sandbox_max_price_age_s * _S)
        matching = Matching(self.matcher, time.time_ns, max_age_ns)
        self.desk = Desk(matching, self.writer, self.prices, self.masters, rules, Ids(newest), self.now, self.updates)
        self.days = Days(self.desk, self.calendar, self.prices, stored, settings.sandbox_reset_day)
        self.marks = Marks(
            self.updates, self.desk.positions_of, self.desk.seq_of, self.prices.last,
            lambda: self.calendar.trading_day(self.now()), settings.message_throttle_ms / 1000,
        )  # fmt: skip
        self._ends.callback(self.marks.stop)
        self.prices.subscribe(Priority.CRITICAL, self.desk.on_ticks)
        self.prices.subscribe(Priority.HIGH, lambda ticks: self.marks.on_ticks(self.prices.instruments_of(ticks)))

    async def _serve(self) -> str:
        settings = self.settings
        counts, ready = ApiMetrics(), {"feed": self._feed_ready, "database": self._database_ready}
        self.api = create_app(
            self.service,
            self.keys.look_up,
            settings,
            ready={**ready, "publisher": self.relays.ready},
            metrics=exposition([TradeCollector(readings(self))], counts.registry, self.relays.registry),
            websocket_url=lambda: websocket_url(settings),
            counts=counts,
        )
        served: Any = self.api
        for publisher in self.publishers:
            if isinstance(publisher, SocketIoPublisher):
                served = publisher.wrap(served)
        server = ApiServer(server_config(served, CuttingProtocol))
        url = await server.start(await self._socket())
        self._ends.push_async_callback(server.stop)
        return url

    async def _socket(self) -> socket.socket:
        """The API's socket; a predecessor that is still dying may hold its port for a moment."""
        deadline = time.monotonic() + _PORT_WAIT_S
        while True:
            try:
                return listening_socket(self.settings.api_host, self.settings.api_port)
            except StartError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)

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
        except SettingsError as error:
            log.error("settings were not taken over", reason=str(error))
            return
        gateway_log.set_level(self.settings.log_level)
        self.api.state.rates.set(self.settings)
        log.info("settings were read again")

    # -- states

    def _paused(self) -> bool:
        """Stale prices; polled ones are as good as a feed's."""
        return self.health.stale(time.time_ns()) and not self.fallback.polling

    def _needed(self) -> list[Instrument]:
        """What fallback polling asks for: everything with an order or a position, while its exchange trades."""
        now = self.now()
        is_open = {exchange: trades(self.calendar, exchange, now) for exchange in self.calendar.hours}
        return [one for one in self.desk.holds.instruments if is_open.get(one.exchange, True)]

    def _feed_ready(self) -> bool:
        now = time.time_ns()
        return not self.health.silent(now) and not self._paused()

    def _database_ready(self) -> bool:
        return not self.writer.superseded and self.writer.healthy

    # -- what is done again and again

    async def _each_second(self) -> None:
        while True:
            await asyncio.sleep(_DAY_LOOK_S)
            self.health.wants(bool(self.prices.held), time.time_ns())
            self.prices.let_go()
            if self.writer.superseded:
                log.error("another trade process has taken over this database; this one ends")
                self._code = 1
                assert self._stopping is not None
                self._stopping.set()
            try:
                await self.days.run(self.now())
            except Exception:
                limited(log, "days").exception("the calendar could not be followed")


def reachable(host: str) -> str:
    """An address to connect to, of one that is listened on."""
    wild = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - recognised, not bound
    return wild.get(host, f"[{host}]" if ":" in host else host)


def websocket_url(settings: Settings) -> str:
    """Where browsers find the WebSocket server of the same machine."""
    scheme = "wss" if settings.ws_tls_cert else "ws"
    return f"{scheme}://{reachable(settings.websocket_host)}:{settings.websocket_port}"


def trades(days: calendar.Calendar, exchange: str, now: datetime) -> bool:
    """Whether an exchange is open."""
    if days.always_open(exchange):
        return True
    session = days.session(exchange, now.astimezone(IST).date())
    return session is not None and session.open <= now <= session.close
