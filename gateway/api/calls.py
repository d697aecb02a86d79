"""The way of one request: key, limit, fields, service, answer."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import JSON, Answer, failure, is_long, refused, streamed
from gateway.api.body import body_fields, query_fields
from gateway.api.idempotency import Answers, OnceKey, checked_key
from gateway.api.metrics import ApiMetrics
from gateway.api.rates import Rate, Rates
from gateway.api.refusals import RefusedError, refusal_of
from gateway.model import User
from gateway.trade.ports import TradeService
from gateway.wire import encode

log = structlog.get_logger(__name__)

LookUp = Callable[[str], Awaitable[User | None]]
#: requests under way at once; past it a request is told to come again
UNDER_WAY_MAX: Final = 1024
_KEY_MAX: Final = 256


class Calls:
    """Turns requests into calls of the TradeService and its answers into responses. Never raises."""

    def __init__(
        self, service: TradeService, look_up: LookUp, rates: Rates, answers: Answers, metrics: ApiMetrics
    ) -> None:
        self._service = service
        self._look_up = look_up
        self._rates = rates
        self._answers = answers
        self._metrics = metrics
        self._under_way = 0

    async def answer(
        self, request: Request, name: str, rate: Rate = Rate.API, changes: bool = False, served: bool = True
    ) -> Response:
        """The response to a request for endpoint `name`. `changes`: it is logged, and `Idempotency-Key` counts.

        What is not `served` gets status 501, once the key is known.
        """
        began, who = time.perf_counter(), _Who()
        self._under_way += 1
        try:
            response = await self._guarded(request, name, rate, changes and served, served, who)
        finally:
            self._under_way -= 1
        self._tell(request, name, response.status_code, changes, who, time.perf_counter() - began)
        return response

    async def _guarded(
        self, request: Request, name: str, rate: Rate, changes: bool, served: bool, who: _Who
    ) -> Response:
        try:
            if self._under_way > UNDER_WAY_MAX:
                raise RefusedError(503, f"{UNDER_WAY_MAX} requests are under way; try again", {"Retry-After": "1"})
            fields = await (query_fields(request) if request.method == "GET" else body_fields(request))
            who.user = user = await self._owner(request, fields)
            self._count(rate, user)
            if not served:
                raise RefusedError(501, f"this gateway does not serve {name}")
            if changes and "idempotency-key" in request.headers:
                return await self._once(request, user, name, fields)
            return await self._call(user, name, fields)
        except Exception as error:
            refusal = refusal_of(error)
            return refused(refusal) if refusal else _unforeseen(name)

    async def _owner(self, request: Request, fields: dict[str, Any]) -> User:
        given = fields.pop("apikey", None)
        key = request.headers.get("x-api-key") or given
        if key is None or key == "":
            where = "in the query" if request.method == "GET" else "in the body"
            raise RefusedError(401, f"apikey is missing; it must be given {where} or as header X-API-KEY")
        if not isinstance(key, str):
            raise RefusedError(400, "apikey is no text; it must be a text")
        user = await self._look_up(key) if len(key) <= _KEY_MAX else None
        if user is None:
            raise RefusedError(403, "apikey is not valid; `gateway keys list` shows which keys are active")
        return user

    def _count(self, rate: Rate, user: User) -> None:
        wait = self._rates.wait(rate, user.key_id)
        if wait:
            message = f"too many requests: the {rate} limit is {self._rates.words[rate]} for each key"
            raise RefusedError(429, message, {"Retry-After": str(math.ceil(wait))})

    async def _call(self, user: User, name: str, fields: Mapping[str, Any]) -> Response:
        found = _succeeded(await self._service.call(user.user_id, name, fields))
        return streamed(found) if is_long(found) else Response(encode(found), media_type=JSON)

    async def _once(self, request: Request, user: User, name: str, fields: Mapping[str, Any]) -> Response:
        key = checked_key(request.headers["idempotency-key"])
        once = OnceKey(name, key, fields)
        answer, again = await self._answers.once(
            (user.user_id, name, key), once.digest, lambda: self._settled(user, name, fields, once)
        )
        headers = {"Idempotent-Replayed": "true"} if again else {}
        if answer.status == 503:
            headers["Retry-After"] = "1"
        return Response(answer.body, answer.status, headers, JSON)

    async def _settled(self, user: User, name: str, fields: Mapping[str, Any], once: OnceKey) -> tuple[Answer, bool]:
        """The answer whatever happens, and whether an earlier process gave it: refusals are answers too."""
        try:
            kept = await self._service.kept(user.user_id, once.key)
            if kept is not None:
                once.must_be(kept.digest)
                return Answer(kept.status, kept.answer), True
            found = _succeeded(await self._service.call(user.user_id, name, fields, once))
            return Answer(200, encode(found)), False
        except Exception as error:
            refusal = refusal_of(error)
            if refusal:
                return failure(refusal.status, refusal.message, refusal.orderid), False
            response = _unforeseen(name)
            return Answer(response.status_code, bytes(response.body)), False

    def _tell(self, request: Request, name: str, status: int, changes: bool, who: _Who, seconds: float) -> None:
        self._metrics.count(name, status, seconds)
        # the path is the endpoint's name, never the URL: a query holds the key
        fields = {"endpoint": name, "method": request.method, "status": status, "ms": round(seconds * 1e3, 1)}
        (log.info if changes or status >= 500 else log.debug)("request", user=who.name, **fields)


class _Who:
    """Whose request it is, once that is known."""

    user: User | None = None

    @property
    def name(self) -> str:
        return self.user.user_id if self.user else ""


def _succeeded(answer: dict[str, Any]) -> dict[str, Any]:
    return answer if "status" in answer else {"status": "success", **answer}


def _unforeseen(name: str) -> Response:
    """500; the log has the reason, under a reference that the client is given."""
    reference = secrets.token_hex(4)
    log.exception("request failed", endpoint=name, reference=reference)
    return refused(RefusedError(500, f"internal error; the gateway's log says more under reference {reference}"))
