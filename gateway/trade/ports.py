"""What the parts of the trade process ask of each other. Only `trade/app.py` knows who answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from gateway.model import Instrument, Mode
from gateway.trade.core.judge import Quote

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
        """The newest price, if it arrived at most SANDBOX_MAX_PRICE_AGE_S ago."""

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

    def publish(self, user_id: str, mode: str, update: Mapping[str, Any]) -> None:
        """`mode` is `ANALYZE` or the broker's name: topic `MODE_USERID_orders`. Never blocks, never raises."""


class TradeService(Protocol):
    """Every order and account call, one method per REST endpoint of the same name.

    `fields` is the request's JSON object without the API key, as it came; the answer is the response's JSON
    object (Decimal where money is exact). Raises OrderError with status, field and message.
    """

    async def call(self, user_id: str, endpoint: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Performs `placeorder`, `orderbook`, … and returns once the transaction has committed."""
