"""API keys in the market process: look-ups and revocations, both in one worker thread off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from gateway.errors import StoreError
from gateway.log import limited
from gateway.model import User
from gateway.ports import KeyVerifier

log = structlog.get_logger(__name__)

#: How often revocations are looked for, s; a revoked key's connections end within 1 s.
_POLL_S: Final = 0.4


class Keys:
    """Runs a KeyVerifier in its thread.

    `changed` says cheaply whether the database may have changed: a query's Python work would hold up ticks.
    """

    def __init__(
        self,
        verifier: KeyVerifier,
        last_revocation: int,
        on_revoked: Callable[[list[int]], None],
        changed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._verifier = verifier
        self._changed = changed
        self._seen = last_revocation
        self._on_revoked = on_revoked
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="keys")
        self._watch: asyncio.Task[None] | None = None
        #: whether the last access to the database worked
        self.healthy = True

    def start(self) -> None:
        """Begins to watch for revocations."""
        self._watch = asyncio.get_running_loop().create_task(self._poll())

    async def stop(self) -> None:
        """Ends the thread."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def look_up(self, api_key: str) -> User | None:
        """The owner of an active key. Raises StoreError."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._verifier.verify, api_key)

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_POLL_S)
            if self.healthy and not self._changed():
                continue
            try:
                self._seen, gone = await loop.run_in_executor(self._pool, self._verifier.revoked_since, self._seen)
                if gone:
                    self._on_revoked(gone)
            except StoreError as error:
                self.healthy = False
                limited(log, "revocations").error("revoked keys cannot be looked up", error=str(error))
            except Exception:
                # Whatever it was: revocations must go on being looked for.
                self.healthy = False
                limited(log, "revocations").exception("revoked keys cannot be looked up")
            else:
                self.healthy = True
