"""Plain values that every part of the gateway shares."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple


class Mode(IntEnum):
    """What a subscription delivers. Modes nest: a Depth tick also serves Quote and LTP subscribers."""

    LTP = 1
    QUOTE = 2
    DEPTH = 3

    @property
    def label(self) -> str:
        """The mode as answers spell it: `LTP`, `Quote` or `Depth`."""
        return _LABELS[self]


_LABELS = {Mode.LTP: "LTP", Mode.QUOTE: "Quote", Mode.DEPTH: "Depth"}

#: Exchanges a client may name (websocket-protocol, "Requests").
EXCHANGES: frozenset[str] = frozenset(
    "NSE BSE NFO BFO CDS BCD MCX NCDEX NCO NSE_INDEX BSE_INDEX MCX_INDEX GLOBAL_INDEX CRYPTO".split()
)


class Instrument(NamedTuple):
    """A tradable or quotable thing in the common symbol format, e.g. `Instrument("NSE", "SBIN")`."""

    exchange: str
    symbol: str

    def topic(self, mode: Mode) -> bytes:
        """The bus topic of this instrument in `mode`, e.g. `b"NSE_SBIN_LTP"`."""
        return f"{self.exchange}_{self.symbol}_{mode.name}".encode()


class Want(NamedTuple):
    """One instrument wanted in one mode."""

    instrument: Instrument
    mode: Mode


class FeedState(StrEnum):
    """How a broker feed does, as `feed_status` frames and `_health` say it."""

    CONNECTED = "connected"
    STALE = "stale"
    DISCONNECTED = "disconnected"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """The state of one feed at one moment."""

    name: str
    state: FeedState
    #: since when it is in this state, epoch ms
    since: int
    #: age of the newest tick, ms; None before the first
    last_tick_age_ms: int | None
    #: instruments subscribed at the broker
    subscribed: int


@dataclass(frozen=True, slots=True)
class User:
    """The owner of an API key."""

    user_id: str
    #: database id of the key that was shown, so that a revocation finds its connections
    key_id: int
