"""python-socketio's client managers, with live events held back while a client is sent what it missed."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import socketio

from gateway import log as logs

log = logs.get(__name__)

NAMESPACE: Final = "/"
#: live events held back for one client; past it the client must come again
HELD_MAX: Final = 5_000


class Held:
    """A client that is being sent what it missed, or was until its live events caught up."""

    __slots__ = ("floor", "live", "lost", "replaying")

    def __init__(self, floor: int) -> None:
        #: the last event the client has: nothing up to it is sent again
        self.floor = floor
        self.live: deque[tuple[str, dict[str, Any]]] = deque()
        self.replaying = True
        #: whether there were too many live events
        self.lost = False


class HoldingManager(socketio.AsyncManager):  # type: ignore[misc]
    """Delivers to the clients of this process."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, Held] = {}

    async def emit(
        self, event: str, data: Any, namespace: str, room: str | None = None, skip_sid: Any = None, **more: Any
    ) -> None:
        """Sends to all clients in `room`; to those that are behind, only when it is their turn."""
        room = more.pop("to", None) or room
        more.pop("ignore_queue", None)
        skip = [skip_sid] if isinstance(skip_sid, str) else list(skip_sid or ())
        if self.held and isinstance(data, dict):
            skip += self._hold_back(event, data, namespace, room)
        await super().emit(event, data, namespace, room=room, skip_sid=skip, **more)

    def _hold_back(self, event: str, data: dict[str, Any], namespace: str, room: str | None) -> list[str]:
        """The clients in `room` that must not get this event now."""
        number, found = data.get("event_id", 0), []
        for sid, _ in self.get_participants(namespace, room):
            held = self.held.get(sid)
            if held is None:
                continue
            if not held.replaying and number > held.floor:
                # caught up
                del self.held[sid]
                continue
            found.append(sid)
            if number > held.floor:
                held.lost = held.lost or len(held.live) >= HELD_MAX
                if not held.lost:
                    held.live.append((event, data))
        return found

    async def send(self, sid: str, event: str, data: dict[str, Any]) -> None:
        """Sends to one client of this process, past what is held back for it."""
        await super().emit(event, data, NAMESPACE, room=sid)

    async def release(self, sid: str, room_for_more: Callable[[], Awaitable[None]]) -> None:
        """Sends what was held back meanwhile, in order and without what the client has; then it is live.

        `room_for_more` waits while the client has not read enough of what it was sent.
        """
        held = self.held.get(sid)
        if held is None:
            return
        while held.live:
            event, data = held.live.popleft()
            if data["event_id"] > held.floor:
                held.floor = data["event_id"]
                await self.send(sid, event, data)
                await room_for_more()
        # the publisher may still be behind what was read from the outbox: the floor stays until it has passed
        held.replaying = False


class SharedManager(socketio.AsyncRedisManager, HoldingManager):  # type: ignore[misc]
    """The same for several processes that share rooms through Redis."""

    def __init__(self, url: str) -> None:
        options = {"socket_connect_timeout": 2, "health_check_interval": 15}
        socketio.AsyncRedisManager.__init__(self, url, redis_options=options)

    async def close(self) -> None:
        """Ends the listening and the connections."""
        task = getattr(self, "thread", None)
        if task is not None:
            task.cancel()
        for one in (self.pubsub, self.redis):
            if one is not None:
                await one.aclose()
