"""gateway.home: rights, secrets, locks, the tick stream's socket path."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.errors import StartError
from gateway.home import Home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_is_private_even_where_it_was_open(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    assert mode(Home(tmp_path / "open").prepare().path) == 0o700
    assert mode(Home(tmp_path / "a" / "new").prepare().path) == 0o700


def test_a_file_in_its_place_is_a_start_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StartError, match="GATEWAY_HOME"):
        Home(tmp_path / "file").prepare()


def test_secret_is_made_once_also_when_many_ask_at_once(tmp_path: Path) -> None:
    home = Home(tmp_path / "h")
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: home.key_secret(), range(64)))
    assert len(secrets) == 1
    assert len(secrets.pop()) == 32
    assert home.store_secret() != home.key_secret()
    assert mode(home.path / "api-keys.secret") == 0o600
    assert sorted(path.name for path in home.path.iterdir()) == ["api-keys.secret", "credentials.secret"]


def test_damaged_secret_is_not_replaced(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (tmp_path / "api-keys.secret").write_bytes(b"short")
    with pytest.raises(StartError, match="damaged"):
        home.key_secret()
    assert (tmp_path / "api-keys.secret").read_bytes() == b"short"


def test_lock_is_exclusive_and_names_its_holder(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.holder("market") is None
    with home.lock("market"):
        assert home.holder("market") == os.getpid()
        began = time.monotonic()
        with pytest.raises(StartError, match=f"pid {os.getpid()}"), home.lock("market", wait=0.1):
            pass
        assert 0.1 <= time.monotonic() - began < 2
        with home.lock("trade"):
            pass
    assert home.holder("market") is None
    with home.lock("market", wait=0):
        pass


def test_lock_waits_for_a_dying_holder_and_children_do_not_inherit_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time, pathlib\n"
        "from gateway.home import Home\n"
        f"with Home(pathlib.Path({str(tmp_path)!r})).lock('market'):\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)'], close_fds=False)\n"
        "    print(child.pid, flush=True)\n"
        "    time.sleep(0.5)\n"
        "    import os; os._exit(9)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    grandchild = int(holder.stdout.readline())
    try:
        with Home(tmp_path).lock("market"):
            assert holder.wait(5) == 9
            os.kill(grandchild, 0)
    finally:
        os.kill(grandchild, 9)
        holder.wait(5)
        holder.stdout.close()


def test_long_home_gets_a_private_socket_folder_that_a_restart_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    home = Home(tmp_path / ("x" * 120))
    with pytest.raises(StartError, match="gateway serve"):
        home.tick_stream_to_connect()
    endpoint = home.tick_stream_to_bind()
    folder = Path(endpoint.removeprefix("ipc://")).parent
    assert folder.parent == tmp_path
    assert mode(folder) == 0o700
    assert (home.path / "ticks.path").read_text() == f"{folder}/ticks.sock\n"
    assert home.tick_stream_to_bind() == home.tick_stream_to_connect() == endpoint
    folder.chmod(0o777)
    assert home.tick_stream_to_bind() != endpoint


def test_short_home_holds_the_socket_itself(tmp_path: Path) -> None:
    home = Home(tmp_path / "h")
    assert home.tick_stream_to_bind() == f"ipc://{tmp_path}/h/ticks.sock"
    assert not (home.path / "ticks.path").exists()
