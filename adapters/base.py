"""What a broker adapter is: one object that knows the broker, one object per connection to it.

The pool (`adapters.pool`) owns connections: it decides how many there are, what is subscribed on which,
when to reconnect and when a silent connection is dead. An adapter translates; it never retries, never
counts references and never sleeps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from gateway.errors import FeedError
from gateway.model import Instrument, Mode, Want
from gateway.ports import TickSink


class FeedEndedError(FeedError):
    """The feed is over for good (a recording at its end): no reconnecting until it is asked for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a broker allows (brokers/FAMILIES section 3); settings may lower it."""

    symbols_per_connection: int
    connections: int
    #: longest silence on a connection with subscriptions during which it still counts as alive, seconds
    silence_s: float = 30.0
    #: instruments in one request to the broker
    batch: int = 200


@dataclass(frozen=True, slots=True)
class FeedConfig:
    """One broker's settings, already resolved: environment, `.env`, credential store."""

    name: str
    ws_url: str = ""
    rest_url: str = ""
    api_key: str = field(default="", repr=False)
    api_secret: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    user_id: str = ""
    #: instrument master: a path or a URL
    instruments: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


class FeedConnection(ABC):
    """One connection to a broker. Made by `Adapter.open`, driven by the pool, used from the event loop only."""

    #: monotonic time of the last sign of life, ns; the pool reads it for stall detection
    last_frame_ns: int = 0

    @abstractmethod
    async def connect(self) -> None:
        """Opens and authenticates. Raises TokenRefusedError (no retry) or FeedError (retry)."""

    @abstractmethod
    async def subscribe(self, wants: Sequence[Want]) -> None:
        """Asks the broker for instruments, each in exactly the given mode (also to change a mode)."""

    @abstractmethod
    async def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        """Stops instruments in every mode."""

    @abstractmethod
    async def close(self) -> None:
        """Closes at once; `on_closed` is not called for a close that was asked for."""


class Adapter(ABC):
    """A broker. Subclasses are registered under `name` and built with a FeedConfig."""

    name: ClassVar[str]
    limits: ClassVar[Limits]
    #: False for feeds without a login: fresh credentials are no reason to reconnect
    needs_credentials: ClassVar[bool] = True

    def __init__(self, config: FeedConfig, sink: TickSink, clock_ns: Callable[[], int]) -> None:
        self.config = config
        self.sink = sink
        #: trading time, Unix ns
        self.clock_ns = clock_ns

    @abstractmethod
    async def prepare(self) -> None:
        """Loads what connections need (instrument master). Raises FeedError or InstrumentError."""

    @abstractmethod
    def knows(self, instrument: Instrument) -> bool:
        """True where the broker can stream the instrument; decides which feed serves it."""

    @abstractmethod
    def open(self, on_closed: Callable[[Exception | None], None]) -> FeedConnection:
        """A new connection object, not yet connected. `on_closed` is called once when it is lost."""

    async def quotes(self, instruments: Iterable[Instrument]) -> dict[Instrument, bytes]:
        """Snapshot quotes over REST as Quote-mode JSON payloads; brokers without one return an empty dict."""
        return {}

    def supports(self, mode: Mode) -> bool:
        """True where the broker streams this mode."""
        return True


class QuoteSource(Protocol):
    """The REST half of an adapter: quotes by asking (sandbox, "Fallback"). Used from one event loop."""

    #: the feed's name, as `FEEDS` spells it
    name: str
    #: instruments that one call to the broker takes; ask for more and `multiquotes` makes several calls
    batch: int

    async def prepare(self) -> None:
        """Loads or renews what look-ups need; cheap when nothing changed. Raises FeedError or InstrumentError."""

    def knows(self, instrument: Instrument) -> bool:
        """True where the broker can be asked for the instrument; False for all before `prepare`."""

    async def multiquotes(self, instruments: Sequence[Instrument]) -> dict[Instrument, bytes]:
        """The payload of a Quote tick for each instrument; those without an answer are missing.

        Raises TokenRefusedError (useless until `new_token`) or FeedError.
        """

    def new_token(self, config: FeedConfig) -> None:
        """Takes fresh credentials."""

    async def close(self) -> None:
        """Closes connections; the source may not be used afterwards."""
