"""One call on its way: its user, its fields, and the transaction it may start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.trade.core.errors import OrderError, wrong
from gateway.trade.desk import Desk
from gateway.trade.user import Entry, Work


class Call:
    """What a handler is given. `start` begins the transaction: from then on it must not await anything."""

    def __init__(self, desk: Desk, entry: Entry, endpoint: str, fields: Mapping[str, Any]) -> None:
        self.desk = desk
        self.entry = entry
        self.endpoint = endpoint
        self.fields = fields
        #: the call is refused, and that is recorded: it is committed, then raised
        self.refusal: OrderError | None = None
        self.work: Work | None = None

    def start(self) -> Work:
        """The transaction, on top of everything decided so far."""
        if self.work is None:
            self.work = self.desk.work(self.entry)
        return self.work


def objects(fields: Mapping[str, Any], name: str, most: int) -> Sequence[Mapping[str, Any]]:
    """A list of 1 to `most` JSON objects. Raises InvalidError."""
    value = fields.get(name)
    may = f"a list of 1 to {most} objects"
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise wrong(name, value if isinstance(value, str | int | None) else type(value).__name__, may)
    if not 1 <= len(value) <= most:
        raise wrong(name, f"a list of {len(value)}", may)
    return value
