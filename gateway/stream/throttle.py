"""How often an address may fail to authenticate. Pure: time is an argument, memory is bounded."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from typing import Final

#: Addresses remembered; the one that failed longest ago is forgotten first.
MAX_ADDRESSES: Final = 10_000
#: Good keys remembered, as salted digests.
MAX_KEYS: Final = 10_000
_MINUTE_NS: Final = 60_000_000_000


class AuthThrottle:
    """Counts failures per address in windows of a minute.

    An address is often a proxy or an office: a key that was good before is looked up even while its address is
    blocked, so that one client with a wrong key locks none of its neighbours out.
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._failures: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._salt = os.urandom(16)
        #: digests of keys that were good, the one used longest ago first
        self._good: OrderedDict[bytes, None] = OrderedDict()

    def blocked(self, address: str, now_ns: int, api_key: str = "") -> bool:
        """True while the address has used up its tries and the key is not one that was good before."""
        start, count = self._failures.get(address, (now_ns, 0))
        if now_ns - start >= _MINUTE_NS or count < self.per_minute:
            return False
        return self._digest(api_key) not in self._good

    def passed(self, api_key: str) -> None:
        """Notes a good key."""
        digest = self._digest(api_key)
        self._good[digest] = None
        self._good.move_to_end(digest)
        if len(self._good) > MAX_KEYS:
            self._good.popitem(last=False)

    def failed(self, address: str, now_ns: int, api_key: str = "") -> None:
        """Notes a failed try."""
        self._good.pop(self._digest(api_key), None)
        start, count = self._failures.pop(address, (now_ns, 0))
        if now_ns - start >= _MINUTE_NS:
            start, count = now_ns, 0
        self._failures[address] = (start, count + 1)
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)

    def _digest(self, api_key: str) -> bytes:
        return hashlib.blake2b(api_key.encode(), key=self._salt, digest_size=16).digest()
