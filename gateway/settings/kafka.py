"""Checks of the Kafka settings, each alone and against each other (order-events, "Kafka")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.config import Settings

_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def servers(value: str) -> str:
    """A comma list of `host:port`."""
    parts = [part.strip() for part in value.split(",")]
    for part in parts:
        match = _SERVER.fullmatch(part)
        if match is None or not 1 <= int(match[2]) <= 65_535:
            raise ValueError("no server")
    return ",".join(parts)


def topic(value: str) -> str:
    """A name that Kafka takes for a topic."""
    if not _TOPIC.fullmatch(value) or value in (".", ".."):
        raise ValueError("no topic")
    return value


def used(settings: Settings) -> bool:
    """Whether this gateway writes to Kafka or reads from it."""
    return settings.kafka_inbound or getattr(settings, "order_event_mode", "") in ("KAFKA", "BOTH")


def together(settings: Settings) -> list[str]:
    """One line for each Kafka setting that another one makes necessary; none where Kafka is not used."""
    if not used(settings):
        return []
    return _sasl(settings) + _tls(settings) + _topics(settings)


def _sasl(settings: Settings) -> list[str]:
    protocol = settings.kafka_security_protocol
    if not protocol.startswith("SASL"):
        return []
    held = {
        "KAFKA_SASL_USERNAME": ("a user's name", settings.kafka_sasl_username),
        "KAFKA_SASL_PASSWORD": ("the user's password", settings.kafka_sasl_password.get_secret_value()),
    }
    return [
        f"{name} is not set; with KAFKA_SECURITY_PROTOCOL={protocol} it must hold {may}"
        for name, (may, value) in held.items()
        if not value
    ]


def _tls(settings: Settings) -> list[str]:
    if settings.kafka_ssl_keyfile is not None and settings.kafka_ssl_certfile is None:
        return ["KAFKA_SSL_CERTFILE is not set; with KAFKA_SSL_KEYFILE it must hold the path of a certificate (PEM)"]
    return []


def _topics(settings: Settings) -> list[str]:
    if settings.kafka_inbound and settings.kafka_esb_events_topic == settings.kafka_order_events_topic:
        held = settings.kafka_esb_events_topic
        return [f"KAFKA_ESB_EVENTS_TOPIC is {held!r}; it must hold another topic than KAFKA_ORDER_EVENTS_TOPIC"]
    return []
