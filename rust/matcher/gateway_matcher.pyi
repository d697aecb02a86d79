from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypeAlias, final

@final
class KiteDecoder:
    """Decodes Kite binary frames into bus messages or plain ticks (KITE section 3). Never raises on any bytes."""

    def __init__(self) -> None: ...
    def set_instruments(self, instruments: list[tuple[int, str, str]]) -> None:
        """Replaces the token table by `(token, exchange, symbol)` rows."""

    def decode(self, frame: bytes, now_ms: int) -> list[tuple[bytes, bytes]]:
        """The `(topic, payload)` pairs of a frame; `now_ms` where the broker sent no time."""

    def ticks(self, frame: bytes) -> list[dict[str, Any]]:
        """Every readable tick of a frame as a dict, known instrument or not."""

    def counters(self) -> dict[str, int]:
        """Counters since the start, by name."""

@final
class Engine:
    """Subscription index, conflation, last values and frames of one market process."""

    def __new__(
        cls,
        broker: str = "bus",
        *,
        symbols_per_reader: int = 3000,
        instruments: int = 250_000,
        payload: int = 65_536,
        values: int = 268_435_456,
    ) -> Engine: ...
    def ingest(
        self, topic: bytes, payload: bytes, mono_ns: int, unix_ns: int | None = None, feed: str | None = None
    ) -> str: ...
    def publish_ticks(self, ticks: Sequence[tuple[bytes, bytes]], feed: str) -> None: ...
    def drain(self, bus: ZmqSocket, budget: int) -> tuple[int, list[tuple[str, bytes, bytes]]]: ...
    def flush(self, now_ns: int) -> list[Any]: ...
    def written(self) -> None: ...
    def next_deadline(self) -> int: ...
    def open(self, listener: object, flat: bool = False) -> int: ...
    def close(self, reader: int) -> list[tuple[str, str, int]]: ...
    def subscribe(self, reader: int, rows: Sequence[tuple[str, str, int]], window_ms: int) -> Subscriptions: ...
    def undo(self, taken: Subscriptions, row: int) -> None: ...
    def answer(self, taken: Subscriptions, depth: int, failed: dict[int, bytes]) -> bytes: ...
    def snapshots(self, taken: Subscriptions, now_ns: int) -> None: ...
    def unsubscribe(
        self, reader: int, rows: Sequence[tuple[str, str, int]]
    ) -> tuple[list[list[int]], list[tuple[str, str, int]]]: ...
    def held(self, reader: int) -> list[tuple[str, str, int]]: ...
    def pause(self, reader: int) -> None: ...
    def resume(self, reader: int, now_ns: int) -> None: ...
    def set_broker(self, exchange: str, symbol: str, broker: str) -> None: ...
    def known(self, exchange: str, symbol: str) -> bool: ...
    def last_value(self, exchange: str, symbol: str, mode: int) -> bytes | None: ...
    def set_stream(self, stream: ZmqSocket | None) -> None: ...
    def take_published(self) -> bool: ...
    def want(self, topic: bytes, more: bool) -> tuple[str, str, int, bool] | None: ...
    def set_symbols_per_reader(self, most: int) -> None: ...
    def listen(self, prefix: bytes, more: bool) -> None: ...
    def replay(self, topic: bytes) -> tuple[bytes, bytes] | None: ...
    def stats(self) -> dict[str, int]: ...
    def latency(self) -> tuple[list[int], list[int], int]: ...

@final
class Subscriptions:
    """What became of the rows of one subscribe request."""

    @property
    def first(self) -> list[int]: ...
    @property
    def refused(self) -> list[tuple[int, str]]: ...
    def __len__(self) -> int: ...

@final
class ZmqSocket:
    """A ZeroMQ socket that Python opened, used below Python."""

    def __new__(cls, handle: int, functions: dict[str, int]) -> ZmqSocket: ...

@final
class Simulator:
    """A simulated market that hands out ticks of what is subscribed; the same seed moves it the same way."""

    def __new__(cls, seed: int, rows: Sequence[tuple[str, int, int, int, bool, str, int, int, int]]) -> Simulator:
        """Rows are `(EXCHANGE_SYMBOL, decimals, tick, lot, traded, kind, a, b, c)`; prices in units of 10^-decimals.

        By kind: `walk` a = previous close; `future` a = row of the underlying, b = carry in millionths; `call` and
        `put` a = row of the underlying, b = strike, c = time value at the money in millionths. An underlying comes
        before what derives from it. Raises ValueError for a row that makes no sense.
        """

    def subscribe(self, index: int, mode: int) -> None:
        """Sets the mode (1 to 3, 0 for none) in which row `index` is handed out. Raises IndexError, ValueError."""

    def advance(self, count: int, now_ms: int) -> list[tuple[bytes, bytes]]:
        """Lets `count` trades happen at `now_ms` (Unix ms); the subscribed ones as `(topic, payload)`."""

    def current(self, index: int, now_ms: int) -> tuple[bytes, bytes] | None:
        """Row `index` as it stands, or None where it is not subscribed. Raises IndexError."""

    def __len__(self) -> int: ...

