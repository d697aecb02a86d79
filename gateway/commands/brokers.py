"""`gateway brokers …`: credentials, and a trial connection."""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
import time
from collections.abc import Sequence

from adapters.base import FeedConfig
from gateway.commands.common import credential_store, emit, home_of, note, settings_for_command
from gateway.config import Settings
from gateway.errors import FeedError, GatewayError, SettingsError
from gateway.home import Home
from gateway.settings import brokers

#: how long `brokers test` tries, s
TEST_SECONDS = 20.0


def show(as_json: bool) -> None:
    """Lists brokers that have credentials, in the store or in the environment; never what they hold."""
    settings = settings_for_command()
    stored = {info.broker: info for info in credential_store(settings).list()}
    rows = []
    for name in brokers.NAMES:
        info = stored.get(name)
        in_environment = [
            field
            for suffix, field in brokers.CREDENTIALS.items()
            if settings.environment.get(f"{name.upper()}_{suffix}")
        ]
        if info or in_environment:
            rows.append(
                {
                    "broker": name,
                    "feed": name in settings.feeds,
                    "stored": list(info.fields) if info else [],
                    "environment": in_environment,
                    "updated_at": info.updated_at if info else None,
                }
            )
    emit(("broker", "feed", "stored", "environment", "updated_at"), rows, as_json)


def add(name: str, from_stdin: bool, user_id: str | None) -> None:
    """Stores credentials, asked for on the terminal or read from standard input; a running gateway takes them up."""
    known(name)
    settings = settings_for_command()
    store = credential_store(settings)
    values = _from_stdin() if from_stdin else _asked(name, user_id)
    if user_id:
        values["user_id"] = user_id
    if not any(values.values()):
        raise SettingsError(["no credential given; nothing was changed"])
    store.put(name, values)
    note(f"credentials of {name} stored: {', '.join(sorted(store.get(name)))}")
    _tell_running_gateway(settings, home_of(settings), store.get(name).get("user_id") or name)


def test(name: str) -> None:
    """Connects to the broker's feed and disconnects again. Raises FeedError where that fails."""
    known(name)
    settings = settings_for_command()
    config = settings.broker(name, credential_store(settings).get(name))
    asyncio.run(_try_connection(settings, name, config))
    print("ok")


def known(name: str) -> None:
    """Raises SettingsError for a name that no broker has."""
    if name not in brokers.NAMES:
        raise SettingsError([f"{name!r} is no broker; known are {', '.join(brokers.NAMES)}"])


def _from_stdin() -> dict[str, str]:
    """A JSON object, or lines NAME=value."""
    text = sys.stdin.read().strip()
    try:
        values = json.loads(text) if text.startswith("{") else dict(line.split("=", 1) for line in text.splitlines())
    except ValueError:
        raise SettingsError(["standard input holds neither a JSON object nor lines NAME=value"]) from None
    return {str(name).strip().lower(): str(value).strip() for name, value in values.items()}


def _asked(name: str, user_id: str | None) -> dict[str, str]:
    if not sys.stdin.isatty():
        raise SettingsError([f"no terminal to ask on; use `gateway brokers add {name} --stdin` with NAME=value lines"])
    note("Empty keeps what is stored.")
    values = {field: getpass.getpass(f"{field}: ") for field in brokers.CREDENTIALS.values() if field != "user_id"}
    return values if user_id else {**values, "user_id": input("user_id: ")}


def _tell_running_gateway(settings: Settings, home: Home, user: str) -> None:
    """Makes a running market process read the credentials again (`CACHE_INVALIDATE` on the bus)."""
    if home.holder("market") is None or settings.zmq_port == 0:
        return
    import zmq

    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.setsockopt(zmq.LINGER, 1000)
        keys = settings.curve()
        if keys is not None:
            socket.curve_serverkey = keys[0]
            socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
        socket.connect(f"tcp://{settings.zmq_host}:{settings.zmq_port}")
        # a PUB socket drops what it sends before its peer's subscription has arrived
        time.sleep(0.3)
        body = json.dumps({"user_id": user, "cache_type": "FEED"}).encode()
        socket.send_multipart([f"CACHE_INVALIDATE_FEED_{user}".encode(), body])
    note("the running gateway was told to reconnect the feed")


class _NoSink:
    """Takes the ticks of a trial connection and forgets them."""

    def publish(self, ticks: Sequence[tuple[bytes, bytes]], feed: str) -> None:
        """Forgets them."""


async def _try_connection(settings: Settings, name: str, config: FeedConfig) -> None:
    from adapters import registry

    if name not in registry.names():
        raise GatewayError(f"no adapter streams from {name} yet; there are {', '.join(registry.names())}")
    adapter = registry.create(config, _NoSink(), settings.clock())
    try:
        async with asyncio.timeout(TEST_SECONDS):
            await adapter.prepare()
            connection = adapter.open(lambda _error: None)
            await connection.connect()
            await connection.close()
    except TimeoutError:
        raise FeedError(f"{name} did not answer within {TEST_SECONDS:g} s; check {name.upper()}_WS_URL") from None
