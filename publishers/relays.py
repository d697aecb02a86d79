"""All relays of a process: started, woken, measured, pruned behind and stopped together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway import log as logs
from gateway.errors import StoreError
from publishers.base import EventPublisher
from publishers.cursors import Outbox
from publishers.relay import Relay, utc_now

log = logs.get(__name__)

#: how often backlogs are measured, s
MEASURE_S: Final = 1.0
#: a backlog older than this is no longer ready, s
READY_S: Final = 60.0
#: delivered events are kept so long: WebSocket and Socket.IO clients ask for what they missed
KEEP: Final = timedelta(hours=24)
#: events deleted in one transaction, and pause between transactions, s, while there are more and when there are none
PRUNE_ROWS: Final = 1_000
PRUNE_BUSY_S: Final = 1.0
PRUNE_IDLE_S: Final = 60.0


class Relays:
    """One relay for each publisher. `now` is trading time, which the events bear. Lives on one event loop."""

    def __init__(
        self, outbox: Outbox, publishers: Sequence[EventPublisher], now: Callable[[], datetime] = utc_now
    ) -> None:
        self.relays = tuple(Relay(outbox, publisher, now) for publisher in publishers)
        #: for the exposition of the process
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._outbox, self._now = outbox, now
        self._names = tuple(relay.name for relay in self.relays)
        self._care: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins with what the outbox holds."""
        for relay in self.relays:
            relay.start()
        self._care = asyncio.create_task(self._look_after())

    def wake(self, last_id: int) -> None:
        """Events up to number `last_id` were committed. Cheap; belongs to the event loop."""
        for relay in self.relays:
            relay.wake(last_id)

    async def stop(self) -> None:
        """Delivers what is there for at most 1 s and stores how far each publisher came."""
        if self._care is not None:
            self._care.cancel()
            await asyncio.gather(self._care, return_exceptions=True)
        await asyncio.gather(*(relay.stop() for relay in self.relays))

    def ready(self) -> bool:
        """Whether every relay runs and no publisher is more than 60 s behind."""
        return all(not relay.ended and relay.oldest_s() <= READY_S for relay in self.relays)

    def status(self) -> dict[str, str]:
        """Each publisher in a few words."""
        return {relay.name: _words(relay) for relay in self.relays}

    def collect(self) -> Iterator[Metric]:
        """The `gateway_outbox_*` families. Called by prometheus-client."""
        for name, (rises, text, read) in _FAMILIES.items():
            kind = CounterMetricFamily if rises else GaugeMetricFamily
            family: Any = kind(name, text, labels=["publisher"])
            for relay in self.relays:
                family.add_metric([relay.name], read(relay))
            yield family

    async def _look_after(self) -> None:
        """Measures and prunes until cancelled; a database that is away is asked again later."""
        prune_at = time.monotonic() + PRUNE_BUSY_S
        while True:
            try:
                for relay in self.relays:
                    await relay.measure()
                if time.monotonic() >= prune_at:
                    more = await self.prune() == PRUNE_ROWS
                    prune_at = time.monotonic() + (PRUNE_BUSY_S if more else PRUNE_IDLE_S)
            except StoreError as error:
                logs.limited(log, "care").warning("the outbox cannot be looked after", reason=str(error))
            except Exception:
                logs.limited(log, "care").exception("the outbox cannot be looked after")
            await asyncio.sleep(MEASURE_S)

    async def prune(self) -> int:
        """Deletes at most 1,000 events that every publisher delivered and that are older than a day; how many."""
        return await asyncio.to_thread(self._outbox.prune, self._names, self._now() - KEEP, PRUNE_ROWS)


def _words(relay: Relay) -> str:
    rows, age = relay.backlog.rows, relay.oldest_s()
    text = f"{rows} events wait, the oldest for {age:.0f} s" if rows else "all delivered"
    return f"{text}; {relay.trouble}" if relay.trouble else text


#: family -> whether it only rises, help, reading
_FAMILIES: Final[dict[str, tuple[bool, str, Callable[[Relay], float]]]] = {
    "gateway_outbox_backlog": (False, "Events not delivered yet", lambda one: one.backlog.rows),
    "gateway_outbox_oldest_seconds": (False, "Age of the oldest event not delivered, s", Relay.oldest_s),
    "gateway_outbox_published": (True, "Events delivered", lambda one: one.published),
    "gateway_outbox_failures": (True, "Tries that failed", lambda one: one.failures),
    "gateway_outbox_poisoned": (True, "Events set aside, see table outbox_poison", lambda one: one.poisoned),
}
