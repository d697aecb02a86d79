"""Health, readiness, metrics, documentation, CORS."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gateway.api.endpoints import ENDPOINTS
from gateway.config import load_settings
from gateway.errors import SettingsError
from gateway.trade.core import gtt, inputs
from tests.unit.api.fakes import KEY, Bench, FakeSettings

pytestmark = pytest.mark.asyncio


async def test_health_and_readiness(bench: Bench) -> None:
    async with bench.client() as client:
        assert (await client.get("/healthz")).json()["status"] == "ok"
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
        bench.ready["feed"] = False
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json() == {"status": "not ready", "feed": False, "database": True, "publisher": True}
        del bench.ready["feed"]
        assert (await client.get("/readyz")).json()["feed"] is False


@pytest.mark.parametrize(
    ("public", "address", "status"),
    [(False, "127.0.0.1", 200), (False, "::ffff:127.0.0.1", 200), (False, "10.0.0.9", 404), (True, "10.0.0.9", 200)],
)
async def test_metrics_are_for_this_machine(public: bool, address: str, status: int) -> None:
    bench = Bench(FakeSettings(metrics_public=public))
    async with bench.client(address) as client:
        assert (await client.get("/metrics")).status_code == status
    bench.keys.close()


async def test_websocket_config(bench: Bench) -> None:
    async with bench.client() as client:
        answer = await client.get("/api/v1/websocket/config")
    assert answer.json()["url"] == "ws://127.0.0.1:8765"


async def test_documentation_loads_nothing_from_elsewhere(bench: Bench) -> None:
    async with bench.client() as client:
        page = await client.get("/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?:https?:)?//", page.text)


async def test_the_document_has_every_endpoint_with_its_shapes(bench: Bench) -> None:
    async with bench.client() as client:
        document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    for endpoint in ENDPOINTS:
        call = document["paths"][f"/api/v1/{endpoint.path}"]["post"]
        schema = _resolved(document, call["requestBody"]["content"]["application/json"]["schema"])
        assert schema["type"] == "object"
        assert "apikey" in schema["properties"]
        assert "schema" in call["responses"]["200"]["content"]["application/json"]
        assert {"400", "401", "403", "429", "503"} <= set(call["responses"])
        assert "422" not in call["responses"]
    assert {"/healthz", "/readyz", "/api/v1/instruments", "/api/v1/websocket/config"} <= set(document["paths"])
    assert not re.findall(r'"\$ref": "#/(?!components/schemas/)', str(document))


async def test_what_the_document_demands_the_trading_core_demands(bench: Bench) -> None:
    """The shapes and the checks are written in two places; this holds them together."""
    full: dict[str, Any] = {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 1}
    schemas = bench.app.openapi()["components"]["schemas"]
    for name, parse in (("PlaceOrder", inputs.parse_order), ("PlaceGtt", gtt.parse_gtt)):
        assert set(schemas[name]["required"]) == set(full)
        parse(full)
        for field in full:
            with pytest.raises(Exception, match=f"^{field} is missing"):
                parse({**full, field: None})
        for field, schema in schemas[name]["properties"].items():
            for word in schema.get("enum", []):
                parse({**full, field: word.lower()})
            with pytest.raises(Exception, match=f"^{field} is "):
                parse({**full, field: {"an": "object"}}) if field != "apikey" else _raise("apikey is ")


def _raise(message: str) -> None:
    raise ValueError(message)


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].split("/")[-1]]
    return found


@pytest.mark.parametrize(
    ("setting", "origin", "allowed"),
    [
        ((), "http://localhost:3000", True),
        ((), "https://127.0.0.1", True),
        ((), "http://localhost.evil.example", False),
        ((), "https://evil.example", False),
        (("https://app.example",), "https://app.example", True),
        (("https://app.example",), "http://localhost:3000", False),
        (("*",), "https://evil.example", True),
    ],
)
async def test_pages_of_other_origins(setting: tuple[str, ...], origin: str, allowed: bool) -> None:
    bench = Bench(FakeSettings(cors_allowed_origins=setting))
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    async with bench.client() as client:
        before = await client.options("/api/v1/funds", headers=asked)
        after = await client.post("/api/v1/funds", headers={"Origin": origin, "X-API-KEY": KEY})
    assert (before.status_code == 200) is allowed
    assert (after.headers.get("access-control-allow-origin") in (origin, "*")) is allowed
    assert after.status_code == 200
    bench.keys.close()


@pytest.mark.usefixtures("bare_environment")
async def test_the_setting_of_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().cors_allowed_origins == ()
    monkeypatch.setenv("CORS_ALLOWED_ORIGINS", "https://App.example/, http://localhost:3000")
    assert load_settings().cors_allowed_origins == ("https://app.example", "http://localhost:3000")
    for wrong in ("app.example", "https://app.example/path", "https://*.example", "ftp://app.example"):
        monkeypatch.setenv("CORS_ALLOWED_ORIGINS", wrong)
        with pytest.raises(SettingsError, match="CORS_ALLOWED_ORIGINS"):
            load_settings()
