"""The short way past the framework gives what the framework gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.api.endpoints import ENDPOINTS
from tests.unit.api.fakes import KEY, Bench

pytestmark = pytest.mark.asyncio
#: a page of this machine: its calls go through the framework
PAGE = {"Origin": "http://localhost:3000"}


def bodies() -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Good and bad requests of several endpoints."""
    for endpoint in ENDPOINTS:
        yield endpoint.path, b"{}", {"X-API-KEY": KEY}
    yield "funds", b"{}", {}
    yield "funds", b"[1]", {"X-API-KEY": KEY}
    yield "funds", b"{", {"X-API-KEY": KEY}
    yield "funds", b"{}", {"X-API-KEY": KEY, "Content-Type": "text/plain"}
    yield "placeorder", b"x" * (2 << 20), {"X-API-KEY": KEY}


async def test_both_ways_answer_the_same(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    routed: list[str] = []
    inner = type(bench.app).__mro__[1].__call__

    async def noted(self: Any, scope: Any, receive: Any, send: Any) -> None:
        routed.append(scope["path"])
        await inner(self, scope, receive, send)

    monkeypatch.setattr(type(bench.app).__mro__[1], "__call__", noted)
    async with bench.client() as client:
        for path, body, headers in bodies():
            url = f"/api/v1/{path}"
            straight = await client.post(url, content=body, headers=headers)
            assert routed == [], url
            through = await client.post(url, content=body, headers={**headers, **PAGE})
            assert routed == [url]
            routed.clear()
            assert (straight.status_code, straight.content) == (through.status_code, through.content), url
            for name in ("content-type", "connection"):
                assert straight.headers.get(name) == through.headers.get(name)


async def test_what_is_no_post_of_an_endpoint_goes_through_the_framework(bench: Bench) -> None:
    async with bench.client() as client:
        assert (await client.get("/api/v1/funds", headers={"X-API-KEY": KEY})).status_code == 405
        assert (await client.post("/api/v1/nothing", headers={"X-API-KEY": KEY})).status_code == 404
        assert (await client.post("/healthz")).status_code == 405
