"""One connection of a pool through all its lives: connect, subscribe, watch for silence, reconnect.

`asyncio.timeout`, never `wait_for`: Python 3.11's swallows a cancellation that meets the result.
"""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import structlog

from adapters.backoff import Backoff
from adapters.base import Adapter, FeedConnection, FeedEndedError, Limits
from adapters.plan import Plan
from gateway.errors import FeedError, GatewayError, TokenRefusedError
from gateway.model import FeedState

log = structlog.get_logger(__name__)

#: longest time to connect and authenticate, s; adapters have shorter limits of their own for each step,
#: but some load a new day's instrument master first
CONNECT_TIMEOUT = 60.0
#: longest time to hand one batch to the broker, s
SEND_TIMEOUT = 10.0
#: longest wait for a connection's own close, s
CLOSE_TIMEOUT = 2.0
#: a connection that lasted this long was a good one: the next failure starts from the shortest delay, s
GOOD_AFTER = 5.0
#: how long a second or later connection is kept without instruments, s
IDLE_AFTER = 60.0


class _StalledError(FeedError):
    """Nothing came for longer than the broker allows."""


class _RenewedError(FeedError):
    """Somebody asked for a new connection, with fresh credentials."""


class Lane:
    """Drives connection number `slot` of the plan; `run` is its task."""

    def __init__(
        self,
        adapter: Adapter,
        plan: Plan,
        slot: int,
        limits: Limits,
        on_state: Callable[[], None],
        backoff: Backoff,
        rng: random.Random,
    ) -> None:
        self.slot = slot
        #: None until the first connection succeeded or failed
        self.state: FeedState | None = None
        #: how often a connection was lost or failed
        self.failures = 0
        self._adapter = adapter
        self._plan = plan
        self._limits = limits
        self._on_state = on_state
        self._backoff = backoff
        self._rng = rng
        self._wake = asyncio.Event()
        self._renew = asyncio.Event()
        self._lost: asyncio.Future[Exception | None] | None = None
        self._log = log.bind(feed=adapter.name, connection=slot)
        #: monotonic ns until which silence is excused
        self._excused_ns = 0

    def wake(self) -> None:
        """Something changed in the plan; batches go out in the next turn of the loop."""
        self._wake.set()

    def renew(self) -> None:
        """Drop the connection and make a new one now, also after a refusal or the end."""
        self._renew.set()
        self._wake.set()

    async def run(self) -> None:
        """Keeps the connection until it is no longer needed; ends only then or when cancelled."""
        attempt, down_since = 0, time.monotonic()
        while True:
            began = time.monotonic()
            try:
                await self._session()
                return
            except (TokenRefusedError, FeedEndedError) as error:
                await self._park(error)
                attempt = 0
                continue
            except _RenewedError:
                self._log.info("feed reconnects on request")
                attempt = 0
                continue
            except Exception as error:
                if time.monotonic() - began >= GOOD_AFTER:
                    attempt, down_since = 0, time.monotonic()
                delay = self._backoff.delay(attempt, time.monotonic() - down_since, self._rng)
                self._failed(error, delay)
            attempt += 1
            await self._pause(delay)

    async def _session(self) -> None:
        """One connection from open to its end. Returns when the connection is no longer needed."""
        self._renew.clear()
        lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._lost = lost
        connection = self._adapter.open(lambda error: self._closed(lost, error))
        try:
            await self._unless_lost(connection.connect(), CONNECT_TIMEOUT, "connecting")
            self._plan.forget(self.slot)
            await self._flush(connection)
            self._resubscribed()
            await self._serve(connection)
        finally:
            self._lost = None
            self._plan.forget(self.slot)
            lost.cancel()
            await self._close(connection)

    async def _serve(self, connection: FeedConnection) -> None:
        interval = min(1.0, self._limits.silence_s / 4)
        connected_ns = idle_since = time.monotonic_ns()
        while True:
            self._check_lost()
            self._watch(connection, connected_ns)
            if self._plan.assigned(self.slot):
                idle_since = time.monotonic_ns()
            elif self.slot and time.monotonic_ns() - idle_since > IDLE_AFTER * 1e9:
                return
            try:
                async with asyncio.timeout(interval):
                    await self._wake.wait()
            except TimeoutError:
                continue
            await self._flush(connection)

    async def _flush(self, connection: FeedConnection) -> None:
        """Sends everything that differs, batch by batch; what changes meanwhile goes along."""
        self._wake.clear()
        while self._plan.pending(self.slot):
            if not self._plan.subscribed_on(self.slot):
                self._excused_ns = time.monotonic_ns()
            batch = self._plan.take(self.slot, self._limits.batch)
            if batch.unsubscribe:
                await self._unless_lost(connection.unsubscribe(batch.unsubscribe), SEND_TIMEOUT, "unsubscribing")
            if batch.subscribe:
                await self._unless_lost(connection.subscribe(batch.subscribe), SEND_TIMEOUT, "subscribing")
        self._check_lost()

    def _watch(self, connection: FeedConnection, connected_ns: int) -> None:
        """Raises _StalledError on too long a silence; ends the stale state at a sign of life."""
        if self.state is FeedState.STALE and connection.last_frame_ns > connected_ns:
            self._set(FeedState.CONNECTED)
        if not self._plan.subscribed_on(self.slot):
            return
        alive_ns = max(connection.last_frame_ns, connected_ns, self._excused_ns)
        silence_s = (time.monotonic_ns() - alive_ns) / 1e9
        if silence_s > self._limits.silence_s:
            self._set(FeedState.STALE)
            raise _StalledError(f"nothing came for {silence_s:.1f} s")

    def _closed(self, lost: asyncio.Future[Exception | None], error: Exception | None) -> None:
        """The connection says it is gone: the state changes now, the reaction follows in the task."""
        if lost.done():
            return
        lost.set_result(error)
        if self.state is not None:
            self._set(FeedState.REFUSED if isinstance(error, TokenRefusedError) else FeedState.DISCONNECTED)
        self._wake.set()

    def _check_lost(self) -> None:
        if self._lost is not None and self._lost.done():
            _raise(self._lost.result())
        if self._renew.is_set():
            self._set(FeedState.DISCONNECTED)
            raise _RenewedError

    async def _unless_lost(self, work: Awaitable[None], timeout: float, what: str) -> None:  # noqa: ASYNC109
        """Awaits `work`, but not beyond the loss of the connection, a request to renew, or `timeout` seconds."""
        assert self._lost is not None
        task = asyncio.ensure_future(work)
        renew = asyncio.ensure_future(self._renew.wait())
        try:
            events: set[asyncio.Future[Any]] = {task, self._lost, renew}
            await asyncio.wait(events, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            self._check_lost()
            raise FeedError(f"{what} took longer than {timeout:g} s")
        finally:
            for pending in (task, renew):
                pending.cancel()
            await asyncio.gather(task, renew, return_exceptions=True)

    def _resubscribed(self) -> None:
        """After silence only a frame proves that the feed lives again."""
        if self.state is not FeedState.STALE:
            self._set(FeedState.CONNECTED)

    def _failed(self, error: Exception, delay: float) -> None:
        self.failures += 1
        stalled = isinstance(error, _StalledError)
        if not stalled:
            self._set(FeedState.DISCONNECTED)
        self._log.warning("feed lost", reason=_describe(error), stalled=stalled, retry_s=round(delay, 2))

    async def _park(self, error: Exception) -> None:
        """Waits for new credentials (or a request to start over); trying alone cannot help."""
        refused = isinstance(error, TokenRefusedError)
        self._set(FeedState.REFUSED if refused else FeedState.DISCONNECTED)
        if refused:
            self._log.error("broker refused the access token; waiting for a new one", reason=str(error))
        else:
            self._log.info("feed has ended", reason=str(error))
        await self._renew.wait()

    async def _pause(self, delay: float) -> None:
        try:
            async with asyncio.timeout(delay):
                await self._renew.wait()
        except TimeoutError:
            return

    async def _close(self, connection: FeedConnection) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await connection.close()
        except Exception as error:  # a connection that cannot even close is left behind
            self._log.debug("close failed", reason=_describe(error))

    def _set(self, state: FeedState) -> None:
        if state is not self.state:
            self.state = state
            self._on_state()


def _raise(error: Exception | None) -> NoReturn:
    raise error if error is not None else FeedError("connection closed")


def _describe(error: Exception) -> str:
    """Text for the log. Foreign errors may quote a URL with a token in it: only their type and place are told."""
    if isinstance(error, GatewayError):
        return str(error) or type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
