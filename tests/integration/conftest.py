"""What several folders of integration tests need."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

JS = Path(__file__).resolve().parents[1] / "js"


@pytest.fixture(scope="session")
def node_script() -> Path:
    """`listen.mjs` with its packages beside it. Skips where Node is not installed."""
    if shutil.which("npm") is None:
        pytest.skip("Node is not installed (Debian: apt-get install nodejs npm)")
    installed = JS / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (JS / "package-lock.json").stat().st_mtime:
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=JS, capture_output=True, text=True, check=False, timeout=110)
        assert done.returncode == 0, done.stderr
    return JS / "listen.mjs"
