"""One client's side of the protocol: what it may do now and what its requests mean. No I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from gateway import closes
from gateway.model import Mode, User
from gateway.stream import protocol
from gateway.stream.actions import (
    Action,
    BrokerInfo,
    CheckKey,
    End,
    OpenReader,
    Orders,
    Pong,
    Reply,
    Subscribe,
    Unsubscribe,
)
from gateway.stream.protocol import ProtocolError, Request

#: Failed tries on one connection after which it is closed (closes.AUTH_FAILED).
MAX_AUTH_FAILURES: Final = 3
#: Requests that may wait while a key is looked up.
MAX_WAITING: Final = 64
#: …and their bytes: room for a few requests of the largest size.
MAX_WAITING_BYTES: Final = 262_144

_FORMATS: Final = ("nested", "flat")


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits a session works under."""

    default_window_ms: int = 50
    symbols_per_client: int = 3000
    requests_per_second: float = 200.0
    burst: int = 500


class Phase(Enum):
    """How far a client has come."""

    NEW = "new"
    CHECKING = "checking"
    READY = "ready"
    ENDED = "ended"


class Session:
    """Turns a client's frames into actions. `now_ns` is monotonic time wherever it is an argument."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.phase = Phase.NEW
        self.user: User | None = None
        self.window_ms = rules.default_window_ms
        self.flat = False
        self.feed_status = False
        self._failures = 0
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._auth_echo: dict[str, Any] = {}
        self._tokens = float(rules.burst)
        self._tokens_ns = 0

    def on_message(self, payload: bytes, now_ns: int) -> list[Action]:
        """Everything that follows from one message of the client."""
        if self.phase is Phase.ENDED:
            return []
        if not self._may_ask(now_ns):
            return [_limited(payload, self._rate_text())]
        if self.phase is Phase.CHECKING:
            return self._hold(payload)
        try:
            request = protocol.parse(payload)
        except ProtocolError as error:
            return [Reply(protocol.error(error.code, error.message))]
        return self._on_request(request)

    def key_checked(self, user: User | None, now_ns: int, refusal: ProtocolError | None = None) -> list[Action]:
        """The look-up's result; then everything that waited for it. `refusal` overrides an unknown key's answer."""
        if self.phase is not Phase.CHECKING:
            return []
        echo, self._auth_echo = self._auth_echo, {}
        if user is None:
            self.phase = Phase.NEW
            actions = self._auth_failed(refusal, echo)
        else:
            self.user = user
            self.phase = Phase.READY
            actions = [OpenReader(self.flat, self.feed_status, echo)]
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        for payload in waiting:
            self._tokens += 1  # it was paid for when it came
            actions += self.on_message(payload, now_ns)
        return actions

    def auth_expired(self) -> list[Action]:
        """The grace period is over."""
        if self.phase in (Phase.READY, Phase.ENDED):
            return []
        return self._end(closes.AUTH_TIMEOUT)

    def oversize(self) -> list[Action]:
        """A message over the frame limit."""
        return self._end(closes.TOO_BIG)

    def _end(self, close: closes.Close) -> list[Action]:
        self.phase = Phase.ENDED
        return [End(close)]

    def _may_ask(self, now_ns: int) -> bool:
        refill = (now_ns - self._tokens_ns) * self.rules.requests_per_second / 1e9
        self._tokens = min(float(self.rules.burst), self._tokens + refill) if self._tokens_ns else self._tokens
        self._tokens_ns = now_ns
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _rate_text(self) -> str:
        return f"more than {self.rules.requests_per_second:g} requests per second (burst {self.rules.burst})"

    def _hold(self, payload: bytes) -> list[Action]:
        if len(self._waiting) >= MAX_WAITING or self._waiting_bytes + len(payload) > MAX_WAITING_BYTES:
            return [_limited(payload, "too many requests before the authentication was answered")]
        self._waiting.append(payload)
        self._waiting_bytes += len(payload)
        return []

    def _on_request(self, request: Request) -> list[Action]:
        echo = request.echo
        try:
            return self._act(request, echo)
        except ProtocolError as error:
            kind = "auth" if request.action == "authenticate" else "error"
            return [Reply({**protocol.error(error.code, error.message, kind), **echo})]

    def _act(self, request: Request, echo: dict[str, Any]) -> list[Action]:
        handler = _HANDLERS.get(request.action)
        if self.phase is not Phase.READY and request.action not in ("", "authenticate"):
            raise ProtocolError("NOT_AUTHENTICATED", f"authenticate first; action is {protocol.shown(request.action)}")
        if handler is None:
            named = protocol.shown(request.body.get("action", request.body.get("type")))
            raise ProtocolError("INVALID_ACTION", f"action is {named}; it may be one of {', '.join(sorted(_HANDLERS))}")
        return handler(self, request.body, echo)

    def _authenticate(self, body: dict[str, Any], echo: dict[str, Any]) -> list[Action]:
        if self.phase is Phase.READY:
            raise ProtocolError("AUTHENTICATION_ERROR", "this connection is authenticated already")
        key = body.get("api_key") or body.get("apikey")
        if not isinstance(key, str) or not key.strip():
            return self._auth_failed(ProtocolError("AUTHENTICATION_ERROR", "api_key is missing"), echo)
        shape = body.get("format")
        shape = "nested" if shape is None else shape
        if not isinstance(shape, str) or shape.lower() not in _FORMATS:
            raise ProtocolError(
                "INVALID_PARAMETERS", f"format is {protocol.shown(shape)}; it may be {' or '.join(_FORMATS)}"
            )
        self.window_ms = protocol.bounded_int(
            body, "conflate_ms", self.rules.default_window_ms, 0, protocol.MAX_CONFLATE_MS
        )
        self.flat = shape.lower() == "flat"
        self.feed_status = body.get("feed_status") is True
        self.phase = Phase.CHECKING
        self._auth_echo = echo
        return [CheckKey(key.strip())]

    def _auth_failed(self, refusal: ProtocolError | None, echo: dict[str, Any]) -> list[Action]:
        refusal = refusal or ProtocolError("AUTHENTICATION_ERROR", "unknown or revoked api_key")
        answer = Reply({**protocol.error(refusal.code, refusal.message, "auth"), **echo})
        if refusal.code == "AUTHENTICATION_ERROR":
            self._failures += 1
        if self._failures >= MAX_AUTH_FAILURES:
            return [answer, *self._end(closes.AUTH_FAILED)]
        return [answer]

    def _subscribe(self, body: dict[str, Any], echo: dict[str, Any]) -> list[Action]:
        window = protocol.bounded_int(body, "conflate_ms", self.window_ms, 0, protocol.MAX_CONFLATE_MS)
        depth = protocol.bounded_int(body, "depth", 5, 1, 200)
        rows = protocol.rows_of(body, Mode.QUOTE, self.rules.symbols_per_client * 3)
        return [Subscribe(rows, window, depth, echo)]

    def _unsubscribe(self, body: dict[str, Any], echo: dict[str, Any]) -> list[Action]:
        return [Unsubscribe(protocol.rows_of(body, 0, self.rules.symbols_per_client * 3), echo)]

    def _unsubscribe_all(self, body: dict[str, Any], echo: dict[str, Any]) -> list[Action]:
        return [Unsubscribe(None, echo)]

    def _subscribe_orders(self, body: dict[str, Any], echo: dict[str, Any]) -> list[Action]:
        after = body.get("after")
        if after is not None and (type(after) is not int or not 0 <= after < 2**63):
            raise ProtocolError(
                "INVALID_PARAMETERS", f"after is {protocol.shown(after)}; it may be a seq: a whole number from 0"
            )
        return [Orders(True, after, echo)]

    def _unsubscribe_orders(self, body: dict[str, Any], echo: dict[str, Any]) -> list[Action]:
        return [Orders(False, None, echo)]

    def _broker_info(self, body: dict[str, Any], echo: dict[str, Any]) -> list[Action]:
        return [BrokerInfo(all_brokers=False, echo=echo)]

    def _supported_brokers(self, body: dict[str, Any], echo: dict[str, Any]) -> list[Action]:
        return [BrokerInfo(all_brokers=True, echo=echo)]

    def _ping(self, body: dict[str, Any], echo: dict[str, Any]) -> list[Action]:
        answer: dict[str, Any] = {"type": "pong", "status": "success"}
        if "timestamp" in body:
            answer["client_timestamp"] = body["timestamp"]
        if "_pingId" in body:
            answer["_pingId"] = body["_pingId"]
        return [Pong({**answer, **echo})]


def _limited(payload: bytes, message: str) -> Reply:
    return Reply({**protocol.error("RATE_LIMITED", message), **protocol.echo_of(payload)})


_HANDLERS = {
    "authenticate": Session._authenticate,
    "subscribe": Session._subscribe,
    "unsubscribe": Session._unsubscribe,
    "unsubscribe_all": Session._unsubscribe_all,
    "subscribe_orders": Session._subscribe_orders,
    "unsubscribe_orders": Session._unsubscribe_orders,
    "get_broker_info": Session._broker_info,
    "get_supported_brokers": Session._supported_brokers,
    "ping": Session._ping,
}
