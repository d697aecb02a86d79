"""The broker Zerodha: its instruments, its limits, and how connections to it are made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from sys import intern
from typing import ClassVar, NamedTuple

import structlog
from gateway_matcher import KiteDecoder

from adapters.base import Adapter, FeedConfig, FeedConnection, Limits
from adapters.zerodha.rest import fetch_quotes
from adapters.zerodha.stream import KiteConnection
from gateway.errors import GatewayError, InstrumentError
from gateway.instruments.load import load_for
from gateway.instruments.table import master_path, read_master
from gateway.model import Instrument
from gateway.ports import TickSink

log = structlog.get_logger(__name__)

IST = timezone(timedelta(hours=5, minutes=30), "IST")
#: after this time of day, IST, the day's masters are out (INSTRUMENTS section 3)
MASTERS_CHANGE = timedelta(hours=8, minutes=30)
#: how long after that an open feed loads the day's master, s: well before the markets open at 09:00
RELOAD_AFTER_S = 300.0
#: how often an open feed looks at the clock, and tries again after a failure, s
LOOK_S = 60.0


class Listed(NamedTuple):
    """How the broker names an instrument."""

    #: `instrument_token`, used by the stream
    token: int
    brexchange: str
    brsymbol: str


class ZerodhaAdapter(Adapter):
    """Kite Connect v3. `config.options["home"]` is GATEWAY_HOME, where the instrument master is kept."""

    name: ClassVar[str] = "zerodha"
    #: KITE section 1 (3000 instruments, 3 connections) and section 5 (5 to 10 s of silence)
    limits: ClassVar[Limits] = Limits(symbols_per_connection=3000, connections=3, silence_s=10.0, batch=200)

    def __init__(self, config: FeedConfig, sink: TickSink, clock_ns: Callable[[], int]) -> None:
        super().__init__(config, sink, clock_ns)
        self.decoder = KiteDecoder()
        #: text frames and odd things on the stream, by kind
        self.counts: dict[str, int] = {"order": 0, "error": 0, "message": 0, "other_text": 0}
        self._listed: dict[Instrument, Listed] = {}
        self._day: date | None = None
        self._loading = asyncio.Lock()
        self._connections: set[KiteConnection] = set()
        self._keeper: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Loads today's instrument master, from the settings' file or URL, or from the broker.

        Raises InstrumentError, or TokenRefusedError where the broker refuses the download.
        """
        day = _master_day(time.time())
        listed = await asyncio.to_thread(self._load)
        self._listed, self._day = listed, day
        self.decoder.set_instruments([(row.token, key.exchange, key.symbol) for key, row in listed.items()])
        # in the same turn of the loop: no frame is decoded in between
        for connection in list(self._connections):
            connection.on_new_master()

    async def ensure_current(self) -> None:
        """Loads the master anew when the one in use is of another day. Tokens are reused over time, and access
        tokens end each morning, so this is asked before each connection. Raises as `prepare` does.
        """
        async with self._loading:
            if self._day is not None and self._day != _master_day(time.time()):
                await self.prepare()

    def opened(self, connection: KiteConnection) -> None:
        """A connection is up; while one is, the master is kept current."""
        self._connections.add(connection)
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep_current(), name="zerodha-master")

    def gone(self, connection: KiteConnection) -> None:
        """A connection is down."""
        self._connections.discard(connection)
        if not self._connections and self._keeper is not None:
            self._keeper.cancel()
            self._keeper = None

    async def _keep_current(self) -> None:
        """Loads each new day's master a little after it is out; until that succeeds the old one serves."""
        while True:
            await asyncio.sleep(min(LOOK_S, seconds_to_reload(time.time(), self._day)) or LOOK_S)
            if seconds_to_reload(time.time(), self._day):
                continue
            try:
                await self.ensure_current()
            except Exception as error:
                reason = str(error) if isinstance(error, GatewayError) else type(error).__name__
                log.warning("the day's instruments cannot be loaded", broker=self.name, reason=reason, retry_s=LOOK_S)

    def knows(self, instrument: Instrument) -> bool:
        """True where the master lists the instrument."""
        return instrument in self._listed

    def listed(self, instrument: Instrument) -> Listed | None:
        """The broker's names of an instrument."""
        return self._listed.get(instrument)

    def open(self, on_closed: Callable[[Exception | None], None]) -> FeedConnection:
        """A connection to the stream; credentials are read when it connects."""
        return KiteConnection(self, on_closed)

    async def quotes(self, instruments: Iterable[Instrument]) -> dict[Instrument, bytes]:
        """Quotes over REST; instruments the broker does not list or does not answer for are absent.

        Raises TokenRefusedError or FeedError.
        """
        names = {
            f"{row.brexchange}:{row.brsymbol}": instrument
            for instrument in instruments
            if (row := self._listed.get(instrument)) is not None
        }
        return await fetch_quotes(self.config, names, self.clock_ns() // 1_000_000)

    def counters(self) -> Mapping[str, int]:
        """What the decoder and the text frames counted, for metrics."""
        return {**self.decoder.counters(), **{f"text_{kind}": count for kind, count in self.counts.items()}}

    def _load(self) -> dict[Instrument, Listed]:
        home = Path(self.config.options["home"])
        path = master_path(home, self.name)
        # tokens are reused over time: a master of another day is worse than none (INSTRUMENTS section 3)
        if self.config.instruments or not _of_today(path):
            result = load_for(self.config, None, home)
            log.info(
                "instruments loaded", broker=self.name, rows=result.loaded, skipped=result.skipped,
                duplicates=result.duplicates, first_warnings=result.warnings[:3],
            )  # fmt: skip
        return {
            Instrument(intern(row.exchange), row.symbol): Listed(int(row.token), intern(row.brexchange), row.brsymbol)
            for row in read_master(path)
        }


def seconds_to_reload(now_s: float, loaded: date | None) -> float:
    """How long until an open feed must load a new master, at Unix time `now_s`; 0 once that is due.

    `loaded` is the day of the master in use. The moment is 08:35 IST of the next day.
    """
    if loaded is None:
        return LOOK_S
    midnight = datetime.combine(loaded + timedelta(days=1), datetime.min.time(), IST)
    due = (midnight + MASTERS_CHANGE).timestamp() + RELOAD_AFTER_S
    return max(0.0, due - now_s)


def _of_today(path: Path) -> bool:
    """True where the file was written since the masters changed last."""
    try:
        written = path.stat().st_mtime
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InstrumentError(f"{path} cannot be read: {error.strerror}") from None
    return _master_day(written) == _master_day(time.time())


def _master_day(seconds: float) -> date:
    """The day whose master is in force at a Unix time. Real time: tokens do not follow CLOCK_START."""
    return (datetime.fromtimestamp(seconds, IST) - MASTERS_CHANGE).date()
