"""The command line in process: output, exit codes, messages."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway import __version__, cli
from gateway.commands import serve
from gateway.home import Home
from tests.harness import clean_environment

pytestmark = pytest.mark.usefixtures("bare_environment")


@pytest.fixture
def free_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WEBSOCKET_PORT", "ZMQ_PORT", "API_PORT"):
        monkeypatch.setenv(name, "0")


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"
    for arguments in ([], ["keys"], ["serve"], ["brokers", "add"], ["instruments", "load"], ["record"], ["replay"]):
        assert cli.run([*arguments, "--help"]) == 0
        assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nope"], ["keys", "add"], ["keys", "revoke", "x"], ["serve", "--nope"]])
def test_wrong_usage_is_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err


def test_keys_from_birth_to_death(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["keys", "add", "asha"]) == 0
    captured = capsys.readouterr()
    key = captured.out.removesuffix("\n")
    assert len(key) >= 43
    assert key not in captured.err
    assert cli.run(["keys", "list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["id"], row["user"], row["status"], row["ending"]) == (1, "asha", "active", key[-4:])
    assert cli.run(["keys", "revoke", "1"]) == 0
    assert cli.run(["keys", "revoke", "2"]) == 1
    assert "no key has id 2" in capsys.readouterr().err
    assert cli.run(["keys", "list"]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.split("\t")[:3] == ["id", "user", "status"]
    assert line.split("\t")[:3] == ["1", "asha", "revoked"]


def test_key_from_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    key = "0123456789abcdef" * 4
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{key}\n"))
    assert cli.run(["keys", "add", "ben", "--key", "-"]) == 0
    assert capsys.readouterr().out == f"{key}\n"


def test_wrong_settings_are_two_and_name_the_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBSOCKET_PORT", "none")
    for arguments in (["serve"], ["market"], ["keys", "list"]):
        assert cli.run(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: WEBSOCKET_PORT is 'none'; it may hold a port number")
    assert cli.run(["check"]) == 2
    assert "WEBSOCKET_PORT is 'none'" in capsys.readouterr().out


def test_unknown_variable_is_warned_about(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WS_PING_INTERVALL", "3")
    assert cli.run(["keys", "list"]) == 0
    assert "did you mean WS_PING_INTERVAL?" in capsys.readouterr().err


def test_migrate_says_where_it_got(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["migrate"]) == 0
    assert "was: empty" in capsys.readouterr().err
    assert cli.run(["migrate"]) == 0
    assert "was" not in capsys.readouterr().err


def test_broker_credentials(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("API_KEY=the-key\naccess_token = the-token\n"))
    assert cli.run(["brokers", "add", "zerodha", "--stdin", "--user-id", "AB1234"]) == 0
    monkeypatch.setenv("DHAN_ACCESS_TOKEN", "x")
    assert cli.run(["brokers", "list", "--json"]) == 0
    text = capsys.readouterr().out
    assert "the-key" not in text
    assert "the-token" not in text
    rows = {row["broker"]: row for row in json.loads(text)}
    assert rows["zerodha"]["stored"] == ["access_token", "api_key", "user_id"]
    assert rows["dhan"]["environment"] == ["access_token"]
    for arguments in (["add", "nobroker", "--stdin"], ["test", "nobroker"]):
        assert cli.run(["brokers", *arguments]) == 2
        assert "'nobroker' is no broker" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert cli.run(["brokers", "add", "zerodha"]) == 2
    assert "--stdin" in capsys.readouterr().err


@pytest.mark.usefixtures("free_ports")
def test_check_on_a_fresh_home(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "--json"]) == 0
    states = {row["what"]: row["state"] for row in json.loads(capsys.readouterr().out)}
    assert states["settings"] == states["home"] == states["database"] == "ok"
    assert not Path("var/gateway.db").exists()


@pytest.mark.usefixtures("free_ports")
def test_check_tells_how_to_mend(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEEDS", "zerodha,simulated")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setenv("ZMQ_PORT", str(other.getsockname()[1]))
        assert cli.run(["check", "--json"]) == 1
    rows = [row for row in json.loads(capsys.readouterr().out) if row["state"] == "fail"]
    assert [row["what"] for row in rows] == ["ZMQ_PORT", "feed zerodha"]
    assert all(row["mend"] for row in rows)
    assert "ZERODHA_ACCESS_TOKEN" in rows[1]["mend"]
    monkeypatch.setenv("DATABASE_URL", "postgresql://joe:open-sesame@127.0.0.1:1/x")
    assert cli.run(["check"]) == 1
    text = capsys.readouterr().out
    assert "sesame" not in text
    assert "DATABASE_URL" in text


def test_a_second_serve_waits_says_so_and_is_two(bare_environment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Home(bare_environment / "var").lock("serve"):
        began = time.monotonic()
        assert cli.run(["serve"]) == 2
        assert 2.9 < time.monotonic() - began < 6
    assert "another serve process" in capsys.readouterr().err


def test_replay_of_no_file_is_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["replay", "nothing.rec"]) == 2
    assert "REPLAY_FILE is 'nothing.rec'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("today", "start"),
    [
        ("2026-11-20", "2026-11-20"),
        ("2026-11-22", "2026-11-20"),
        ("2027-01-26", "2027-01-25"),
        ("2026-05-03", "2026-04-30"),
    ],
)
def test_demo_clock_is_ten_oclock_of_a_trading_day(today: str, start: str) -> None:
    from datetime import date

    moment = serve.demo_clock_start(date.fromisoformat(today)).astimezone(serve.IST)
    assert moment.isoformat() == f"{start}T10:00:00+05:30"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from gateway import cli; cli.run(['--help'])\n"
        "heavy = {'sqlalchemy', 'alembic', 'zmq', 'uvloop', 'picows', 'pydantic', 'structlog'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
