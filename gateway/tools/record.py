"""`gateway record FILE`: writes every tick of the stream to a recording, and says if one was lost."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from pathlib import Path

import zmq
from rich.console import Console

from gateway.model import Instrument, Mode
from gateway.tools import stream
from gateway.tools.recording import Record, RecordingError, Writer, encode

#: messages that may wait in the socket while the disk is slow
RECEIVE_MARK = 1_000_000
#: bytes gathered before the writer thread gets them, and how many such pieces may wait for it (64 MiB in all)
PIECE_BYTES = 256 * 1024
PIECES = 256
#: a piece is handed over at least this often, s
PIECE_SECONDS = 0.25
#: messages received before the clock is looked at again
_BURST = 500


@dataclass(slots=True)
class Result:
    """What came of a recording."""

    ticks: int = 0
    bytes: int = 0
    lost: int = 0
    restarts: int = 0
    seconds: float = 0.0
    #: the writer's failure, such as a full disk; empty for none
    failure: str = ""


class Recorder:
    """Receives on the calling thread, writes on its own; between them a bounded queue that makes the receiver
    wait (the socket then holds up to RECEIVE_MARK messages more).
    """

    def __init__(self, writer: Writer, symbols: Rows[Instrument] = ()) -> None:
        self.result = Result()
        self._writer = writer
        # Highest mode first: of last values said again, too, the original comes before its copies.
        self._topics = [instrument.topic(mode) for instrument in symbols for mode in reversed(Mode)] or [b""]
        self._pieces: queue.Queue[bytearray | None] = queue.Queue(PIECES)
        self._piece = bytearray()
        self._native = stream.NativeFilter()
        self._sequence = stream.Sequence()
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ends `run` within 0.1 s; callable from a signal handler or another thread."""
        self._stop.set()

    def run(self, place: stream.Place, seconds: float | None = None) -> Result:
        """Records until `stop`, or for `seconds`."""
        thread = threading.Thread(target=self._write, name="recorder")
        thread.start()
        began = time.monotonic()
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            socket = stream.connect(context, place, RECEIVE_MARK)
            for topic in self._topics:
                socket.setsockopt(zmq.SUBSCRIBE, topic)
            self._receive(socket, None if seconds is None else began + seconds)
            socket.close()
        finally:
            context.term()
            self._hand_over()
            self._pieces.put(None)
            thread.join()
        self.result.lost, self.result.restarts = self._sequence.lost, self._sequence.restarts
        self.result.seconds = time.monotonic() - began
        return self.result

    def _receive(self, socket: zmq.Socket[bytes], until: float | None) -> None:
        handed = time.monotonic()
        while not self._stop.is_set() and not self.result.failure:
            now = time.monotonic()
            if until is not None and now >= until:
                return
            if now - handed >= PIECE_SECONDS:
                self._hand_over()
                handed = now
            if socket.poll(100):
                self._drain(socket)

    def _drain(self, socket: zmq.Socket[bytes]) -> None:
        for _ in range(_BURST):
            try:
                tick = stream.parse(socket.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                return
            if tick is not None and self._sequence.fresh(tick) and self._native.is_native(tick):
                self._piece += encode(Record(tick.arrival_ns, tick.topic, tick.payload))
                self.result.ticks += 1
                if len(self._piece) >= PIECE_BYTES:
                    self._hand_over()

    def _hand_over(self) -> None:
        if self._piece:
            self._pieces.put(self._piece)
            self._piece = bytearray()

    def _write(self) -> None:
        """The writer thread. After a failure it goes on emptying the queue, so that nobody waits for it."""
        while (piece := self._pieces.get()) is not None:
            if self.result.failure:
                continue
            try:
                self._writer.append(piece)
                self._writer.flush()
                self.result.bytes += len(piece)
            except OSError as error:
                self.result.failure = str(error)


def run(
    file: Path,
    settings: stream.StreamSettings,
    *,
    symbols: Rows[str] = (),
    seconds: float | None = None,
    console: Console | None = None,
) -> int:
    """Records until SIGINT or SIGTERM, or for `seconds`. Exit code: 0, 1 where ticks were lost or writing
    failed, 2 for wrong arguments. Without `symbols` it listens to whatever others want; with them
    (EXCHANGE:SYMBOL) it makes the gateway subscribe them. Raises StartError where no gateway ever ran.
    """
    console = console or Console(stderr=True)
    place = stream.Place.of(settings)
    try:
        wanted = [stream.parse_symbol(symbol) for symbol in symbols]
        writer = Writer(file)
    except (ValueError, RecordingError, OSError) as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return 2
    if missing := stream.missing_socket(place.endpoint):
        console.print(f"no gateway runs yet ({missing} is not there); waiting for one", markup=False, soft_wrap=True)
    recorder = Recorder(writer, wanted)
    handlers = {number: signal.signal(number, lambda *_: recorder.stop()) for number in _SIGNALS} if _main() else {}
    try:
        result = recorder.run(place, seconds)
        writer.close()
    except OSError as error:
        recorder.result.failure = str(error)
        result = recorder.result
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return _report(result, file, console)


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _main() -> bool:
    return threading.current_thread() is threading.main_thread()


def _report(result: Result, file: Path, console: Console) -> int:
    lines = [f"{result.ticks} ticks, {result.bytes / 1e6:.1f} MB in {result.seconds:.1f} s written to {file}"]
    if result.restarts:
        lines.append(f"the market process started anew meanwhile ({result.restarts} topics began again)")
    if result.lost:
        lines.append(f"{result.lost} messages were lost on the way: the recording has gaps")
    if result.failure:
        lines.append(f"writing failed: {result.failure}")
    console.print("\n".join(lines), markup=False, soft_wrap=True)
    return 1 if result.lost or result.failure else 0
