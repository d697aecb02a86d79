"""Kafka settings: each problem is one line with variable, value and choice."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import load_settings
from gateway.errors import SettingsError
from publishers.kafka_client import options

pytestmark = pytest.mark.usefixtures("bare_environment")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kafka_bootstrap_servers", "localhost"),
        ("kafka_bootstrap_servers", "a:1,b:99999"),
        ("kafka_order_events_topic", "no topic"),
        ("kafka_producer_compression", "brotli"),
        ("kafka_producer_batch_size", 10),
        ("kafka_producer_linger_ms", -1),
        ("kafka_producer_request_timeout_ms", 0),
        ("kafka_security_protocol", "TLS"),
        ("kafka_ssl_cafile", "/nonexistent.pem"),
    ],
)
def test_wrong_values(name: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(**{name: value})
    (line,) = caught.value.problems
    assert line.startswith(f"{name.upper()} is {str(value)!r}; it may hold ")


def test_defaults() -> None:
    one = load_settings()
    assert (one.kafka_bootstrap_servers, one.kafka_order_events_topic) == (
        "localhost:9092",
        "from_openalgo_order_events",
    )
    assert (one.kafka_producer_compression, one.kafka_producer_batch_size, one.kafka_producer_linger_ms) == (
        "snappy",
        65_536,
        0,
    )
    assert (one.kafka_esb_events_topic, one.kafka_consumer_group) == (
        "from_esb_order_events",
        "openalgo-order-consumer",
    )
    assert not one.kafka_inbound


def test_sasl_needs_user_and_password_where_kafka_is_used() -> None:
    assert load_settings(kafka_security_protocol="SASL_SSL")
    with pytest.raises(SettingsError) as caught:
        load_settings(kafka_security_protocol="sasl_ssl", kafka_inbound=True)
    assert [line.split(" is ")[0] for line in caught.value.problems] == ["KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"]


def test_the_password_reaches_the_client_and_no_text(tmp_path: Path) -> None:
    one = load_settings(
        kafka_security_protocol="SASL_PLAINTEXT", kafka_sasl_username="gw", kafka_sasl_password="open-sesame"
    )
    assert "sesame" not in repr(one)
    assert options(one)["sasl_plain_password"] == "open-sesame"
