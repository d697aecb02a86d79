"""Order updates on their way from the bus to their owner's connections."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

import orjson

#: Users whose newest `seq` is remembered.
MAX_USERS: Final = 100_000

_KINDS: Final = ("order_update", "position_update")


class Update(NamedTuple):
    """One update, ready to send."""

    user_id: str
    #: for this connection only, where it answers `after`
    connection: int | None
    text: bytes


class OrderDesk:
    """Reads updates, remembers each user's newest sequence number, asks the trade process for missed ones."""

    def __init__(self) -> None:
        #: set by the market process: publishes an `_orders` request on the tick stream
        self.ask: Callable[[str, int, int], None] = lambda user_id, after, connection: None
        self.malformed = 0
        self.relayed = 0
        self._last: OrderedDict[str, int] = OrderedDict()

    def last(self, user_id: str) -> int:
        """The newest `seq` seen for a user; 0 before the first."""
        return self._last.get(user_id, 0)

    def read(self, payload: bytes) -> Update | None:
        """Checks an update; None (and counted) where it names no user or is no update."""
        try:
            body = orjson.loads(payload)
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict) or not isinstance(user_id := body.get("user_id"), str) or not user_id:
            self.malformed += 1
            return None
        if body.setdefault("type", "order_update") not in _KINDS:
            self.malformed += 1
            return None
        connection = body.pop("conn", None)
        try:
            text = orjson.dumps(body)
        except orjson.JSONEncodeError:  # nested deeper than it writes, though not than it reads
            self.malformed += 1
            return None
        seq = body.get("seq")
        if type(seq) is int:
            self._last[user_id] = max(seq, self._last.pop(user_id, 0))
            if len(self._last) > MAX_USERS:
                self._last.popitem(last=False)
        self.relayed += 1
        return Update(user_id, connection if type(connection) is int else None, text)
