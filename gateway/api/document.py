"""The OpenAPI document: routes answer raw requests, so the shapes of bodies are added here."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway import __version__
from gateway.api.endpoints import ENDPOINTS
from gateway.api.replies import Failure

_REF: Final = "#/components/schemas/{model}"
ABOUT: Final = (
    "Compatible with OpenAlgo's v1 API. The key goes into the body of a POST (`apikey`), the query of a GET, or "
    "header `X-API-KEY`. Numbers may come as texts, words in any case. Errors: "
    '`{"status":"error","message":…}`; the message names the field, what it was and what it may be.'
)
_MEANINGS: Final = {
    400: "A field, the body or a header is wrong",
    401: "No API key",
    403: "The API key is not valid, or the call is not allowed in this mode",
    404: "No such order or symbol",
    409: "The order is final already, or the Idempotency-Key came with another body",
    429: "Too many requests",
    500: "Internal error",
    501: "Not served by this gateway",
    503: "The database, the feed or the broker is away",
}
IDEMPOTENCY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "the same key and body give the same answer and place nothing twice",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x20-\x7e]+$"},
}


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of an endpoint, as FastAPI's `responses` takes them."""
    return {status: {"model": Failure, "description": _MEANINGS[status], **_headers(status)} for status in statuses}


def _headers(status: int) -> dict[str, Any]:
    if status not in (429, 503):
        return {}
    return {"headers": {"Retry-After": {"description": "s", "schema": {"type": "integer", "minimum": 1}}}}


def body(model: type[BaseModel]) -> dict[str, Any]:
    """The request body of an endpoint, as FastAPI's `openapi_extra` takes it."""
    reference = {"$ref": _REF.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": reference}}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """The document; made once."""
    if app.openapi_schema is None:
        found = get_openapi(title="OpenAlgo gateway", version=__version__, description=ABOUT, routes=app.routes)
        models = sorted({endpoint.request for endpoint in ENDPOINTS}, key=lambda model: model.__name__)
        _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
        parts = found.setdefault("components", {})
        parts.setdefault("schemas", {}).update(schemas["$defs"])
        parts["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"}}
        app.openapi_schema = found
    return app.openapi_schema
