"""The OpenAPI document against the running gateway: nothing that it allows, and nothing near it, gives a 500."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.api.endpoints import ENDPOINTS
from tests.integration.trade.venue import Trader, Venue, venue


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    with venue(tmp_path_factory.mktemp("schema")) as made:
        made.price(100)
        yield made


@pytest.mark.slow
def test_schemathesis_finds_no_server_error(running: Venue, tmp_path: Path) -> None:
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert program, "schemathesis belongs to the dev dependencies"
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    left_out = "/(history|intervals|market|option|syntheticfuture|telegram|analyzer/toggle)|/readyz"
    found = subprocess.run(
        [program, "run", f"{running.gateway.api_url}/openapi.json", "--header", f"X-API-KEY: {running.key}",
         "--checks", checks, "--exclude-path-regex", left_out, "--phases", "examples,coverage,fuzzing",
         "--max-examples", "15", "--seed", "1", "--suppress-health-check", "all", "--max-time", "40", "--no-color"],
        cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-2000:]
    running.audit()


HOSTILE = {
    "nested": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "a list": b"[]",
    "no JSON": b"{",
    "no UTF-8": b'{"symbol":"\xff\xfe"}',
    "NaN": b'{"quantity":NaN,"symbol":"SBIN"}',
    "huge number": b'{"quantity":1' + b"0" * 5000 + b"}",
    "exponent": b'{"quantity":1e400,"price":-1e400}',
    "twice": b'{"symbol":"SBIN","symbol":["X"],"exchange":{"a":1}}',
    "null": b'{"symbol":null,"exchange":null,"orders":null,"positions":[null],"symbols":[[]]}',
    "controls": b'{"symbol":"\\u0000\\u001b[31m","exchange":"NSE\\u0000","orderid":"\\ud800"}',
    "10 MB": b'{"symbol":"' + b"S" * (10 << 20) + b'"}',
}


@pytest.mark.parametrize("path", [endpoint.path for endpoint in ENDPOINTS])
def test_hostile_bodies(running: Venue, path: str) -> None:
    url = f"{running.gateway.api_url}/api/v1/{path}"
    with httpx.Client(headers={"X-API-KEY": running.key}, timeout=20) as client:
        before = _books(running.trader)
        for name, body in HOSTILE.items():
            answer = client.post(url, content=body)
            assert answer.status_code < 500 or answer.status_code == 503, (name, answer.text)
            said = answer.json()
            assert said["status"] in ("success", "error")
            assert said["status"] == "success" or said["message"], name
        assert _books(running.trader) == before
    # a hostile body may have toggled the mode, and nothing else
    running.trader.ask("analyzer/toggle", mode=True)


def _books(trader: Trader) -> list[object]:
    return [trader.ask(path)["data"] for path in ("orderbook", "tradebook", "funds", "gttorderbook")]
