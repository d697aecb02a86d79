"""The hub: connections on one side, engine and feeds on the other. It performs what sessions decide."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import orjson
import structlog
from gateway_matcher import Engine, Subscriptions

from gateway import closes
from gateway._fastpath.fanout import fan_out
from gateway.closes import Close
from gateway.errors import StoreError
from gateway.log import limited
from gateway.model import FeedStatus, Instrument, Mode, User, Want
from gateway.ports import FeedManagerPort
from gateway.stream import answers
from gateway.stream.actions import (
    Action,
    BrokerInfo,
    CheckKey,
    End,
    OpenReader,
    Orders,
    Pong,
    Reply,
    Subscribe,
    Unsubscribe,
)
from gateway.stream.connection import Connection
from gateway.stream.orders import OrderDesk
from gateway.stream.protocol import ProtocolError, Row
from gateway.stream.session import Phase, Rules
from gateway.stream.throttle import AuthThrottle

log = structlog.get_logger(__name__)

#: Under this name the readers' wants are held at the feeds; the engine counts the readers themselves.
HOLDER: Final = "readers"

_UNCHECKED: Final = ProtocolError("SERVER_ERROR", "the key cannot be checked now; try again")
#: what picows closes by itself, by code
_CLOSED_BELOW: Final = {
    1002: closes.PROTOCOL_ERROR,
    1007: closes.PROTOCOL_ERROR,
    1009: closes.TOO_BIG,
    1011: closes.SERVER_ERROR,
}

KeyLookup = Callable[[str], Awaitable[User | None]]


class Hub:
    """Performs actions, pumps frames, relays orders. Everything runs on the event loop."""

    def __init__(
        self,
        engine: Engine,
        feeds: FeedManagerPort,
        look_up: KeyLookup,
        *,
        rules: Rules,
        broker: str,
        throttle: AuthThrottle,
        max_per_user: int = 12_000,
        hard_limit: int = 8 << 20,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.engine = engine
        self.feeds = feeds
        self.rules = rules
        self.broker = broker
        self.throttle = throttle
        self.max_per_user = max_per_user
        #: bytes that may wait for one reader before it is cut whatever the clock says
        self.hard_limit = hard_limit
        self.now_ms = now_ms
        self.connections: dict[int, Connection] = {}
        self.by_user: dict[str, set[Connection]] = {}
        self.orders = OrderDesk()
        self.closed: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.accepted = 0
        self._look_up = look_up
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._checks: set[asyncio.Task[None]] = set()

    # --- frames -----------------------------------------------------------------------------------

    def pump(self) -> None:
        """Sends everything due and sets the timer for the next window. Called after every ingest."""
        now = time.monotonic_ns()
        batches = self.engine.flush(now)
        if batches:
            fan_out(batches)
            self.engine.written()
        due = self.engine.next_deadline()
        if due >= 0 and (self._timer is None or due < self._timer_ns):
            if self._timer is not None:
                self._timer.cancel()
            self._timer_ns = due
            # uvloop's timers count whole milliseconds, as the engine's deadlines do.
            self._timer = self._loop.call_later(max(due - now, 500_000) / 1e9, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.pump()

    # --- connections ------------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """A connection has finished its handshake."""
        self.accepted += 1
        self.connections[connection.number] = connection

    def lost(self, connection: Connection) -> None:
        """The socket is gone: everything the connection held is let go."""
        if self.connections.pop(connection.number, None) is None:
            return
        self.closed[(connection.closing or _reason(connection, closes.LOST)).reason] += 1
        self._leave(connection)
        connection.listener = None

    def left(self, connection: Connection) -> None:
        """The peer said goodbye: nothing is kept for it; the sweep cuts a socket that does not end."""
        if connection.closing is None:
            connection.closing = _reason(connection, closes.NORMAL)
            connection.closing_ns = time.monotonic_ns()
        self._leave(connection)

    def _leave(self, connection: Connection) -> None:
        connection.session.phase = Phase.ENDED
        if connection.reader >= 0:
            self._release(self.engine.close(connection.reader))
            connection.reader = -1
        mine = self.by_user.get(connection.user_id)
        if mine is not None:
            mine.discard(connection)
            if not mine:
                del self.by_user[connection.user_id]

    def end(self, connection: Connection, close: Close) -> None:
        """Says goodbye with a code; the sweep cuts what does not answer in time."""
        if connection.closing is not None or connection.listener is None:
            return
        connection.closing = close
        connection.closing_ns = time.monotonic_ns()
        self._leave(connection)
        if close is not closes.GOING_AWAY:
            reader = {"connection": connection.number, "user": connection.user_id}
            limited(log, close.reason).info("connection ended", reason=close.reason, code=close.code, **reader)
        connection.listener.send_close(close.code, close.reason.encode())
        # A peer that is alive answers the close frame; the sweep aborts the others.

    def paused(self, connection: Connection) -> None:
        """A connection went over its high-water mark: from now on only newest values are kept for it."""
        if connection.reader >= 0:
            self.engine.pause(connection.reader)

    def resumed(self, connection: Connection) -> None:
        """A connection has drained."""
        if connection.reader >= 0:
            self.engine.resume(connection.reader, time.monotonic_ns())
            self.pump()

    def end_keys(self, key_ids: Iterable[int]) -> None:
        """Ends the connections of revoked keys."""
        gone = set(key_ids)
        for connection in list(self.connections.values()):
            if connection.session.user is not None and connection.session.user.key_id in gone:
                self.end(connection, closes.KEY_REVOKED)

    # --- actions ----------------------------------------------------------------------------------

    def perform(self, connection: Connection, actions: list[Action]) -> None:
        """Does what a session decided, in order."""
        for action in actions:
            self.requests[type(action).__name__] += 1
            match action:
                case Reply(body):
                    self.send(connection, body)
                case Pong(body):
                    self.send(connection, {**body, "server_timestamp": self.now_ms()})
                case CheckKey(api_key):
                    self._check(connection, api_key)
                case OpenReader():
                    self._open_reader(connection, action)
                case Subscribe():
                    self._subscribe(connection, action)
                case Unsubscribe():
                    self._unsubscribe(connection, action)
                case Orders():
                    self._orders(connection, action)
                case BrokerInfo():
                    self._broker_info(connection, action)
                case End(close):
                    self.end(connection, close)

    def send(self, connection: Connection, body: dict[str, Any]) -> None:
        """Sends one object."""
        if body.get("status") == "error":
            self.refused[body.get("code", "")] += 1
        self.send_text(connection, orjson.dumps(body))

    def send_text(self, connection: Connection, text: bytes) -> None:
        """Sends one text frame; a reader that lets answers pile up without bound is cut."""
        listener = connection.listener
        if listener is None:
            return
        listener.send_text(text)
        if connection.paused_ns and listener.buffered() > self.hard_limit:
            self.end(connection, closes.SLOW_READER)

    def _check(self, connection: Connection, api_key: str) -> None:
        if self.throttle.blocked(connection.address, time.monotonic_ns(), api_key):
            refusal = ProtocolError("RATE_LIMITED", "too many failed authentications from this address; wait a minute")
            self.perform(connection, connection.session.key_checked(None, time.monotonic_ns(), refusal))
            return
        task = self._loop.create_task(self._check_key(connection, api_key))
        self._checks.add(task)
        task.add_done_callback(self._checks.discard)

    async def _check_key(self, connection: Connection, api_key: str) -> None:
        user, refusal = None, None
        try:
            user = await self._look_up(api_key)
        except StoreError as failure:
            log.error("key look-up failed", error=str(failure))
            refusal = _UNCHECKED
        except Exception:
            log.exception("key look-up failed")
            refusal = _UNCHECKED
        now = time.monotonic_ns()
        if user is not None:
            self.throttle.passed(api_key)
        elif refusal is None:
            self.throttle.failed(connection.address, now, api_key)
        if user is not None and len(self.by_user.get(user.user_id, ())) >= self.max_per_user:
            user, refusal = (
                None,
                ProtocolError("MAX_CAPACITY_REACHED", f"at most {self.max_per_user} connections per user"),
            )
        self.perform(connection, connection.session.key_checked(user, now, refusal))

    def _open_reader(self, connection: Connection, action: OpenReader) -> None:
        assert connection.listener is not None
        connection.reader = self.engine.open(connection.listener, action.flat)
        connection.feed_status = action.feed_status
        if connection.paused_ns:
            self.engine.pause(connection.reader)
        self.by_user.setdefault(connection.user_id, set()).add(connection)
        self.send(connection, answers.welcome(connection.user_id, self.broker, action.echo))
        if action.feed_status:
            for status in self.feeds.statuses(self.now_ms()):
                self.send(connection, answers.feed_status(status))

    def _subscribe(self, connection: Connection, action: Subscribe) -> None:
        rows, engine = action.rows, self.engine
        taken = engine.subscribe(connection.reader, rows.rows, action.window_ms)
        failed: dict[int, bytes] = {}
        for at, reason in taken.refused:
            failed[at] = answers.refused_row(rows.rows[at], reason, self.rules.symbols_per_client)
        if taken.first:
            wants = [Want(Instrument(*rows.rows[at][:2]), Mode(rows.rows[at][2])) for at in taken.first]
            for at, result in zip(taken.first, self.feeds.acquire(HOLDER, wants), strict=True):
                if result.code:
                    engine.undo(taken, at)
                    failed[at] = answers.failed_row(rows.rows[at], result.code, result.message)
                else:
                    instrument = result.want.instrument
                    engine.set_broker(*instrument, self.feeds.broker_of(result.want))
        if failed:
            _fail_twins(engine, taken, rows.rows, failed)
        listed = engine.answer(taken, action.depth, failed)
        bad = len(failed) + len(rows.failed)
        self.send_text(connection, answers.subscribed(listed, rows, bad, self.broker, action.echo))
        engine.snapshots(taken, time.monotonic_ns())
        self.pump()

    def _unsubscribe(self, connection: Connection, action: Unsubscribe) -> None:
        rows = self.engine.held(connection.reader) if action.rows is None else action.rows.rows
        ended, released = self.engine.unsubscribe(connection.reader, rows)
        self._release(released)
        early = list(action.rows.failed.values()) if action.rows else []
        self.send(connection, answers.unsubscribed(rows, ended, early, self.broker, action.echo))

    def _release(self, released: list[tuple[str, str, int]]) -> None:
        if released:
            self.feeds.release(HOLDER, [Want(Instrument(e, s), Mode(m)) for e, s, m in released])

    def _orders(self, connection: Connection, action: Orders) -> None:
        connection.orders = action.on
        if action.on:
            last = self.orders.last(connection.user_id)
            self.send(connection, {"type": "subscribe_orders", "status": "success", "seq": last, **action.echo})
            if action.after is not None:
                self.orders.ask(connection.user_id, action.after, connection.number)
        else:
            self.send(connection, {"type": "unsubscribe_orders", "status": "success", **action.echo})

    def _broker_info(self, connection: Connection, action: BrokerInfo) -> None:
        statuses = self.feeds.statuses(self.now_ms())
        if action.all_brokers:
            self.send(connection, answers.supported_brokers(statuses, self.broker, action.echo))
        else:
            self.send(connection, answers.broker_info(statuses, self.broker, connection.user_id, action.echo))

    # --- relays -----------------------------------------------------------------------------------

    def relay_order(self, payload: bytes) -> None:
        """Passes an `order_update` or `position_update` of the bus to its owner's order subscribers."""
        update = self.orders.read(payload)
        if update is None:
            return
        for connection in list(self.by_user.get(update.user_id, ())):
            meant = update.connection is None or connection.number == update.connection
            if meant and connection.orders and connection.ready:
                self.send_text(connection, update.text)

    def tell_feed_state(self, status: FeedStatus) -> None:
        """Tells everyone who asked for feed states."""
        text = orjson.dumps(answers.feed_status(status))
        for connection in list(self.connections.values()):
            if connection.feed_status and connection.ready:
                self.send_text(connection, text)

    def set_rules(self, rules: Rules) -> None:
        """Takes over new limits, for connections that are open too; windows they chose stay."""
        self.rules = rules
        self.engine.set_symbols_per_reader(rules.symbols_per_client)
        for connection in self.connections.values():
            connection.session.rules = rules


def _reason(connection: Connection, otherwise: Close) -> Close:
    """Why a connection ends that nobody here closed: picows for broken frames, or the peer."""
    sent = connection.listener.sent_code() if connection.listener is not None else 0
    return _CLOSED_BELOW.get(sent, otherwise)


def _fail_twins(engine: Engine, taken: Subscriptions, rows: list[Row], failed: dict[int, bytes]) -> None:
    """A row that names a failed one again fails with it: it was taken only because the first one was."""
    answers_by_row = {rows[at]: text for at, text in failed.items()}
    for at, row in enumerate(rows):
        if at not in failed and row in answers_by_row:
            engine.undo(taken, at)
            failed[at] = answers_by_row[row]
