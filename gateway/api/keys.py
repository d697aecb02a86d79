"""API keys of requests: look-ups in worker threads, remembered for less than a second."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from gateway.errors import CapacityError, StoreError
from gateway.model import User

#: how long an answer counts, s: a revoked key ends, and a new one works, within 1 s of the change (operating, `keys`)
TTL_S: Final = 0.8
#: most keys remembered
KEYS_MAX: Final = 4096
#: most look-ups under way; past it a request is told to come again
WAITING_MAX: Final = 256
#: how long a look-up may take before the database counts as away, s
PATIENCE_S: Final = 5.0


class Keys:
    """Finds the owner of a key. `verify` (KeyStore.verify) runs in two worker threads.

    Keys are remembered by their SHA-256, so that no copy of one stays in memory.
    """

    def __init__(self, verify: Callable[[str], User | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._verify = verify
        self._clock = clock
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="api-keys")
        self._known: OrderedDict[bytes, tuple[float, User | None]] = OrderedDict()
        self._waiting: dict[bytes, asyncio.Task[User | None]] = {}

    async def look_up(self, api_key: str) -> User | None:
        """The owner of an active key, or None. Raises StoreError, or CapacityError where too many wait."""
        name = hashlib.sha256(api_key.encode("utf-8", "surrogatepass")).digest()
        entry = self._known.get(name)
        if entry is not None and self._clock() < entry[0]:
            return entry[1]
        task = self._waiting.get(name)
        if task is None:
            if len(self._waiting) >= WAITING_MAX:
                raise CapacityError("too many keys are being looked up", WAITING_MAX)
            task = self._waiting[name] = asyncio.create_task(self._ask(name, api_key))
        try:
            async with asyncio.timeout(PATIENCE_S):
                # one look-up answers everyone who asks meanwhile, whoever of them goes away
                return await asyncio.shield(task)
        except TimeoutError:
            raise StoreError(f"looking a key up took more than {PATIENCE_S:g} s") from None

    async def _ask(self, name: bytes, api_key: str) -> User | None:
        # counted from before the look-up: what it says may be as old as its start
        until = self._clock() + TTL_S
        try:
            user = await asyncio.get_running_loop().run_in_executor(self._pool, self._verify, api_key)
        finally:
            del self._waiting[name]
        self._known[name] = (until, user)
        self._known.move_to_end(name)
        if len(self._known) > KEYS_MAX:
            self._known.popitem(last=False)
        return user

    def forget(self) -> None:
        """Forgets what was looked up: the next request asks the database."""
        self._known.clear()

    def close(self) -> None:
        """Ends the threads; look-ups under way are let go."""
        self._pool.shutdown(wait=False, cancel_futures=True)
