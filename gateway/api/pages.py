"""Pages beside the API: health, readiness, metrics, documentation."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Final

import structlog
from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway import __version__
from gateway.api.answers import JSON, failure
from gateway.log import limited
from gateway.wire import encode

log = structlog.get_logger(__name__)

#: no page loads anything from elsewhere
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

#: what must work, by name; each says whether it does, at once
Readiness = Mapping[str, Callable[[], bool]]


def add_pages(app: FastAPI, ready: Readiness, metrics: Callable[[], bytes], metrics_public: bool) -> None:
    """Adds `/healthz`, `/readyz`, `/metrics` and `/docs`."""

    @app.get("/healthz", tags=["health"], summary="Whether the process is up")
    async def healthz() -> Response:
        return _json(200, {"status": "ok", "version": __version__})

    @app.get("/readyz", tags=["health"], summary="Whether feed, database and publisher work",
             responses={503: {"description": "One of them does not"}})  # fmt: skip
    async def readyz() -> Response:
        states = {name: _works(name, works) for name, works in ready.items()}
        fine = all(states.values())
        return _json(200 if fine else 503, {"status": "ready" if fine else "not ready", **states})

    @app.get("/metrics", include_in_schema=False)
    async def metrics_page(request: Request) -> Response:
        if metrics_public or _is_local(request):
            return Response(metrics(), media_type=CONTENT_TYPE_LATEST)
        return Response(failure(404, "no such page").body, 404, media_type=JSON)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(_docs_page(), headers={"Content-Security-Policy": _POLICY})


def _works(name: str, works: Callable[[], bool]) -> bool:
    try:
        return works()
    except Exception:
        limited(log, f"readiness {name}").exception("readiness cannot be told", part=name)
        return False


def _json(status: int, value: object) -> Response:
    return Response(encode(value), status, media_type=JSON)


def _is_local(request: Request) -> bool:
    try:
        address = ipaddress.ip_address(request.client.host) if request.client else None
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped.is_loopback
    return address is not None and address.is_loopback


@cache
def _docs_page() -> str:
    return resources.files("gateway").joinpath("static/docs.html").read_text("utf-8")
