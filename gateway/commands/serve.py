"""`gateway serve`, `gateway market` and `gateway trade`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway import children
from gateway.commands.common import home_of, note, settings_for_command
from gateway.config import Settings
from gateway.home import Home
from gateway.reserve import PortReservation
from gateway.settings.load import CLOCK_OFFSET
from gateway.supervisor import ChildSpec, Supervisor

if TYPE_CHECKING:
    from gateway.store.keys import KeyStore

IST = timezone(timedelta(hours=5, minutes=30), "IST")
DEMO_USER = "demo"
#: holidays of the Indian exchanges that fall on the same day every year
_FIXED_HOLIDAYS = frozenset({(1, 26), (4, 14), (5, 1), (8, 15), (10, 2), (12, 25)})


def serve(feeds: tuple[str, ...] | None, demo: bool) -> int:
    """Runs the gateway in the foreground until a signal; returns the exit code."""
    overrides: dict[str, Any] = {}
    if feeds is not None:
        overrides["feeds"] = feeds
    elif demo:
        overrides["feeds"] = ("simulated",)
    settings = settings_for_command(**overrides)
    if demo and settings.clock_start is None:
        # loaded again so that the offset is computed in the one place that does it
        overrides["clock_start"] = demo_clock_start(datetime.now(IST).date())
        settings = settings_for_command(warn=False, **overrides)
    return run(settings, demo)


def replay(file: Path, speed: float) -> int:
    """Serves a recording as the only feed."""
    return run(settings_for_command(feeds=("replay",), replay_file=file, replay_speed=speed), demo=False)


def run(settings: Settings, demo: bool) -> int:
    """Holds the lock and the ports, migrates, then watches over the children."""
    home = home_of(settings)
    with home.lock("serve"), PortReservation() as ports:
        environment = {
            "GATEWAY_HOME": str(settings.gateway_home),
            "FEEDS": ",".join(settings.feeds) or "none",
            "WEBSOCKET_PORT": str(ports.take("WEBSOCKET_PORT", settings.websocket_host, settings.websocket_port)),
            "ZMQ_PORT": str(ports.take("ZMQ_PORT", settings.zmq_host, settings.zmq_port)),
            "API_PORT": str(ports.take("API_PORT", settings.api_host, settings.api_port)),
            CLOCK_OFFSET: str(settings.clock_offset_ns),
        }
        if settings.replay_file is not None:
            environment |= {"REPLAY_FILE": str(settings.replay_file), "REPLAY_SPEED": str(settings.replay_speed)}
        key = prepare_store(settings, home, demo)
        specs = [ChildSpec(name, ("-m", "gateway", name), environment) for name in ("market", "trade")]

        def on_ready(urls: Mapping[str, str]) -> None:
            if demo:
                note(welcome(urls.get("ws", ""), urls.get("api", ""), key))
            print(children.ready_line(urls), flush=True)

        return Supervisor(specs, on_ready).run()


def market() -> int:
    """The market process alone, or as a child of `serve`."""
    has_parent = children.adopt()
    settings = settings_for_command(warn=not has_parent)
    home = home_of(settings)
    with home.lock("market"):
        _migrate_alone(settings, home, has_parent)
        from gateway.market import app

        return app.run(settings)


def trade() -> int:
    """The trade process alone, or as a child of `serve`."""
    has_parent = children.adopt()
    settings = settings_for_command(warn=not has_parent)
    home = home_of(settings)
    with home.lock("trade"):
        _migrate_alone(settings, home, has_parent)
        from gateway.trade import app

        return app.run(settings)


def _migrate_alone(settings: Settings, home: Home, has_parent: bool) -> None:
    """A process without a parent brings the database to the current schema itself."""
    if has_parent:
        return
    # imported only here: a restarted child is back sooner without it
    from gateway.store.migrate import open_store

    open_store(settings.database_url, home).dispose()


def prepare_store(settings: Settings, home: Home, demo: bool) -> str:
    """Migrates before any child starts; returns the demo user's key where there is one."""
    from gateway.store.keys import KeyStore
    from gateway.store.migrate import open_store

    engine = open_store(settings.database_url, home)
    try:
        return demo_key(KeyStore(engine, home.key_secret()), home) if demo else ""
    finally:
        engine.dispose()


def demo_key(store: KeyStore, home: Home) -> str:
    """The demo user's key: the one of the last demo in this home, so that a pasted snippet keeps working, or new."""
    file = home.path / "demo.key"
    key = file.read_text("ascii").strip() if file.exists() else ""
    if not key or store.verify(key) is None:
        key = store.add(DEMO_USER)
        file.touch(mode=0o600)
        file.write_text(key + "\n", "ascii")
    return key


def demo_clock_start(today: date) -> datetime:
    """10:00 IST of the last day up to `today` that is no weekend and no holiday of fixed date."""
    day = today
    while day.weekday() >= 5 or (day.month, day.day) in _FIXED_HOLIDAYS:
        day -= timedelta(days=1)
    return datetime.combine(day, time(10), IST).astimezone(UTC)


def _program() -> str:
    """How to call this program from the working directory."""
    here, program = Path.cwd(), Path(sys.argv[0]).absolute()
    return str(program.relative_to(here)) if program.is_relative_to(here) else "gateway"


def welcome(ws: str, api: str, key: str) -> str:
    """What a newcomer pastes to see ticks and to place an order."""
    return f'''
The gateway streams simulated ticks, and fills paper orders on them.

  In a browser  {ws.replace("ws", "http", 1)}/#key={key}
  REST API      {api}/docs
  WebSocket     {ws}
  API key       {key}

Paste this into Python after `pip install openalgo`:

    import time
    from openalgo import api

    client = api(api_key="{key}", host="{api}", ws_url="{ws}")
    instruments = [{{"exchange": "NSE", "symbol": "RELIANCE"}}, {{"exchange": "NSE_INDEX", "symbol": "NIFTY"}}]
    client.connect()
    client.subscribe_ltp(instruments, on_data_received=print)
    time.sleep(10)
    client.disconnect()
    print(client.placeorder(symbol="RELIANCE", exchange="NSE", action="BUY", quantity=1))
    print(client.positionbook())

Or watch in another terminal: {_program()} watch NSE:RELIANCE NSE_INDEX:NIFTY        Stop with Ctrl-C.
'''
