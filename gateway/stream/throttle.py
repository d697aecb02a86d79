"""How often an address may fail to authenticate. Pure: time is an argument, memory is bounded."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

#: Addresses remembered; the one that failed longest ago is forgotten first.
MAX_ADDRESSES: Final = 10_000
_MINUTE_NS: Final = 60_000_000_000


class AuthThrottle:
    """Counts failures per address in windows of a minute."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._failures: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def blocked(self, address: str, now_ns: int) -> bool:
        """True while the address has used up its tries."""
        start, count = self._failures.get(address, (now_ns, 0))
        return now_ns - start < _MINUTE_NS and count >= self.per_minute

    def failed(self, address: str, now_ns: int) -> None:
        """Notes a failed try."""
        start, count = self._failures.pop(address, (now_ns, 0))
        if now_ns - start >= _MINUTE_NS:
            start, count = now_ns, 0
        self._failures[address] = (start, count + 1)
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)
