"""Who may import whom (docs/architecture.md), and what the build must agree on."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: package -> packages of ours that its modules must not import
FORBIDDEN = {
    "gateway/stream": ("gateway.market", "gateway.store", "gateway.trade", "gateway.api", "adapters", "gateway.config"),
    "gateway/market": ("gateway.trade", "gateway.api", "publishers"),
    "gateway/store": ("gateway.market", "gateway.stream", "gateway.trade", "gateway.api"),
    "gateway/trade": ("gateway.market", "gateway.stream", "gateway.api"),
    "gateway/api": ("gateway.market", "gateway.stream"),
    "gateway/_fastpath": ("gateway", "adapters"),
    "adapters": ("gateway.market", "gateway.stream", "gateway.store", "gateway.trade", "gateway.api", "gateway.config"),
}
#: composition roots know everybody
ROOTS = ("app.py",)
#: modules without I/O, clock or event loop
PURE = (
    "gateway/stream/protocol.py",
    "gateway/stream/actions.py",
    "gateway/stream/answers.py",
    "gateway/stream/session.py",
    "gateway/stream/throttle.py",
    "gateway/stream/orders.py",
    "adapters/plan.py",
    "adapters/symbols.py",
)
IMPURE = {"asyncio", "socket", "time", "random", "threading", "zmq", "httpx", "subprocess", "sqlalchemy", "picows"}


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", FORBIDDEN)
def test_arrows_point_down_only(package: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in modules(package)
        if not (package == "gateway/trade" and file.name in ROOTS)
        for name in imports(file)
        if any(name == other or name.startswith(other + ".") for other in FORBIDDEN[package])
    ]
    assert not wrong, wrong


@pytest.mark.parametrize("file", PURE)
def test_pure_modules_stay_pure(file: str) -> None:
    found = {name.partition(".")[0] for name in imports(ROOT / file)}
    assert not found & IMPURE


def test_only_the_composition_root_knows_concrete_classes() -> None:
    for file in modules("gateway/market"):
        if file.name != "app.py":
            assert "gateway.stream.server" not in set(imports(file)), file


def test_extension_is_compiled_against_the_picows_it_runs_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    built = [one for one in project["build-system"]["requires"] if one.startswith("picows")]
    run = [one for one in project["project"]["dependencies"] if one.startswith("picows")]
    assert built == run
    assert len(run) == 1
    assert "==" in run[0]
