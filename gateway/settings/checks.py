"""Checks of single settings, and of settings against each other. A ValueError's text is not shown, see `load`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.settings import brokers, kafka

if TYPE_CHECKING:
    from gateway.config import Settings

#: longest path of a Unix socket that we take, bytes (the kernel's limit is 107; ZeroMQ's is lower on some systems)
SOCKET_PATH_MAX = 100
_HOST = re.compile(r"[A-Za-z0-9_.:%-]+")
_URL = re.compile(r"[a-z][a-z0-9+]*://\S*")
_Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def upper(value: object) -> object:
    """Takes a word in any letter case."""
    return value.strip().upper() if isinstance(value, str) else value


def lower(value: object) -> object:
    """Takes a word in any letter case."""
    return value.strip().lower() if isinstance(value, str) else value


def absolute(path: Path) -> Path:
    """A path that stays right when the working directory changes."""
    return path.expanduser().absolute()


def readable(path: Path | None) -> Path | None:
    """A file that is there and may be read."""
    if path is None:
        return None
    path = absolute(path)
    if not path.is_file() or not os.access(path, os.R_OK):
        raise ValueError("no readable file")
    return path


def host(value: str) -> str:
    """A host name or address, without scheme or port."""
    if not _HOST.fullmatch(value):
        raise ValueError("no host")
    return value


def default_database(validated: Mapping[str, Any]) -> str:
    """SQLite in GATEWAY_HOME."""
    return f"sqlite:///{validated.get('gateway_home', Path('var'))}/gateway.db"


def database_url(value: str) -> str:
    """Any SQLAlchemy URL; plain PostgreSQL URLs get the psycopg 3 driver."""
    if not _URL.fullmatch(value):
        raise ValueError("no URL")
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", value)


def clock_start(value: object) -> object:
    """A point in time that names its offset from UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if isinstance(value, datetime) and value.utcoffset() is None:
        raise ValueError("no offset")
    return value


def endpoint(value: str) -> str:
    """A ZeroMQ endpoint; empty for the default."""
    if not value:
        return value
    if not re.fullmatch(r"(tcp|ipc|ws)://\S+", value):
        raise ValueError("no endpoint")
    if value.startswith("ipc://") and len(os.fsencode(value[6:])) > SOCKET_PATH_MAX:
        raise ValueError("path too long")
    return value


def feeds(value: object) -> object:
    """Names of feeds from a comma list; `none` and repeats fall away."""
    if isinstance(value, str):
        value = [part.strip().lower() for part in value.split(",")]
    if not isinstance(value, list | tuple):
        return value
    names = tuple(dict.fromkeys(name for name in value if name not in ("", "none")))
    if not set(names) <= {*brokers.OWN_FEEDS, *brokers.NAMES}:
        raise ValueError("unknown feed")
    return names


def rate_limit(value: str) -> str:
    """Words of the limits library; it is imported only for a value that differs from our defaults."""
    if value not in ("50 per second", "10 per second"):
        from limits import parse_many

        parse_many(value)
    return value


def origins(value: object) -> object:
    """A comma list of web origins (scheme, host and port, no path), or `*`."""
    if not isinstance(value, str):
        return value
    found = tuple(part.strip().rstrip("/").lower() for part in value.split(",") if part.strip())
    for origin in found:
        if origin != "*" and not re.fullmatch(r"https?://[^\s/?#@*]+", origin):
            raise ValueError("not an origin")
    return found


def weekday(value: object) -> object:
    """`never` or a day's name, also in its three-letter form."""
    text = str(value).strip().lower()
    if text == "never":
        return text
    matches = [day for day in _WEEKDAYS if day == text or day[:3] == text]
    if not matches:
        raise ValueError("no weekday")
    return matches[0]


def curve_keys(settings: Settings) -> tuple[bytes, bytes] | None:
    """CURVE keys from the certificate file or the two variables. Raises ValueError on a file without both."""
    if settings.zmq_curve_secret_key_file is not None:
        text = settings.zmq_curve_secret_key_file.read_text("utf-8")
        found = dict(re.findall(r'^\s*(public|secret)-key\s*=\s*"(.{40})"', text, re.MULTILINE))
        if set(found) != {"public", "secret"} or not all(map(_Z85.fullmatch, found.values())):
            raise ValueError("no CURVE certificate with public-key and secret-key")
        return found["public"].encode(), found["secret"].encode()
    secret = settings.zmq_curve_secret_key.get_secret_value()
    return (settings.zmq_curve_public_key.encode(), secret.encode()) if secret else None


def together(settings: Settings) -> list[str]:
    """One line for each pair of settings that do not go together."""
    found: list[str] = []
    if (settings.ws_tls_cert is None) != (settings.ws_tls_key is None):
        missing = "WS_TLS_KEY" if settings.ws_tls_key is None else "WS_TLS_CERT"
        found.append(f"{missing} is not set; it must hold a file when the other of WS_TLS_CERT and WS_TLS_KEY does")
    if "replay" in settings.feeds and settings.replay_file is None:
        found.append("REPLAY_FILE is not set; with FEEDS=replay it must hold the path of a recording")
    found += _adapters(settings) + _ports(settings) + _curve(settings) + kafka.together(settings)
    return found


def _adapters(settings: Settings) -> list[str]:
    """Brokers are more than adapters."""
    if set(settings.feeds) <= set(brokers.OWN_FEEDS):
        return []
    from adapters import registry

    missing = [name for name in settings.feeds if name not in registry.names()]
    held, there = ",".join(settings.feeds), ", ".join(registry.names())
    return [f"FEEDS is {held!r}; {', '.join(missing)} has no adapter yet, there are {there}"] if missing else []


def _ports(settings: Settings) -> list[str]:
    used: dict[int, str] = {}
    found = []
    for name in ("websocket_port", "api_port", "zmq_port"):
        port = getattr(settings, name)
        if port and port in used:
            found.append(f"{name.upper()} is {port}; {used[port]} holds the same port, each needs one of its own")
        used[port] = name.upper()
    return found


def _curve(settings: Settings) -> list[str]:
    check: Callable[[str], object] = _Z85.fullmatch
    secret = settings.zmq_curve_secret_key.get_secret_value()
    if secret and not check(secret):
        return ["ZMQ_CURVE_SECRET_KEY is ***; it may hold 40 characters of Z85"]
    if (secret or settings.zmq_curve_public_key) and not check(settings.zmq_curve_public_key):
        held = settings.zmq_curve_public_key
        return [f"ZMQ_CURVE_PUBLIC_KEY is {held!r}; with ZMQ_CURVE_SECRET_KEY it must hold 40 characters of Z85"]
    if settings.zmq_curve_public_key and not secret:
        return ["ZMQ_CURVE_SECRET_KEY is not set; with ZMQ_CURVE_PUBLIC_KEY it must hold 40 characters of Z85"]
    try:
        curve_keys(settings)
    except (OSError, ValueError) as error:
        held = str(settings.zmq_curve_secret_key_file)
        return [f"ZMQ_CURVE_SECRET_KEY_FILE is {held!r}; it may hold the path of a CURVE certificate ({error})"]
    return []
