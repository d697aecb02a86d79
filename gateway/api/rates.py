"""Rate limits per key: the words of the `limits` library, exact moving windows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from limits import parse_many

#: (rate, key) pairs remembered before those without recent requests are dropped
_PAIRS_MAX: Final = 4096


class Rate(StrEnum):
    """Which limit an endpoint counts against (operating, `*_RATE_LIMIT`)."""

    API = "API"
    ORDER = "order"
    SMART = "smart order"


class RateSettings(Protocol):
    """The settings that say how much a key may ask."""

    @property
    def api_rate_limit(self) -> str:
        """All calls that are no orders."""

    @property
    def order_rate_limit(self) -> str:
        """Calls that place, modify, cancel or close."""

    @property
    def smart_order_rate_limit(self) -> str:
        """`placesmartorder`."""


class _Window(NamedTuple):
    amount: int
    seconds: int


class Rates:
    """Counts the requests of each key. Own windows on the event loop: the library's memory storage starts a thread
    for nearly every request."""

    def __init__(self, settings: RateSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: dict[tuple[Rate, int, int], deque[float]] = {}
        self.set(settings)

    def set(self, settings: RateSettings) -> None:
        """Takes over other limits; what was counted stays counted. Raises ValueError for words that are none."""
        words = {
            Rate.API: settings.api_rate_limit,
            Rate.ORDER: settings.order_rate_limit,
            Rate.SMART: settings.smart_order_rate_limit,
        }
        self.words = words
        self._windows = {
            rate: [_Window(item.amount, item.get_expiry()) for item in parse_many(text)] for rate, text in words.items()
        }

    def wait(self, rate: Rate, key_id: int) -> float:
        """Counts a request and gives 0, or, where a limit is reached, the seconds until one is allowed again."""
        now, windows = self._clock(), self._windows[rate]
        queues = [self._recent(rate, key_id, window.seconds, now) for window in windows]
        waits = [
            queue[-window.amount] + window.seconds - now if window.amount else float(window.seconds)
            for window, queue in zip(windows, queues, strict=True)
            if len(queue) >= window.amount
        ]
        if waits:
            return max(0.001, *waits)
        for queue in queues:
            queue.append(now)
        return 0.0

    def _recent(self, rate: Rate, key_id: int, seconds: int, now: float) -> deque[float]:
        pair = (rate, key_id, seconds)
        queue = self._times.get(pair)
        if queue is None:
            if len(self._times) >= _PAIRS_MAX:
                self._times = {one: times for one, times in self._times.items() if times and now - times[-1] < one[2]}
            queue = self._times[pair] = deque()
        while queue and queue[0] <= now - seconds:
            queue.popleft()
        return queue
