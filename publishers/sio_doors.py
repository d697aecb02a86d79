"""Who may listen on Socket.IO: keys from `auth` or the query, wrong ones throttled by address."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from socketio.exceptions import ConnectionRefusedError as RefusedError

from gateway.model import User
from gateway.stream.throttle import AuthThrottle

#: where `place_key` leaves the key of a query
_PLACE: Final = "gateway.api_key"
_NAMES: Final = ("apikey", "api_key")
_KEY_MAX: Final = 512
_ID_MAX: Final = 2**63 - 1
#: revoked keys are remembered so long: a look-up may have begun before, s
_REMEMBER_S: Final = 60.0


class Visit(NamedTuple):
    """A client that was let in."""

    eio_sid: str
    #: empty where everyone may listen
    user_id: str
    #: database id of its key; 0: none
    key_id: int
    #: the last event it has; None: it asks for nothing missed
    last_event_id: int | None


def place_key(scope: MutableMapping[str, Any]) -> None:
    """Takes the key out of an ASGI scope's query, so that no log of the server shows it."""
    query = scope.get("query_string", b"")
    if b"api" not in query.lower() and b"%" not in query:
        return
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    keys = [value for name, value in pairs if name.lower() in _NAMES]
    if keys:
        scope[_PLACE] = keys[-1]
        scope["query_string"] = urlencode([one for one in pairs if one[0].lower() not in _NAMES]).encode()


class Doors:
    """Lets clients in. Refusals are socketio's ConnectionRefusedError with a text for the client."""

    def __init__(self, look_up: Callable[[str], Awaitable[User | None]], per_minute: int, public: bool = False) -> None:
        self._look_up, self._public = look_up, public
        self._throttle = AuthThrottle(per_minute)
        #: ids of keys that were revoked lately, and when (monotonic, s)
        self.revoked: dict[int, float] = {}

    async def admit(self, eio_sid: str, scope: Mapping[str, Any], auth: Any) -> Visit:
        """Finds out who it is. Raises StoreError and CapacityError where that cannot be told now."""
        fields = auth if isinstance(auth, dict) else {}
        last = _last_event_id(fields.get("last_event_id"))
        if self._public:
            return Visit(eio_sid, "", 0, last)
        key = next((fields[name] for name in _NAMES if fields.get(name)), scope.get(_PLACE, ""))
        if not isinstance(key, str) or not key or len(key) > _KEY_MAX:
            raise RefusedError("auth needs apikey, the API key as text")
        address = str((scope.get("client") or ("",))[0])
        if self._throttle.blocked(address, time.monotonic_ns(), key):
            raise RefusedError("too many wrong API keys from this address; try again in a minute")
        user = await self._look_up(key)
        if user is None or user.key_id in self.revoked:
            self._throttle.failed(address, time.monotonic_ns(), key)
            raise RefusedError("the API key is not valid")
        self._throttle.passed(key)
        return Visit(eio_sid, user.user_id, user.key_id, last)

    def revoke(self, key_ids: Iterable[int]) -> None:
        """Notes keys that were revoked."""
        now = time.monotonic()
        self.revoked = {one: at for one, at in self.revoked.items() if now - at < _REMEMBER_S}
        self.revoked.update(dict.fromkeys(key_ids, now))


def _last_event_id(value: Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _ID_MAX:
        raise RefusedError(f"last_event_id is {str(value)[:40]!r}; it may hold a whole number from 0")
    return value
