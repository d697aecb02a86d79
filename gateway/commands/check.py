"""`gateway check`: what is wrong, and how to mend it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.engine import make_url

from gateway.commands.common import emit
from gateway.config import Settings, load_settings
from gateway.errors import GatewayError, SettingsError, StoreError
from gateway.home import Home
from gateway.reserve import port_problems
from gateway.settings import brokers
from gateway.store import migrate
from gateway.store.credentials import CredentialStore
from gateway.store.engine import make_engine
from gateway.store.keys import KeyStore

OK, WARN, FAIL = "ok", "warn", "fail"
#: files a market process opens beside its connections
_OTHER_FILES = 128


class Finding(NamedTuple):
    """One line of the report."""

    state: str
    what: str
    found: str
    mend: str = ""


def check(as_json: bool) -> int:
    """Prints the report; returns 0, 1 where something fails, 2 where the settings are wrong."""
    try:
        settings = load_settings()
    except SettingsError as error:
        findings = [Finding(FAIL, "settings", line, "set it in the environment or in .env") for line in error.problems]
        _print(findings, as_json)
        return 2
    findings = list(_findings(settings))
    _print(findings, as_json)
    return 1 if any(finding.state == FAIL for finding in findings) else 0


def _print(findings: list[Finding], as_json: bool) -> None:
    emit(Finding._fields, [finding._asdict() for finding in findings], as_json)


def _findings(settings: Settings) -> Iterator[Finding]:
    yield Finding(OK, "settings", "all valid")
    for line in settings.warnings:
        yield Finding(WARN, "settings", line, "correct or remove the variable")
    home = Home(settings.gateway_home)
    yield _home(home)
    yield from _ports(settings, home)
    yield from _database(settings, home)
    yield from _feeds(settings, home)
    yield _open_files(settings)


def _home(home: Home) -> Finding:
    try:
        home.prepare()
    except GatewayError as error:
        return Finding(FAIL, "home", str(error), "set GATEWAY_HOME to a folder you own")
    if not os.access(home.path, os.R_OK | os.W_OK | os.X_OK):
        return Finding(FAIL, "home", f"{home.path} cannot be written to", "set GATEWAY_HOME to a folder you own")
    return Finding(OK, "home", f"{home.path}, mode 0700")


def _ports(settings: Settings, home: Home) -> Iterator[Finding]:
    ports = {
        "WEBSOCKET_PORT": (settings.websocket_host, settings.websocket_port),
        "ZMQ_PORT": (settings.zmq_host, settings.zmq_port),
        "API_PORT": (settings.api_host, settings.api_port),
    }
    problems = port_problems(ports)
    for variable, (host, port) in ports.items():
        name = "trade" if variable == "API_PORT" else "market"
        running = home.holder(name)
        if variable not in problems:
            yield Finding(OK, variable, f"{host}:{port} is free" if port else "any free port")
        elif running is not None:
            yield Finding(OK, variable, f"{host}:{port} is in use while our {name} process (pid {running}) runs")
        else:
            yield Finding(FAIL, variable, problems[variable], f"stop that process, or set {variable}")


def _database(settings: Settings, home: Home) -> Iterator[Finding]:
    shown = make_url(settings.database_url).render_as_string(hide_password=True)
    if _not_made_yet(settings):
        yield Finding(OK, "database", f"{shown} is made at the first start")
        return
    try:
        engine = make_engine(settings.database_url)
        revision, newest = migrate.status(engine)
        if revision != newest:
            found = f"{shown} is at revision {revision or 'none'}, this version needs {newest}"
            yield Finding(WARN, "database", found, "run `gateway migrate` (`serve` does it by itself)")
            return
        yield Finding(OK, "database", f"{shown}, revision {revision}")
        keys = KeyStore(engine, home.key_secret()).list()
    except GatewayError as error:
        yield Finding(FAIL, "database", f"{shown}: {error}", "check DATABASE_URL and that its server runs")
        return
    active = sum(key.revoked_at is None for key in keys)
    mend = "" if active else "make one with `gateway keys add USER`; no client can log in without"
    yield Finding(OK if active else WARN, "keys", f"{active} active", mend)


def _not_made_yet(settings: Settings) -> bool:
    url = make_url(settings.database_url)
    return url.get_backend_name() == "sqlite" and bool(url.database) and not Path(str(url.database)).exists()


def _feeds(settings: Settings, home: Home) -> Iterator[Finding]:
    if not settings.feeds:
        yield Finding(OK, "feeds", "none: only ticks that others publish on the bus", "")
    for name in settings.feeds:
        if name in brokers.OWN_FEEDS:
            yield Finding(OK, f"feed {name}", "needs no credentials")
        else:
            yield from _broker(settings, home, name)


def _broker(settings: Settings, home: Home, name: str) -> Iterator[Finding]:
    stored: dict[str, str] = {}
    if not _not_made_yet(settings):
        try:
            stored = CredentialStore(make_engine(settings.database_url), home.store_secret()).get(name)
        except StoreError as error:
            yield Finding(WARN, f"feed {name}", str(error), f"see database above, or `gateway brokers add {name}`")
    config = settings.broker(name, stored)
    missing = [field for field in ("api_key", "access_token") if not getattr(config, field)]
    if missing:
        variables = " and ".join(brokers.variable(name, field.upper()) for field in missing)
        mend = f"run `gateway brokers add {name}`, or set {variables}"
        yield Finding(FAIL, f"feed {name}", f"no {' and no '.join(missing)}", mend)
    else:
        yield Finding(OK, f"feed {name}", "credentials are there")
    yield _master(home, name)


def _master(home: Home, name: str) -> Finding:
    from gateway.instruments import master_path

    path = master_path(home.path, name)
    if path.exists():
        return Finding(OK, f"instruments {name}", str(path))
    mend = f"loaded at start; to do it now run `gateway instruments load {name}`"
    return Finding(WARN, f"instruments {name}", "no instrument master yet", mend)


def _open_files(settings: Settings) -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.ws_max_connections + _OTHER_FILES
    if hard == resource.RLIM_INFINITY or hard >= needed:
        return Finding(OK, "open files", f"the hard limit is {'none' if hard == resource.RLIM_INFINITY else hard}")
    mend = f"raise it to {needed} (ulimit -Hn, LimitNOFILE=), or lower WS_MAX_CONNECTIONS"
    found = f"the hard limit is {hard}, enough for {max(0, hard - _OTHER_FILES)} connections"
    return Finding(WARN, "open files", found, mend)
