"""`gateway watch NSE:SBIN …`: a live table from the tick stream. What is watched is wanted from the feeds."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import zmq
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway.model import Instrument, Mode
from gateway.tools import stream

#: the market process says `_health` every second; after this long without it, s, nobody is there
SILENCE_S = 3.0
#: after this long without a quote a symbol is asked for in LTP too, s
FALLBACK_S = 2.0
#: time between two looks of the table, s
REFRESH_S = 0.2
#: messages that may wait in the socket
RECEIVE_MARK = 10_000
_HEALTH = b"_health"
_COLUMNS = ("Symbol", "LTP", "Change %", "Bid", "Ask", "Volume", "Age")


@dataclass(slots=True)
class Row:
    """One watched instrument."""

    instrument: Instrument
    values: dict[str, Any] = field(default_factory=dict)
    #: Unix ns of the newest tick; 0 before the first
    arrival_ns: int = 0

    @property
    def change_percent(self) -> float | None:
        """As the feed says it, else from the previous close."""
        said, ltp, close = (self.values.get(key) for key in ("change_percent", "ltp", "close"))
        if isinstance(said, int | float):
            return float(said)
        if isinstance(ltp, int | float) and isinstance(close, int | float) and close:
            return (ltp - close) / close * 100
        return None


class Board:
    """What the table shows; knows no socket and no clock."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self.rows = {instrument: Row(instrument) for instrument in instruments}
        self._by_topic = {i.topic(mode): row for i, row in self.rows.items() for mode in Mode}

    def update(self, tick: stream.Tick) -> None:
        """Takes a tick; one that is older than what is shown, or is no JSON object, changes nothing."""
        row = self._by_topic.get(tick.topic)
        if row is None or tick.arrival_ns < row.arrival_ns:
            return
        try:
            values = orjson.loads(tick.payload)
        except orjson.JSONDecodeError:
            return
        if isinstance(values, dict):
            row.values.update(values)
            row.arrival_ns = tick.arrival_ns

    def silent(self) -> list[Instrument]:
        """Instruments without any tick so far."""
        return [row.instrument for row in self.rows.values() if not row.arrival_ns]

    def table(self, now_ns: int, caption: str = "") -> Table:
        """The table as of `now_ns`."""
        table = Table(*_COLUMNS, caption=caption or None)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in self.rows.values():
            table.add_row(*_cells(row, now_ns))
        return table


def _cells(row: Row, now_ns: int) -> list[Text]:
    change = row.change_percent
    style = "" if not change else "green" if change > 0 else "red"
    return [
        Text(f"{row.instrument.exchange}:{row.instrument.symbol}"),
        Text(_price(row.values.get("ltp")), style),
        Text("-" if change is None else f"{change:+.2f}", style),
        Text(_price(row.values.get("bid"))),
        Text(_price(row.values.get("ask"))),
        Text(_whole(row.values.get("volume"))),
        Text(_age(row.arrival_ns, now_ns)),
    ]


def _price(value: object) -> str:
    if not isinstance(value, int | float):
        return "-"
    # Currencies have four decimals, everything else two.
    return f"{value:,.2f}" if round(value, 2) == value else f"{value:,.4f}"


def _whole(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else "-"


def _age(arrival_ns: int, now_ns: int) -> str:
    if not arrival_ns:
        return "no tick"
    seconds = max(0.0, (now_ns - arrival_ns) / 1e9)
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min"


class Watcher:
    """Reads the stream into a board and draws it."""

    def __init__(self, board: Board, socket: zmq.Socket[bytes]) -> None:
        self._board = board
        self._socket = socket
        self._heard = self._began = time.monotonic()
        self._answered = False
        self._fallen_back = False
        socket.setsockopt(zmq.SUBSCRIBE, _HEALTH)
        self._subscribe(board.rows, Mode.QUOTE)

    def run(self, console: Console, seconds: float | None) -> bool:
        """Draws until interrupted, or for `seconds`. False where no gateway ever answered."""
        with Live(self._look(), console=console, auto_refresh=False, transient=False) as live:
            while seconds is None or time.monotonic() - self._began < seconds:
                self._read(REFRESH_S)
                live.update(self._look(), refresh=True)
                if not self._answered and time.monotonic() - self._began > SILENCE_S:
                    return False
                if not self._fallen_back and time.monotonic() - self._began > FALLBACK_S:
                    self._fallen_back = True
                    self._subscribe(self._board.silent(), Mode.LTP)
        return self._answered

    def _subscribe(self, instruments: Iterable[Instrument], mode: Mode) -> None:
        for instrument in instruments:
            self._socket.setsockopt(zmq.SUBSCRIBE, instrument.topic(mode))

    def _read(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._socket.poll(int(left * 1000) + 1):
            frames = self._socket.recv_multipart(zmq.NOBLOCK)
            self._heard, self._answered = time.monotonic(), True
            tick = stream.parse(frames)
            if tick is not None:
                self._board.update(tick)

    def _look(self) -> Table:
        silence = time.monotonic() - self._heard
        caption = f"the gateway has been silent for {silence:.0f} s" if silence > SILENCE_S else ""
        return self._board.table(time.time_ns(), caption)


def run(
    symbols: Sequence[str],
    settings: stream.StreamSettings,
    *,
    seconds: float | None = None,
    console: Console | None = None,
) -> int:
    """Shows EXCHANGE:SYMBOL … until Ctrl-C, or for `seconds`. Exit code: 0, 1 where no gateway runs, 2 for
    wrong arguments. Raises StartError where no gateway ever ran.
    """
    errors = console or Console(stderr=True)
    console = console or Console()
    try:
        instruments = [stream.parse_symbol(symbol) for symbol in symbols]
        if not instruments:
            raise ValueError("name at least one symbol, such as NSE:SBIN")
    except ValueError as error:
        errors.print(str(error), markup=False, soft_wrap=True)
        return 2
    place = stream.Place.of(settings)
    if stream.missing_socket(place.endpoint) is None and _watch(instruments, place, console, seconds):
        return 0
    errors.print(
        f"no gateway answers at {place.endpoint}; start one with `gateway serve`", markup=False, soft_wrap=True
    )
    return 1


def _watch(instruments: Sequence[Instrument], place: stream.Place, console: Console, seconds: float | None) -> bool:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = stream.connect(context, place, RECEIVE_MARK)
    try:
        return Watcher(Board(instruments), socket).run(console, seconds)
    except KeyboardInterrupt:
        return True
    finally:
        socket.close()
        context.term()
