"""Numbers of orders and GTTs: they rise for ever and say nothing."""

from __future__ import annotations

import time
from collections.abc import Callable


class Ids:
    """Makes ids of 16 digits: the microsecond of the wall clock, or the number after the last.

    They never derive from trading time (operating, CLOCK_START), and never repeat, whatever the clock does:
    `newest` is the highest that the database holds.
    """

    def __init__(self, newest: int, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._last = newest
        self._clock_ns = clock_ns

    def __call__(self) -> str:
        """The next id."""
        self._last = max(self._last + 1, self._clock_ns() // 1000)
        return str(self._last)
