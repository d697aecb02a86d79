"""python-socketio's client managers, with live events held back while a client is sent what it missed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import orjson
import socketio
from redis.exceptions import RedisError

from gateway import log as logs
from gateway.errors import StoreError
from publishers.base import Event, TransportDownError

log = logs.get(__name__)

#: `Outbox.missed`: user (None: all), after which event, how many at most
History = Callable[[str | None, int, int], list[Event]]
NAMESPACE: Final = "/"
#: live events held back for one client; past it the client must come again
HELD_MAX: Final = 5_000

#: a relay repeats at most so many events; a number that is further back belongs to another database
REPEATED_MAX: Final = 20_000
#: how long Redis may take for one event, s, and how long to wait until it is asked again
REDIS_S: Final = 3.0
_AGAIN_S: Final = 0.5


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
        #: the last event this process told its clients; 0: none yet
        self.told = 0

    async def emit(
        self, event: str, data: Any, namespace: str, room: str | None = None, skip_sid: Any = None, **more: Any
    ) -> None:
        """Sends to all clients in `room`; to those that are behind, only when it is their turn."""
        room = more.pop("to", None) or room
        more.pop("ignore_queue", None)
        if isinstance(data, dict) and not self._is_new(data.get("event_id", 0)):
            return
        skip = [skip_sid] if isinstance(skip_sid, str) else list(skip_sid or ())
        if self.held and isinstance(data, dict):
            skip += self._hold_back(event, data, namespace, room)
        await super().emit(event, data, namespace, room=room, skip_sid=skip, **more)

    def _is_new(self, number: int) -> bool:
        """False for an event that was told already: a relay repeats the last ones after a crash."""
        if self.told - REPEATED_MAX < number <= self.told:
            return False
        self.told = number
        return True

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
    """The same for several processes that share rooms through Redis.

    While Redis is away events wait in the outbox. A process that did not hear Redis for a while reads from the outbox
    what was told meanwhile.
    """

    #: redis.asyncio's client and its subscription
    redis: Any
    pubsub: Any

    def __init__(self, url: str, history: History) -> None:
        options = {"socket_connect_timeout": 2, "health_check_interval": 15}
        socketio.AsyncRedisManager.__init__(self, url, redis_options=options)
        self._history = history
        #: room of an event's user
        self.room: Callable[[str], str] = str

    async def close(self) -> None:
        """Ends the listening and the connections."""
        task = getattr(self, "thread", None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for one in (self.pubsub, self.redis):
            if one is not None:
                await one.aclose()

    async def _publish(self, data: dict[str, Any]) -> None:
        """Tells the other processes. Raises TransportDownError, where the library only writes to the log."""
        try:
            if not self.connected:
                self._redis_connect()
            async with asyncio.timeout(REDIS_S):
                await self.redis.publish(self.channel, self.json.dumps(data))
        except (RedisError, OSError, TimeoutError) as error:
            if data.get("method") == "emit":
                raise TransportDownError(f"Redis: {type(error).__name__}") from None

    async def _redis_listen_with_retries(self) -> AsyncIterator[Any]:
        """What other processes tell; comes back within a second of Redis, without a gap."""
        while True:
            try:
                if not self.connected:
                    self._redis_connect()
                await self.pubsub.subscribe(self.channel)
                await self._catch_up()
                async for message in self.pubsub.listen():
                    yield message
            except (RedisError, OSError, StoreError) as error:
                logs.limited(log, "redis", 0.1).warning("Redis is away", reason=type(error).__name__)
            await self.pubsub.aclose()
            await asyncio.sleep(_AGAIN_S)
            # the client makes new connections itself; a subscription is begun anew, so that we know of the gap
            self.pubsub = self.redis.pubsub(ignore_subscribe_messages=True)

    async def _catch_up(self) -> None:
        """Tells what was published while this process did not listen."""
        while self.told:
            events = await asyncio.to_thread(self._history, None, self.told, 500)
            for event in events:
                data = {**orjson.loads(event.payload), "event_id": event.id}
                await HoldingManager.emit(self, event.event_type, data, NAMESPACE, room=self.room(event.user_id))
            if len(events) < 500:
                return
