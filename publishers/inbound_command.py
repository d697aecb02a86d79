"""A command as another system writes it: the envelope of order-events, checked. Pure: no I/O, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway.api.body import parse
from gateway.api.refusals import RefusedError
from gateway.errors import GatewayError
from gateway.trade.core.errors import OrderError
from gateway.trade.ports import Kept
from gateway.wire import encode

#: event type → endpoint of the REST API
ENDPOINTS: Final = {"place_order": "placeorder", "modify_order": "modifyorder", "cancel_order": "cancelorder"}
VERSIONS: Final = ("1.0",)
#: longest message, bytes
BYTES_MAX: Final = 64 << 10
_ID_MAX: Final = 255
#: longest name of a user in the database
_USER_MAX: Final = 64
_SECRET: Final = frozenset({"apikey", "api_key"})


class MalformedError(GatewayError):
    """A message that is no command; the text names the field, what it was and what it must be."""


@dataclass(frozen=True, slots=True)
class Command:
    """One call to perform for one user."""

    event_id: str
    user_id: str
    endpoint: str
    #: the request's JSON object, without any API key
    fields: Mapping[str, Any]


def command_of(value: bytes) -> Command:
    """Reads a message's value. Raises MalformedError."""
    if len(value) > BYTES_MAX:
        raise MalformedError(f"the message has {len(value)} bytes; it must have at most {BYTES_MAX}")
    try:
        envelope = parse(value)
    except RefusedError as error:
        raise MalformedError(error.message.replace("the body", "the message")) from None
    kind, version, data = envelope.get("event_type"), envelope.get("version"), envelope.get("data")
    if not isinstance(kind, str) or kind not in ENDPOINTS:
        raise _wrong("event_type", kind, "place_order, modify_order or cancel_order")
    if version not in VERSIONS:
        raise _wrong("version", version, "'1.0'")
    if not isinstance(data, dict):
        raise MalformedError(f"data is a {type(data).__name__}; it must be an object with the fields of the REST call")
    fields = {name: held for name, held in data.items() if name.lower() not in _SECRET}
    user_id = _text(envelope, "user_id", _USER_MAX)
    return Command(_text(envelope, "event_id", _ID_MAX), user_id, ENDPOINTS[kind], fields)


def _text(envelope: Mapping[str, Any], name: str, longest: int) -> str:
    held = envelope.get(name)
    if not isinstance(held, str) or not 1 <= len(held) <= longest or not held.isprintable():
        raise _wrong(name, held, f"1 to {longest} printable characters")
    return held


def _wrong(name: str, held: object, may: str) -> MalformedError:
    shown = repr(held) if held is None or isinstance(held, str) else f"a {type(held).__name__}"
    return MalformedError(f"{name} is {shown[:80]}; it must be {may}")


@dataclass(slots=True)
class OnceCommand:
    """What is kept in the order's own transaction, so that the command is not performed again (see Once)."""

    command: Command
    #: whether the trade service kept, and so told, an outcome
    asked: bool = False
    key: str = field(init=False)
    _digest: str = field(init=False)

    def __post_init__(self) -> None:
        command = self.command
        # a digest, so that an id of any length fits its column
        self.key = "kafka:" + hashlib.sha256(command.event_id.encode()).hexdigest()
        body = command.endpoint.encode() + b"\n" + encode(command.fields, orjson.OPT_SORT_KEYS)
        self._digest = hashlib.sha256(body).hexdigest()

    def success(self, answer: Mapping[str, Any]) -> Kept:
        """See Once."""
        self.asked = True
        return Kept(self.key, self._digest, 200, encode(answer))

    def refusal(self, error: Exception) -> Kept:
        """Kept whatever the reason was: the refusal is told by an event, and a later success would contradict it."""
        self.asked = True
        status = error.status if isinstance(error, OrderError) else 400
        return Kept(self.key, self._digest, status, encode({"status": "error", "message": str(error)}))
