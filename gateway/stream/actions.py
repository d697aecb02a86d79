"""What a session decides. The hub performs these; the session itself touches nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.closes import Close
from gateway.stream.protocol import Rows


@dataclass(frozen=True, slots=True)
class Reply:
    """Send one JSON object."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pong:
    """Answer a ping; the hub adds the server's time."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CheckKey:
    """Look a key up; the answer comes back through `Session.key_checked`."""

    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenReader:
    """The client is known: it becomes a reader of the engine and is told so."""

    flat: bool
    feed_status: bool
    echo: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Subscribe the rows and answer."""

    rows: Rows
    window_ms: int
    depth: int
    echo: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Unsubscribe the rows and answer; `rows` None stands for everything."""

    rows: Rows | None
    echo: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Orders:
    """Start (`on`) or stop order updates; `after` asks for what was missed since that number."""

    on: bool
    after: int | None
    echo: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BrokerInfo:
    """Answer what serves this client (`all_brokers`: the list of feeds)."""

    all_brokers: bool
    echo: dict[str, Any]


@dataclass(frozen=True, slots=True)
class End:
    """Close the connection."""

    close: Close


Action = Reply | Pong | CheckKey | OpenReader | Subscribe | Unsubscribe | Orders | BrokerInfo | End
