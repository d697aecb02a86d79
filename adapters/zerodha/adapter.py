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
from gateway.errors import InstrumentError
from gateway.instruments.load import load_for
from gateway.instruments.table import master_path, read_master
from gateway.model import Instrument
from gateway.ports import TickSink

log = structlog.get_logger(__name__)

IST = timezone(timedelta(hours=5, minutes=30), "IST")
#: after this time of day, IST, the day's masters are out (INSTRUMENTS section 3)
MASTERS_CHANGE = timedelta(hours=8, minutes=30)


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

    async def prepare(self) -> None:
        """Loads today's instrument master, from the settings' file or URL, or from the broker.

        Raises InstrumentError, or TokenRefusedError where the broker refuses the download.
        """
        day = _master_day(time.time())
        listed = await asyncio.to_thread(self._load)
        self._listed, self._day = listed, day
        self.decoder.set_instruments([(row.token, key.exchange, key.symbol) for key, row in listed.items()])

    async def ensure_current(self) -> None:
        """Loads the master anew when the one in use is of another day. Tokens are reused over time, and access
        tokens end each morning, so this is asked before each connection. Raises as `prepare` does.
        """
        async with self._loading:
            if self._day is not None and self._day != _master_day(time.time()):
                await self.prepare()

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
