"""Which publishers a process runs: by ORDER_EVENT_MODE. A further transport registers itself here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from publishers.base import EventPublisher

if TYPE_CHECKING:
    from gateway.config import Settings

#: makes a publisher; called once, when the process starts
Maker = Callable[[], EventPublisher]

#: the names of the publishers of each mode (order-events)
MODES: Final[dict[str, tuple[str, ...]]] = {
    "SOCKETIO": ("socketio",),
    "KAFKA": ("kafka",),
    "BOTH": ("socketio", "kafka"),
}
_known: Final[dict[str, Callable[[Settings], EventPublisher]]] = {}


def register(name: str, make: Callable[[Settings], EventPublisher], *modes: str) -> None:
    """Adds a transport and the modes that run it (new ones, too). Raises ValueError for a name that is taken."""
    if name in _known:
        raise ValueError(f"there is a publisher {name!r} already")
    _known[name] = make
    for mode in modes:
        MODES[mode] = (*MODES.get(mode, ()), name)


def unregister(name: str) -> None:
    """Takes a transport away again."""
    _known.pop(name, None)
    for mode, names in list(MODES.items()):
        left = tuple(one for one in names if one != name)
        if left:
            MODES[mode] = left
        else:
            del MODES[mode]


def names(mode: str) -> tuple[str, ...]:
    """The publishers of a mode. Raises ValueError for an unknown one."""
    if mode not in MODES:
        raise ValueError(f"ORDER_EVENT_MODE is {mode!r}; it may hold {', '.join(MODES)}")
    return MODES[mode]


def make_publishers(settings: Settings, given: Mapping[str, Maker] | None = None) -> list[EventPublisher]:
    """The publishers that the settings name, in order. `given` makes those that need more than settings (socketio)."""
    ours = given or {}
    return [ours[name]() if name in ours else _known[name](settings) for name in names(settings.order_event_mode)]


def _kafka(settings: Settings) -> EventPublisher:
    # its libraries are loaded where they are used
    from publishers.kafka import KafkaPublisher

    return KafkaPublisher(settings)


register("kafka", _kafka)
