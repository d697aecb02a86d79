"""Structured logs on standard error: JSON lines or text, secrets masked, noisy events bounded."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterable, MutableMapping
from typing import Any, cast

import structlog

#: field names whose values never appear, in any spelling (apiKey, API-KEY, x_access_token, …)
_SECRET_NAME = re.compile(
    r"(api|secret|private|curve)[_-]?key|apikey|secret|token|password|passwd|authorization|jwt", re.IGNORECASE
)
#: names that end like secrets and are none
_HARMLESS = frozenset({"key_id", "instrument_token", "token_refused"})
_MASK = "***"
#: shorter values are words that occur in ordinary text
_LEAST_SECRET = 8
_known: set[str] = set()
_EventDict = MutableMapping[str, Any]


def configure(level: str = "INFO", how: str = "auto") -> None:
    """Sends structlog's and the standard library's records to stderr. `how`: json, console, or auto by terminal."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    console = how == "console" or (how == "auto" and sys.stderr.isatty())
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if console
        else structlog.processors.JSONRenderer(default=str)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            mask,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level)


def set_level(level: str) -> None:
    """Changes the least urgent level that is written, at once."""
    logging.getLogger().setLevel(level)
    # these tell of every request or statement on INFO, query strings with tokens included
    for chatty in ("httpx", "httpcore", "alembic", "sqlalchemy.engine"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger: `log.get(__name__).info("feed connected", feed="zerodha")`."""
    return structlog.stdlib.get_logger(name)


def know_secret(*values: str) -> None:
    """Masks these values wherever they turn up in a log line from now on; short ones are left alone."""
    _known.update(value for value in values if len(value) >= _LEAST_SECRET)


def mask(_logger: object, _method: str, event: _EventDict) -> _EventDict:
    """Structlog processor: hides values by field name, and known secrets inside any text."""
    for name, value in event.items():
        event[name] = _MASK if _is_secret(name) and value not in (None, "") else _masked(value)
    return event


def _is_secret(name: str) -> bool:
    return name not in _HARMLESS and _SECRET_NAME.search(name) is not None


def _masked(value: Any) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, dict):
        return {key: _MASK if _is_secret(str(key)) else _masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(item) for item in value]
    return _without_known(value if isinstance(value, str) else str(value), _known)


def _without_known(text: str, known: Iterable[str]) -> str:
    for secret in known:
        if secret in text:
            text = text.replace(secret, _MASK)
    return text


class _Gate:
    """Lets `per_second` events of one key through and counts the others."""

    __slots__ = ("allowance", "at", "suppressed")

    def __init__(self, allowance: float, at: float) -> None:
        self.allowance, self.at, self.suppressed = allowance, at, 0


#: most keys remembered; past it the oldest is forgotten, so that hostile keys cannot grow it
_GATES_MAX = 1024
_gates: dict[str, _Gate] = {}


class _Silent:
    """Takes the place of a logger while an event is over its rate."""

    def _drop(self, *args: object, **fields: object) -> None:
        """Writes nothing."""

    debug = info = warning = error = exception = critical = _drop


_SILENT = cast(structlog.stdlib.BoundLogger, _Silent())


def limited(
    logger: structlog.stdlib.BoundLogger, key: str, per_second: float = 1.0, now: float | None = None
) -> structlog.stdlib.BoundLogger:
    """`limited(log, "bad topic").warning(…)` writes at most `per_second` lines a second for each key.

    The first line after a suppressed spell carries `suppressed`, how many were left out. `now`: monotonic, s.
    """
    moment = time.monotonic() if now is None else now
    burst = max(1.0, per_second)
    gate = _gates.get(key)
    if gate is None:
        if len(_gates) >= _GATES_MAX:
            del _gates[next(iter(_gates))]
        gate = _gates[key] = _Gate(burst, moment)
    gate.allowance = min(burst, gate.allowance + (moment - gate.at) * per_second)
    gate.at = moment
    if gate.allowance < 1.0:
        gate.suppressed += 1
        return _SILENT
    gate.allowance -= 1.0
    if not gate.suppressed:
        return logger
    suppressed, gate.suppressed = gate.suppressed, 0
    return logger.bind(suppressed=suppressed)
