"""Real servers for tests, started here and thrown away."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POSTGRES_USER = "postgres"
_TEXT = ("-E", "UTF8", "--locale=C.UTF-8")


def free_port() -> int:
    """A port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def postgres_bin() -> Path | None:
    """The folder of initdb and pg_ctl: Debian's newest, or of those on PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    return Path(found).parent if found else None


@contextmanager
def postgres() -> Iterator[str]:
    """A throw-away PostgreSQL on loopback; gives its URL. Raises RuntimeError where none is installed."""
    folder = postgres_bin()
    if folder is None:
        raise RuntimeError("PostgreSQL is not installed; `apt-get install postgresql` or run .ci/run")
    with tempfile.TemporaryDirectory(prefix="gw-pg-", ignore_cleanup_errors=True) as name:
        run = Path(name)
        prefix = _as_other_user(run)
        data, port = run / "data", free_port()
        _call(
            [*prefix, f"{folder}/initdb", "-D", f"{data}", "-U", POSTGRES_USER, "-A", "trust", "--no-sync", *_TEXT], run
        )
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={run} -c fsync=off"
        control = [*prefix, f"{folder}/pg_ctl", "-D", f"{data}", "-w", "-s"]
        _call([*control, "-l", f"{run / 'server.log'}", "-t", "60", "-o", options, "start"], run)
        try:
            yield f"postgresql://{POSTGRES_USER}@127.0.0.1:{port}/postgres"
        finally:
            _call([*control, "-m", "immediate", "stop"], run)


def _as_other_user(run: Path) -> list[str]:
    """The server refuses to run as root: then it runs as its own user, who must own the folder."""
    if os.getuid() != 0:
        return []
    entry = pwd.getpwnam(POSTGRES_USER)
    os.chown(run, entry.pw_uid, entry.pw_gid)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups", "--reset-env"]


def _call(command: list[str], folder: Path) -> None:
    """Runs a command in a folder its user may enter; its output is kept out of pipes that the server would inherit."""
    with (folder / "command.log").open("ab") as log:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {(folder / 'command.log').read_text('utf-8')}")
