"""What every transport of order events is: the interface that the relay feeds (order-events)."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple

from gateway.errors import GatewayError


class Event(NamedTuple):
    """One event of the outbox, committed."""

    #: rises in order of commit, never used again
    id: int
    user_id: str
    event_type: str
    #: JSON object
    payload: bytes
    #: the user's order-event number; only an `order_update` has one
    seq: int | None
    #: when it was committed; with offset
    created: datetime


class TransportDownError(GatewayError):
    """The transport cannot take events now: the relay tries again, later and later."""


class PoisonError(GatewayError):
    """An event can never be delivered; `event_id` says which, None: the first one of the call."""

    def __init__(self, reason: str, event_id: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.event_id = event_id


#: the method that publishes each event type
METHODS: Final[dict[str, str]] = {
    "order_event": "publish_order_event",
    "modify_order_event": "publish_modify_order_event",
    "cancel_order_event": "publish_cancel_order_event",
    "close_position_event": "publish_close_position_event",
    "analyzer_update": "publish_analyzer_update",
    "order_notification": "publish_order_notification",
    "order_update": "publish_order_update",
    "master_contract_download": "publish_master_contract_download",
    "password_change": "publish_password_change",
}


class EventPublisher(ABC):
    """A transport. A subclass defines `name` and at least one of `publish` and `publish_event`.

    Each is fed by one relay of its own: calls never overlap, and events come in the order of their ids, at least once.
    Every method that publishes returns once the transport has acknowledged, and raises TransportDownError (tried
    again) or PoisonError (set aside); any other error counts against the first event of the call, and after bounded
    tries as poison.
    """

    #: short, fixed: the cursor in the database and the metrics bear it
    name: ClassVar[str]
    #: most events of one `publish`
    batch: ClassVar[int] = 500

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if cls.publish is EventPublisher.publish and cls.publish_event is EventPublisher.publish_event:
            raise TypeError(f"{cls.__name__} must define publish or publish_event")

    async def start(self) -> None:  # noqa: B027 - a transport may have nothing to prepare
        """Prepares. Must not wait for a transport that is away."""

    async def stop(self) -> None:  # noqa: B027 - nor to let go of
        """Lets go of everything, after what is under way went out (at most 5 s)."""

    async def resume(self, cursor: int) -> int:
        """Called with the id of the last delivered event before the first `publish`; gives where to go on from.

        A transport that knows it already holds all events up to a later one gives that one's id. Raises
        TransportDownError.
        """
        return cursor

    async def publish(self, events: Sequence[Event]) -> int:
        """Delivers events in order; gives how many from the front were delivered and acknowledged.

        An error is raised only where none was. By default they go one by one to the method of their type.
        """
        done = 0
        for event in events:
            try:
                await getattr(self, METHODS.get(event.event_type, "publish_event"))(event)
            except Exception:
                if done:
                    return done
                raise
            done += 1
        return done

    async def publish_event(self, event: Event) -> None:
        """Delivers one event of any type."""
        await self.publish((event,))

    async def publish_order_event(self, event: Event) -> None:
        """An order was placed (live)."""
        await self.publish_event(event)

    async def publish_modify_order_event(self, event: Event) -> None:
        """An order was modified (live)."""
        await self.publish_event(event)

    async def publish_cancel_order_event(self, event: Event) -> None:
        """An order, or all, were cancelled (live)."""
        await self.publish_event(event)

    async def publish_close_position_event(self, event: Event) -> None:
        """Positions were squared off (live)."""
        await self.publish_event(event)

    async def publish_analyzer_update(self, event: Event) -> None:
        """An order call was made in analyze (sandbox) mode."""
        await self.publish_event(event)

    async def publish_order_notification(self, event: Event) -> None:
        """Something a user should see that changed no order."""
        await self.publish_event(event)

    async def publish_order_update(self, event: Event) -> None:
        """An order changed: fill, trigger, rejection, expiry."""
        await self.publish_event(event)

    async def publish_master_contract_download(self, event: Event) -> None:
        """An instrument master was loaded."""
        await self.publish_event(event)

    async def publish_password_change(self, event: Event) -> None:
        """Credentials or an API key were changed."""
        await self.publish_event(event)
