"""How aiokafka's clients are made, started, ended and kept quiet."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from publishers.base import TransportDownError

if TYPE_CHECKING:
    from gateway.config import Settings

#: how long ending a producer may take in all, s
STOP_S: Final = 2.0
#: largest record that is sent, bytes; a topic takes 1 MiB with its frame unless told otherwise
RECORD_MAX: Final = 1_000_000
#: one line of each kind in so long, s; a broker that is away makes 30 a second
_QUIET_S: Final = 30.0
#: a cancelled task gets so many turns to end
_CANCELS: Final = 10


def options(settings: Settings) -> dict[str, Any]:
    """Arguments that every client of aiokafka takes. Raises TransportDownError where a certificate cannot be used."""
    found: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "client_id": "openalgo-gateway",
        "request_timeout_ms": settings.kafka_producer_request_timeout_ms,
        "security_protocol": settings.kafka_security_protocol,
    }
    if "SSL" in settings.kafka_security_protocol:
        found["ssl_context"] = _tls(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        found["sasl_mechanism"] = settings.kafka_sasl_mechanism
        found["sasl_plain_username"] = settings.kafka_sasl_username
        found["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return found


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
        if settings.kafka_ssl_certfile is not None:
            # a function, so that OpenSSL never asks at the terminal
            password = settings.kafka_ssl_key_password.get_secret_value
            context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile, password)
    except (OSError, ValueError) as error:
        raise TransportDownError(f"Kafka's TLS files cannot be used: {error}") from error
    return context


def make_producer(settings: Settings) -> AIOKafkaProducer:
    """An idempotent producer that waits for all replicas; not started."""
    compression = settings.kafka_producer_compression
    return AIOKafkaProducer(
        **options(settings),
        acks="all",
        enable_idempotence=True,
        compression_type=None if compression == "none" else compression,
        max_batch_size=settings.kafka_producer_batch_size,
        linger_ms=settings.kafka_producer_linger_ms,
    )


async def within(seconds: float, what: str, work: Coroutine[Any, Any, Any]) -> Any:
    """The outcome of `work`. Raises TransportDownError where Kafka fails it or takes longer than `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise TransportDownError(f"Kafka: {what} took more than {seconds:g} s") from None
    except (KafkaError, OSError) as error:
        raise TransportDownError(f"Kafka: {what} failed: {said(error)}") from error


def said(error: BaseException) -> str:
    """An error of aiokafka in one line; a SASL password never stands in one."""
    name, text = type(error).__name__, str(error)
    return (text if text.startswith(name) else f"{name}: {text}").splitlines()[0][:300]


async def end(client: Any, seconds: float = STOP_S, flush: bool = True) -> None:
    """Ends a producer or consumer in at most about `seconds`, started or not. Never raises.

    `flush`: what a producer was given still goes out if it can; without, nothing is sent any more.
    """
    if flush and await _finished(client.stop(), seconds):
        return
    await _cut(client)


async def _finished(work: Coroutine[Any, Any, Any], seconds: float) -> bool:
    task = asyncio.ensure_future(work)
    await asyncio.wait({task}, timeout=seconds)
    if task.done():
        return task.cancelled() or task.exception() is None
    await _cancel(task)
    return False


async def _cut(client: Any) -> None:
    """aiokafka has no way to end a producer whose batches are pending while the broker is away: its parts have."""
    client._closed = True
    accumulator, sender = getattr(client, "_message_accumulator", None), getattr(client, "_sender", None)
    if accumulator is not None:
        accumulator._closed = True
    await _finished((client.client if accumulator is not None else client._client).close(), 1.0)
    if sender is not None and sender.sender_task is not None:
        await _cancel(sender.sender_task)


async def _cancel(task: asyncio.Task[Any]) -> None:
    """aiokafka's sender waits for its own tasks when cancelled, so it takes more than one."""
    for _ in range(_CANCELS):
        if task.done():
            break
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)
    if task.done() and not task.cancelled():
        task.exception()


class _Rarely(logging.Filter):
    """Lets one line of each kind through in `_QUIET_S`, with how many were left out since."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, object], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        # the kinds are those in aiokafka's source, so there are few
        kind, now = (record.name, record.msg if record.args else record.lineno), self._clock()
        until, left_out = self._seen.get(kind, (0.0, 0))
        if now < until:
            self._seen[kind] = (until, left_out + 1)
            return False
        self._seen[kind] = (now + _QUIET_S, 0)
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} such lines left out)", ()
        return True


_rarely = _Rarely()


def quiet() -> None:
    """Bounds what aiokafka logs; again harmless. Its loggers are there once it is imported."""
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    for name in list(logging.root.manager.loggerDict):
        if name == "aiokafka" or name.startswith("aiokafka."):
            # a filter of the parent would not see what its children log
            logging.getLogger(name).addFilter(_rarely)