# (id, sequence, side, pricetype, price, trigger); prices are whole numbers of 1 / Matcher.PRICE_SCALE
_Order: TypeAlias = tuple[int, int, str, str, int | None, int | None]
# the same with "is the trigger spent" behind
_Resting: TypeAlias = tuple[int, int, str, str, int | None, int | None, bool]
_Decision: TypeAlias = (
    tuple[Literal["fill"], int, int]
    | tuple[Literal["triggered"], int]
    | tuple[Literal["gtt"], int, Literal["sl", "tg"]]
)
_Entry: TypeAlias = tuple[Literal["filled", "open", "trigger pending", "no price"], int | None]

@final
class Matcher:
    """Resting orders, GTTs and last values of the trade process (sandbox, "Order life").

    Prices are whole numbers of 1 / `PRICE_SCALE` INR; times are ns on one clock of the caller's choice (the tick
    stream stamps Unix ns). Sides are BUY and SELL; price types MARKET, LIMIT, SL and SL-M, of which fields that
    do not belong are dropped. Bad values raise ValueError and change nothing; OverflowError where a number
    does not fit. `sequence` is the place in time priority, lower first, shared by orders and GTTs.
    """

    PRICE_SCALE: ClassVar[int]

    def __new__(cls, *, instruments: int = 250_000, payload: int = 65_536) -> Matcher: ...
    def ingest(self, topic: bytes, payload: bytes, arrival_ns: int, replay: bool = False) -> tuple[_Decision, ...]:
        """Takes a tick; returns what it did, in time priority: mostly the empty tuple.

        What is filled or fired has left the book. `replay` marks a last value sent again: it counts when an order
        enters, but fires nothing that rests. Never raises on any bytes.
        """

    def enter(self, exchange: str, symbol: str, order: _Order, now_ns: int, max_age_ns: int) -> _Entry:
        """Judges a new order by the last price at most `max_age_ns` old; it rests unless filled or "no price"."""

    def modify(
        self,
        order_id: int,
        pricetype: str,
        price: int | None,
        trigger: int | None,
        now_ns: int,
        max_age_ns: int,
    ) -> _Entry:
        """Gives a resting order other terms and judges it as at entry; after "no price" it rests as it was.

        Its place in time priority stays, and an SL order's spent trigger stays spent. Raises KeyError where no
        such order rests.
        """

    def remove(self, order_id: int) -> _Resting | None:
        """Takes an order out; returns it as it was, None where it does not rest."""

    def restore(self, exchange: str, symbol: str, order: _Order, triggered: bool = False) -> None:
        """Lets an order rest unjudged; `triggered`: an SL order whose trigger is spent."""

    def add_gtt(self, exchange: str, symbol: str, gtt_id: int, sequence: int, sl: int | None, tg: int | None) -> None:
        """Lets a GTT wait (or wait again): `sl` fires on a fall to it, `tg` on a rise. Placing fires nothing."""

    def modify_gtt(self, gtt_id: int, sl: int | None, tg: int | None) -> None:
        """Gives a waiting GTT other triggers. Raises KeyError where no such GTT waits."""

    def remove_gtt(self, gtt_id: int) -> bool:
        """Takes a GTT out with both legs; says whether it waited."""

    def clear(self) -> None:
        """Empties the book; last values stay."""

    def order(self, order_id: int) -> _Resting | None: ...
    def gtt(self, gtt_id: int) -> tuple[int, int, int | None, int | None] | None:
        """`(id, sequence, sl, tg)`."""

    def resting(self) -> tuple[int, int]:
        """How many orders rest and how many GTTs wait."""

    def quote(self, exchange: str, symbol: str) -> tuple[int, int | None, int | None, int] | None:
        """`(ltp, bid, ask, arrival_ns)` of the newest tick that could fill an order, however old."""

    def last_value(self, exchange: str, symbol: str, mode: int) -> tuple[bytes, int] | None:
        """The newest payload that serves `mode`, with its arrival in ns. Raises ValueError for an unknown mode."""

    def stats(self) -> dict[str, int]: ...
