"""The REST API (rest-api) as an ASGI application around a TradeService."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.api import document
from gateway.api.answers import JSON, refused
from gateway.api.calls import Calls, LookUp
from gateway.api.endpoints import ENDPOINTS, NOT_SERVED, NOT_SERVED_BELOW, Endpoint
from gateway.api.idempotency import Answers
from gateway.api.metrics import ApiMetrics
from gateway.api.pages import Readiness, add_pages
from gateway.api.rates import Rates, RateSettings
from gateway.api.refusals import RefusedError
from gateway.api.replies import Rows
from gateway.trade.ports import TradeService
from gateway.wire import encode

ROOT: Final = "/api/v1"
#: pages of this machine; the gateway's own origin needs no permission
_LOCALHOST: Final = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?"


class Api(FastAPI):
    """FastAPI with a short way to what it need not look at: it would be half the cost of an order.

    A POST of one of the API's own endpoints that comes from no page of another origin goes straight to `Calls`, which
    reads, bounds and answers requests itself and never raises. Everything else goes through the framework.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        #: what answers a POST of a path
        self.straight: dict[str, Callable[[Request], Awaitable[Response]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        call = self.straight.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if call is None or any(name == b"origin" for name, _ in scope["headers"]):
            await super().__call__(scope, receive, send)
            return
        response = await call(Request(scope, receive, send))
        await response(scope, receive, send)


class ApiSettings(RateSettings, Protocol):
    """The settings that the API reads."""

    @property
    def metrics_public(self) -> bool:
        """Whether others than loopback see /metrics."""

    @property
    def cors_allowed_origins(self) -> tuple[str, ...]:
        """Origins whose pages may call; empty: localhost on any port; `*`: all."""


def create_app(
    service: TradeService,
    look_up: LookUp,
    settings: ApiSettings,
    *,
    ready: Readiness,
    metrics: Callable[[], bytes],
    websocket_url: Callable[[], str],
    counts: ApiMetrics | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Api:
    """The application. `look_up` is `Keys.look_up`; `ready` names what /readyz asks; `metrics` renders /metrics.

    `counts.registry` belongs into that rendering. `clock` (s) measures limits and the life of kept answers. New rate
    limits are taken over by `app.state.rates.set(settings)`.
    """
    app = Api(title="OpenAlgo gateway", openapi_url="/openapi.json", docs_url=None, redoc_url=None)
    rates = Rates(settings, clock)
    calls = Calls(service, look_up, rates, Answers(clock), counts or ApiMetrics())
    app.state.rates, app.state.calls = rates, calls
    for endpoint in ENDPOINTS:
        _add(app, calls, endpoint)
    _add_instruments(app, calls)
    _add_not_served(app, calls)
    _add_websocket_config(app, websocket_url)
    add_pages(app, ready, metrics, settings.metrics_public)
    _add_errors(app)
    _add_cors(app, settings.cors_allowed_origins)
    app.openapi = lambda: document.describe(app)  # type: ignore[method-assign]
    return app


def _add(app: Api, calls: Calls, endpoint: Endpoint) -> None:
    async def call(request: Request) -> Response:
        return await calls.answer(request, endpoint.path, endpoint.rate, endpoint.changes)

    extra: dict[str, Any] = {**document.body(endpoint.request), "security": [{"key": []}, {}]}
    if endpoint.changes:
        extra["parameters"] = [document.IDEMPOTENCY]
    _route(app, endpoint.path, call, "POST", extra, endpoint.summary, {200: {"model": endpoint.reply}})
    app.straight[f"{ROOT}/{endpoint.path}"] = call


def _add_instruments(app: FastAPI, calls: Calls) -> None:
    async def call(request: Request) -> Response:
        return await calls.answer(request, "instruments")

    texts = {"exchange": "only this exchange", "apikey": "API key; or header X-API-KEY"}
    parameters = [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}} for name, text in texts.items()
    ]
    extra: dict[str, Any] = {"parameters": parameters, "security": [{"key": []}, {}]}
    _route(app, "instruments", call, "GET", extra, "All instruments", {200: {"model": Rows}})


def _add_not_served(app: FastAPI, calls: Calls) -> None:
    async def call(request: Request) -> Response:
        name = request.url.path.removeprefix(f"{ROOT}/")
        known = name if name in NOT_SERVED else "this endpoint"
        return await calls.answer(request, known, served=False)

    for path in NOT_SERVED:
        extra: dict[str, Any] = {"security": [{"key": []}, {}]}
        _route(app, path, call, "POST", extra, "Not served by this gateway", {200: {"description": "Never"}})
    for path in (*NOT_SERVED, *NOT_SERVED_BELOW):
        methods = ["GET"] if path in NOT_SERVED else ["GET", "POST"]
        app.add_api_route(f"{ROOT}/{path}", call, methods=methods, include_in_schema=False)


def _route(
    app: FastAPI, path: str, call: Any, method: str, extra: dict[str, Any], summary: str, responses: Mapping[Any, Any]
) -> None:
    app.add_api_route(
        f"{ROOT}/{path}",
        call,
        methods=[method],
        summary=summary,
        operation_id=path.replace("/", "_"),
        response_model=None,
        responses={**responses, **document.failures(400, 401, 403, 404, 409, 429, 500, 501, 503)},
        openapi_extra=extra,
    )


def _add_websocket_config(app: FastAPI, websocket_url: Callable[[], str]) -> None:
    @app.get(f"{ROOT}/websocket/config", summary="Where the WebSocket server is", operation_id="websocket_config")
    async def config() -> Response:
        url = websocket_url()
        return Response(encode({"status": "success", "url": url}), media_type=JSON)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return refused(_of_http(request, error))

    @app.exception_handler(RequestValidationError)
    async def on_validation(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        field = ".".join(str(part) for part in first.get("loc", ())) or "the request"
        return refused(RefusedError(400, f"{field} is not usable: {first.get('msg', 'invalid')}"))


def _of_http(request: Request, error: HTTPException) -> RefusedError:
    if error.status_code == 404:
        return RefusedError(404, f"there is no such endpoint; {ROOT} is described at /docs")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "POST")
        return RefusedError(405, f"the method is {request.method[:20]}; it must be {allowed}", error.headers)
    status = 400 if error.status_code == 422 else error.status_code
    return RefusedError(status, str(error.detail), error.headers)


def _add_cors(app: FastAPI, origins: tuple[str, ...]) -> None:
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_origin_regex=None if origins else _LOCALHOST,
        allow_methods=["GET", "POST"],
        allow_headers=["Content-Type", "X-API-KEY", "Idempotency-Key"],
        expose_headers=["Retry-After", "Idempotent-Replayed"],
        max_age=600,
    )
