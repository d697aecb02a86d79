"""Reading settings: environment over `.env`, every problem said at once, unknown names warned about."""

from __future__ import annotations

import difflib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotenv import dotenv_values
from pydantic import BaseModel, ValidationError

from gateway.errors import SettingsError
from gateway.settings import brokers, checks
from gateway.settings.fields import About, describe

if TYPE_CHECKING:
    from gateway.config import Settings

PREFIXES = ("WS_", "WEBSOCKET_", "ZMQ_", "GATEWAY_", "SIMULATED_", "SANDBOX_", "KAFKA_", "SOCKETIO_")
#: read by the tests only
TESTS = "GATEWAY_TEST_"
#: set by a parent process for its children, never by people: pipe ends and the clock's fixed offset in ns
READY_FD, PARENT_FD, CLOCK_OFFSET = "GATEWAY_READY_FD", "GATEWAY_PARENT_FD", "GATEWAY_CLOCK_OFFSET_NS"
#: variables of the trade process that the gateway does not read yet (order-events, sandbox); no warning for them
LATER = frozenset(("SANDBOX_ENGINE_TYPE", "SANDBOX_ENGINE_FALLBACK"))


def reloadable(model: type[BaseModel]) -> frozenset[str]:
    """Names of the fields that may change without a restart."""
    return frozenset(about.name for about in describe(model).values() if about.reload)


def load(model: type[Settings], overrides: Mapping[str, Any]) -> Settings:
    """Makes the settings or raises SettingsError with every problem found."""
    environment = _environment()
    about = describe(model)
    try:
        settings = model(**overrides)
    except ValidationError as error:
        lines = [
            _problem(about, environment, overrides, item)
            for item in error.errors(include_url=False)
            # the default of DATABASE_URL is not computed when another field is wrong: no problem of its own
            if item["type"] != "default_factory_not_called"
        ]
        raise SettingsError([*dict.fromkeys(lines), *brokers.problems(environment)]) from None
    problems = checks.together(settings) + brokers.problems(environment)
    if problems:
        raise SettingsError(problems)
    settings._environment = environment
    settings._warnings = tuple(unknown(environment, about))
    settings._clock_offset_ns = _clock_offset_ns(settings, environment)
    return settings


def reload(model: type[Settings], current: Settings) -> Settings:
    """`current` with the reloadable fields as they stand now."""
    fresh = load(model, {})
    merged = current.model_copy(update={name: getattr(fresh, name) for name in model.RELOADABLE})
    merged._environment = fresh._environment
    return merged


def unknown(environment: Mapping[str, str], about: Mapping[str, About]) -> list[str]:
    """A warning for each variable with one of our prefixes that nothing reads."""
    known = {READY_FD, PARENT_FD, CLOCK_OFFSET, *LATER}
    for item in about.values():
        known |= {item.variable, *item.aliases}
    lines = []
    for name in sorted(environment):
        if name.startswith(PREFIXES) and name not in known and not name.startswith(TESTS):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            lines.append(f"{name} is not a setting of the gateway" + (f"; did you mean {near[0]}?" if near else ""))
    return lines


def _environment() -> dict[str, str]:
    """Every non-empty variable, upper case; the environment wins over `.env` in the working directory."""
    merged: dict[str, str] = {}
    file = Path(".env")
    sources: list[Mapping[str, str | None]] = [dotenv_values(file) if file.is_file() else {}, os.environ]
    for source in sources:
        merged |= {name.upper(): value for name, value in source.items() if value}
    return merged


def _clock_offset_ns(settings: Settings, environment: Mapping[str, str]) -> int:
    """The parent's fixed offset where there is one, so that a restarted child keeps the clock."""
    fixed = environment.get(CLOCK_OFFSET, "")
    if re.fullmatch(r"-?\d+", fixed):
        return int(fixed)
    start = settings.clock_start
    return int(start.timestamp() * 1000) * 1_000_000 - time.time_ns() if start else 0


def _problem(
    about: Mapping[str, About], environment: Mapping[str, str], overrides: Mapping[str, Any], item: Any
) -> str:
    """The variable, what it holds, what it may hold."""
    loc = str(item["loc"][0]) if item["loc"] else ""
    field = next((one for one in about.values() if loc.upper() in (one.name.upper(), one.variable, *one.aliases)), None)
    if field is None:
        return f"{loc.upper()}: {item['msg']}"
    names = (field.variable, *field.aliases)
    held_in = next((name for name in names if name in environment), field.variable)
    value = overrides.get(field.name, environment.get(held_in, item.get("input")))
    return f"{held_in} is {masked(value) if field.secret else repr(str(value))}; it may hold {field.may}"


def masked(value: object) -> str:
    """A secret value for a message: of a URL everything but its password, of anything else nothing."""
    text = str(value)
    if "://" in text:
        return repr(re.sub(r"(://[^:/@\s]*:)[^@/\s]*@", r"\1***@", text))
    return "***"
