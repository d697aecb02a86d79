"""What the parts of the trade process ask of each other. Only `trade/app.py` knows who answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from gateway.model import Instrument, Mode
from gateway.trade.core.changes import Row, Trade
from gateway.trade.core.funds import Funds
from gateway.trade.core.gtt import Gtt
from gateway.trade.core.judge import Quote
from gateway.trade.core.orders import Order
from gateway.trade.core.positions import Holding, Position

#: One tick of the tick stream: topic, JSON object, arrival (Unix ns), and whether it is a replayed last value,
#: which answers questions but fills no resting order (zmq-bus, "Last value on subscribe").
StreamTick = tuple[bytes, bytes, int, bool]


class Prices(Protocol):
    """Last values of the instruments that are held, fed by the tick stream or by polling."""

    def hold(self, holder: str, instruments: Iterable[Instrument]) -> None:
        """Makes `holder` need these instruments (idempotent); the first holder subscribes on the tick stream."""

    def release(self, holder: str, instruments: Iterable[Instrument]) -> None:
        """Lets go; the last holder unsubscribes."""

    def fresh(self, instrument: Instrument) -> Quote | None:
        """The newest usable price, if it arrived at most SANDBOX_MAX_PRICE_AGE_S ago."""

    def last(self, instrument: Instrument) -> Decimal | None:
        """The newest price (INR), however old."""

    def age_s(self, instrument: Instrument) -> float:
        """How long ago the newest price arrived, s; infinite where there is none."""

    async def wait_for(self, instrument: Instrument, wait_s: float = 1.0) -> Quote | None:
        """A fresh price; an instrument that is not held is subscribed, waited for and kept for 60 s."""

    async def payload(self, instrument: Instrument, mode: Mode, wait_s: float = 1.0) -> Mapping[str, Any] | None:
        """The newest tick that serves `mode` as parsed JSON, for quote and depth questions."""

    def paused(self) -> bool:
        """True while no feed delivers (stale): nothing is squared off or settled on such prices."""


class TickHandler(Protocol):
    """The desk: looks at every tick, in order, before anything conflates."""

    def on_ticks(self, ticks: Sequence[StreamTick]) -> None:
        """Matches resting orders. Returns at once: what fills is committed by the writer thread."""


class Updates(Protocol):
    """Where `order_update` and `position_update` objects go after their commit: the tick bus."""

    def publish(self, user_id: str, payload: bytes, mode: str = "ANALYZE") -> None:
        """`payload` is the JSON object; topic `MODE_USERID_orders`. Never blocks, never raises."""


class OutEvent(NamedTuple):
    """An event for the outbox (order-events)."""

    event_type: str
    #: JSON object
    payload: bytes
    #: the user's order-event number, without gaps; only an `order_update` has one
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class UserState:
    """What is kept of a user beside the books."""

    #: `analyze` or `live`
    mode: str = "analyze"
    #: the last order-event number
    seq: int = 0
    #: order calls recorded in analyze mode
    logs: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer given under an `Idempotency-Key`."""

    key: str
    #: SHA-256 of endpoint and body, hex
    digest: str
    #: HTTP status
    status: int
    #: JSON text
    answer: bytes


@dataclass(slots=True)
class Transaction:
    """What one command or fill writes for one user, whole or not at all."""

    user_id: str
    #: rises when a transaction of the user failed: everything of an older generation then fails, too
    generation: int
    #: trading time
    at: datetime
    rows: Sequence[Row]
    events: Sequence[OutEvent]
    user: UserState
    kept: Kept | None = None
    #: called on the event loop, in order of submission, once it has committed (None) or has not (StoreError)
    done: Callable[[Exception | None], None] = field(default=lambda error: None)


class TransactionWriter(Protocol):
    """The one writer thread: commits transactions in order, many in one where many wait."""

    def submit(self, transaction: Transaction) -> None:
        """Queues it. Raises CapacityError where too many wait."""


@dataclass(frozen=True, slots=True)
class StoredUser:
    """One user as the database has him: everything that may still change, and what ended or traded today."""

    user_id: str
    state: UserState
    #: None: never traded
    funds: Funds | None
    orders: Sequence[Order] = ()
    positions: Sequence[Position] = ()
    holdings: Sequence[Holding] = ()
    gtts: Sequence[Gtt] = ()
    #: oldest first
    trades: Sequence[Trade] = ()


class Once(Protocol):
    """An `Idempotency-Key` on its way: turns an outcome into the answer that is kept with the transaction."""

    def success(self, answer: Mapping[str, Any]) -> Kept:
        """The kept form of an answer."""

    def refusal(self, error: Exception) -> Kept | None:
        """The kept form of a refusal; None where trying again makes sense."""


class TradeService(Protocol):
    """Every order and account call, one method per REST endpoint of the same name.

    `fields` is the request's JSON object without the API key, as it came; the answer is the response's JSON
    object (Decimal where money is exact). Raises OrderError with status, field and message.
    """

    async def call(
        self, user_id: str, endpoint: str, fields: Mapping[str, Any], once: Once | None = None
    ) -> dict[str, Any]:
        """Performs `placeorder`, `orderbook`, … and returns once the transaction has committed.

        With `once` the answer is kept in the same transaction.
        """

    async def kept(self, user_id: str, key: str) -> Kept | None:
        """The answer that an `Idempotency-Key` was given, also before this process started."""
