"""The replay feed: a recording at a chosen speed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import structlog

from adapters.base import Adapter, FeedConfig, FeedConnection, FeedEndedError, Limits
from gateway.errors import FeedError
from gateway.model import Instrument, Want
from gateway.ports import TickSink
from gateway.tools.recording import Record, RecordingError, read
from gateway.tools.stream import instrument

log = structlog.get_logger(__name__)

#: records read from the file in one go, in a worker thread
CHUNK = 4096
#: ticks published in one turn of the loop
BURST = 256
#: a silence in the recording that is worth a log line, s
LONG_SILENCE_S = 60.0


class ReplayAdapter(Adapter):
    """Options: `file`, `speed` (1 as recorded, 0 as fast as possible), `loop` (start over at the end).

    The recording starts with the first subscription. Each tick goes out in the mode it was recorded in
    (modes nest) where its instrument is subscribed. At the end the feed is disconnected and stays so.
    """

    name = "replay"
    limits = Limits(symbols_per_connection=100_000, connections=1, silence_s=float("inf"), batch=5_000)
    needs_credentials = False

    def __init__(self, config: FeedConfig, sink: TickSink, clock_ns: Callable[[], int]) -> None:
        super().__init__(config, sink, clock_ns)
        #: topic -> instrument, for all topics of the file
        self.topics: dict[bytes, Instrument] = {}
        self.instruments: frozenset[Instrument] = frozenset()

    @property
    def file(self) -> Path:
        """The recording. Raises FeedError where none is set."""
        file = self.config.options.get("file")
        if not file:
            raise FeedError("REPLAY_FILE is empty; it may hold the path of a recording made by `gateway record`")
        return Path(file)

    @property
    def speed(self) -> float:
        """How many times faster than recorded; 0 for as fast as possible."""
        return float(self.config.options.get("speed", 1.0))

    async def prepare(self) -> None:
        """Looks through the file for its instruments. Raises FeedError where there is none or it is none."""
        file = self.file
        if self.speed < 0:
            raise FeedError(f"REPLAY_SPEED is {self.speed:g}; it may be 0 (as fast as possible) or more")
        try:
            self.topics = await asyncio.to_thread(_topics, file)
        except RecordingError as error:
            raise FeedError(str(error)) from None
        except OSError as error:
            raise FeedError(f"REPLAY_FILE {file} cannot be read: {error.strerror}") from None
        self.instruments = frozenset(self.topics.values())

    def knows(self, instrument: Instrument) -> bool:
        """True where the recording holds a tick of the instrument."""
        return instrument in self.instruments

    def open(self, on_closed: Callable[[Exception | None], None]) -> FeedConnection:
        """A player at the beginning of the recording."""
        return ReplayConnection(self, on_closed)


class ReplayConnection(FeedConnection):
    """Plays the file once, or over and over."""

    def __init__(self, adapter: ReplayAdapter, on_closed: Callable[[Exception | None], None]) -> None:
        self._adapter = adapter
        self._on_closed = on_closed
        self._subscribed: set[Instrument] = set()
        self._player: asyncio.Task[None] | None = None
        self._published = 0

    async def connect(self) -> None:
        """Nothing to open: the file was looked through before."""
        self.last_frame_ns = time.monotonic_ns()

    async def subscribe(self, wants: Sequence[Want]) -> None:
        """Publishes these from now on; the first call starts the recording."""
        self._subscribed.update(want.instrument for want in wants)
        if self._player is None:
            self._player = asyncio.create_task(self._play(), name="replay")

    async def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        """Publishes these no more; the recording runs on."""
        self._subscribed.difference_update(instruments)

    async def close(self) -> None:
        """Stops the recording."""
        player, self._player = self._player, None
        if player is not None:
            player.cancel()
            await asyncio.gather(player, return_exceptions=True)

    async def _play(self) -> None:
        try:
            again = True
            while again:
                await self._play_once()
                again = bool(self._adapter.config.options.get("loop"))
            self._end(FeedEndedError(f"{self._adapter.file} is at its end, {self._published} ticks published"))
        except (OSError, RecordingError) as error:
            self._end(FeedError(f"{self._adapter.file} cannot be read: {error}"))

    def _end(self, error: FeedError) -> None:
        self._player = None
        self._on_closed(error)

    async def _play_once(self) -> None:
        loop = asyncio.get_running_loop()
        records = read(self._adapter.file)
        began, first_ns = loop.time(), -1
        chunk = await asyncio.to_thread(_take, records)
        while chunk:
            following = asyncio.create_task(asyncio.to_thread(_take, records))
            if first_ns < 0:
                first_ns = chunk[0].arrival_ns
            try:
                await self._play_chunk(chunk, began, first_ns)
                chunk = await following
            finally:
                following.cancel()

    async def _play_chunk(self, chunk: list[Record], began: float, first_ns: int) -> None:
        """Publishes a chunk on the recording's own schedule: what is late goes out at once, in bursts."""
        loop, speed = asyncio.get_running_loop(), self._adapter.speed
        at = 0
        while at < len(chunk):
            due = _due(chunk[at], began, first_ns, speed)
            wait = due - loop.time()
            if wait > LONG_SILENCE_S:
                log.info("nothing was recorded for a while", next_tick_in_s=round(wait))
            await asyncio.sleep(max(0.0, wait))
            now = max(loop.time(), due)
            burst = at
            while burst < min(len(chunk), at + BURST) and _due(chunk[burst], began, first_ns, speed) <= now:
                burst += 1
            self._publish(chunk[at:burst])
            at = burst

    def _publish(self, records: list[Record]) -> None:
        self.last_frame_ns = time.monotonic_ns()
        topics, subscribed = self._adapter.topics, self._subscribed
        ticks = [(record.topic, record.payload) for record in records if topics.get(record.topic) in subscribed]
        if ticks:
            self._published += len(ticks)
            self._adapter.sink.publish(ticks, self._adapter.name)


def _due(record: Record, began: float, first_ns: int, speed: float) -> float:
    return began + (record.arrival_ns - first_ns) / 1e9 / speed if speed else began


def _take(records: Iterator[Record]) -> list[Record]:
    return list(islice(records, CHUNK))


def _topics(file: Path) -> dict[bytes, Instrument]:
    found: dict[bytes, Instrument | None] = {}
    for record in read(file):
        if record.topic not in found:
            found[record.topic] = instrument(record.topic)
    return {topic: known for topic, known in found.items() if known is not None}
