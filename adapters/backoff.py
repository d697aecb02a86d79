"""How long to wait before the next try: exponential with jitter, short at first, patient in a long outage."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds. `cap` holds during the first `patience` seconds of an outage, `long_cap` after.

    With the defaults a feed server that comes back within five minutes is tried again at most 4 s later.
    """

    first: float = 0.1
    cap: float = 4.0
    long_cap: float = 30.0
    patience: float = 300.0

    def delay(self, attempt: int, outage_s: float, rng: random.Random) -> float:
        """Seconds before try number `attempt` (from 0), from half to the whole of the exponential step."""
        cap = self.cap if outage_s < self.patience else self.long_cap
        step = min(cap, self.first * 2.0 ** min(attempt, 30))
        return step * rng.uniform(0.5, 1.0)
