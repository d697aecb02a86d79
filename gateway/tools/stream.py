"""The tick stream as a reader sees it: socket, messages, native ticks and copies, gaps (zmq-bus, "tick stream")."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple, Protocol

import zmq

from gateway.model import Instrument, Mode

_STAMP = struct.Struct(">QQ")
_MODES = {mode.name.encode(): mode for mode in Mode}
#: exchanges of two segments
_INDEX_EXCHANGES = ("NSE", "BSE", "MCX", "GLOBAL")


class StreamSettings(Protocol):
    """The part of the settings that readers of the stream need."""

    def tick_stream_to_connect(self) -> str:
        """The endpoint. Raises StartError where no gateway has made one yet."""

    def curve(self) -> tuple[bytes, bytes] | None:
        """CURVE public and secret key of the gateway (Z85); None where its sockets are open."""


class Tick(NamedTuple):
    """One message of the stream."""

    topic: bytes
    payload: bytes
    #: number within the topic, from 1 at each start of the market process
    seq: int
    #: Unix ns
    arrival_ns: int


class Place(NamedTuple):
    """Where the stream is."""

    endpoint: str
    #: CURVE public key of the gateway (Z85); None where the stream is open
    server_key: bytes | None = None

    @classmethod
    def of(cls, settings: StreamSettings) -> Place:
        """As the settings say. Raises StartError where no gateway has made a stream yet."""
        keys = settings.curve()
        return cls(settings.tick_stream_to_connect(), keys[0] if keys else None)


def connect(context: zmq.Context[zmq.Socket[bytes]], place: Place, mark: int) -> zmq.Socket[bytes]:
    """A SUB socket connected to the stream; beyond `mark` waiting messages the stream drops ours."""
    socket = context.socket(zmq.SUB)
    if place.server_key is not None:
        socket.curve_serverkey = place.server_key
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    socket.setsockopt(zmq.RCVHWM, mark)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RECONNECT_IVL, 100)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
    socket.connect(place.endpoint)
    return socket


def missing_socket(endpoint: str) -> str | None:
    """The path of a Unix socket endpoint where there is no file; None for anything else."""
    path = endpoint.removeprefix("ipc://")
    return path if path != endpoint and not path.startswith("@") and not Path(path).exists() else None


def parse(frames: list[bytes]) -> Tick | None:
    """A tick of the stream; None for `_health` and other messages that are none."""
    if len(frames) != 3 or len(frames[2]) != _STAMP.size or frames[0].startswith(b"_"):
        return None
    return Tick(frames[0], frames[1], *_STAMP.unpack(frames[2]))


def split(topic: bytes) -> tuple[bytes, Mode] | None:
    """`EXCHANGE_SYMBOL` and mode of a topic; None where it is no topic of a tick."""
    name, _, mode = topic.rpartition(b"_")
    found = _MODES.get(mode)
    return (name, found) if name and found is not None else None


def instrument(topic: bytes) -> Instrument | None:
    """The instrument of a canonical topic; None where it is no topic of a tick."""
    parts = split(topic)
    if parts is None:
        return None
    try:
        name = parts[0].decode()
    except UnicodeDecodeError:
        return None
    exchange, _, symbol = name.partition("_")
    if exchange in _INDEX_EXCHANGES and symbol.startswith("INDEX_"):
        exchange, symbol = f"{exchange}_INDEX", symbol.removeprefix("INDEX_")
    return Instrument(exchange, symbol) if exchange and symbol else None


def parse_symbol(text: str) -> Instrument:
    """`NSE:SBIN` as an instrument. Raises ValueError saying how to write it."""
    exchange, colon, symbol = text.strip().partition(":")
    if not (exchange and colon and symbol):
        raise ValueError(f"{text!r} is no symbol; write EXCHANGE:SYMBOL, such as NSE:SBIN or NSE_INDEX:NIFTY")
    return Instrument(exchange.upper(), symbol)


class NativeFilter:
    """Tells a tick in its own mode from the copies the stream makes of it for lower modes.

    A copy follows its original and carries the same arrival and payload under a lower mode's topic.
    """

    def __init__(self) -> None:
        self._last: dict[bytes, tuple[Mode, int, bytes]] = {}

    def is_native(self, tick: Tick) -> bool:
        """True for the original, False for a copy and for what is no tick's topic."""
        parts = split(tick.topic)
        if parts is None:
            return False
        name, mode = parts
        last = self._last.get(name)
        if last is not None and mode < last[0] and tick.arrival_ns == last[1] and tick.payload == last[2]:
            return False
        self._last[name] = (mode, tick.arrival_ns, tick.payload)
        return True


class Sequence:
    """Watches the numbers of each topic: what was lost, and when the market process started anew."""

    def __init__(self) -> None:
        self._last: dict[bytes, tuple[int, int]] = {}
        #: messages that never came
        self.lost = 0
        #: topics that began anew
        self.restarts = 0

    def fresh(self, tick: Tick) -> bool:
        """Counts a tick; False for one that was seen before (the last value, said again to a new subscriber)."""
        last_seq, last_arrival = self._last.get(tick.topic, (tick.seq - 1, -1))
        if tick.seq <= last_seq:
            if tick.arrival_ns <= last_arrival:
                return False
            self.restarts += 1
            self.lost += tick.seq - 1
        else:
            self.lost += tick.seq - last_seq - 1
        self._last[tick.topic] = (tick.seq, tick.arrival_ns)
        return True
