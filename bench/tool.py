"""The native load tool as Python sees it: built once, run on its own core, answers in JSON lines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: the server has core 0 to itself; publisher and readers share core 1
SERVER_CPU, LOAD_CPU = 0, 1

Json = dict[str, Any]


class ToolError(RuntimeError):
    """The load tool, or what it needs, failed; the text says how."""


def cpus() -> tuple[int, int]:
    """The cores of server and load; the same one where the machine has no second."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[SERVER_CPU], usable[min(LOAD_CPU, len(usable) - 1)]


@cache
def binary() -> Path:
    """Builds the tool where it is not up to date and returns its path. Raises ToolError without Cargo."""
    cargo = shutil.which("cargo")
    if cargo is None:
        raise ToolError("the benches need Cargo to build bench/load; see CONTRIBUTING")
    done = subprocess.run(
        [cargo, "build", "--release", "--quiet", "--locked", "--package", "gateway-load"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise ToolError(f"bench/load does not build:\n{done.stderr}")
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "gateway-load"


def spawn(command: str, key: str | None = None, cpu: int | None = None, **options: object) -> subprocess.Popen[str]:
    """Starts a subcommand; `idle_ms=500` becomes `--idle-ms 500`, True a flag, None and False nothing."""
    arguments = [str(binary()), "--cpu", str(cpus()[1] if cpu is None else cpu), command]
    for name, value in options.items():
        if value is None or value is False:
            continue
        arguments.append("--" + name.replace("_", "-"))
        if value is not True:
            arguments.append(str(value))
    environment = {**os.environ, "GATEWAY_BENCH_KEY": key or "bench"}
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def next_line(process: subprocess.Popen[str]) -> Json:
    """The next JSON line of a running subcommand. Raises ToolError with its complaint where there is none."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait()
        raise ToolError(process.stderr.read().strip() if process.stderr else "the load tool ended without a word")
    parsed: Json = json.loads(line)
    return parsed


def run(command: str, **options: object) -> Json:
    """Runs a subcommand to its end and returns its last line."""
    process = spawn(command, **options)  # type: ignore[arg-type]
    out, complaint = process.communicate()
    if process.returncode != 0:
        raise ToolError(complaint.strip())
    last: Json = json.loads(out.splitlines()[-1])
    return last
