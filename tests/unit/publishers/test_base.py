"""The interface, the factory, the payloads, the settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import order_events as events
from gateway.config import Settings, load_settings
from gateway.errors import SettingsError
from publishers import factory
from publishers.base import METHODS, Event, EventPublisher, PoisonError
from publishers.kafka import KafkaPublisher
from tests.unit.publishers.recorder import Recorder, event

KEY = "the-secret-key-of-asha"
TYPES = (
    "order_event", "modify_order_event", "cancel_order_event", "close_position_event", "analyzer_update",
    "order_notification", "order_update", "master_contract_download", "password_change",
)  # fmt: skip


class Single(EventPublisher):
    """Defines one event at a time, and one type by itself."""

    name = "single"

    def __init__(self) -> None:
        self.got: list[tuple[str, int]] = []

    async def publish_event(self, event: Event) -> None:
        if event.payload == b"bad":
            raise PoisonError("bad", event.id)
        self.got.append((event.event_type, event.id))

    async def publish_order_notification(self, event: Event) -> None:
        self.got.append(("by itself", event.id))


@pytest.mark.asyncio
async def test_every_type_has_its_method() -> None:
    assert set(METHODS) == set(TYPES)
    publisher = Single()
    batch = [event(number, kind) for number, kind in enumerate([*TYPES, "of a later version"])]
    assert await publisher.publish(batch) == 10
    expected = [(kind, number) for number, kind in enumerate([*TYPES, "of a later version"])]
    expected[TYPES.index("order_notification")] = ("by itself", TYPES.index("order_notification"))
    assert publisher.got == expected
    recorder = Recorder()
    for number, kind in enumerate(TYPES):
        await getattr(recorder, f"publish_{kind}")(event(number, kind))
    assert recorder.got == list(range(9))


@pytest.mark.asyncio
async def test_a_batch_ends_before_what_is_refused() -> None:
    publisher = Single()
    batch = [event(1), event(2, payload=b"bad"), event(3)]
    assert await publisher.publish(batch) == 1
    with pytest.raises(PoisonError) as caught:
        await publisher.publish(batch[1:])
    assert caught.value.event_id == 2


def test_a_publisher_that_defines_nothing_is_refused() -> None:
    with pytest.raises(TypeError, match="must define publish or publish_event"):
        type("Nothing", (EventPublisher,), {"name": "nothing"})


@pytest.fixture
def third() -> Iterator[None]:
    factory.register("third", lambda settings: Recorder("third"), "BOTH")
    yield
    factory.unregister("third")


def _names(mode: str) -> list[str]:
    settings = load_settings(order_event_mode=mode)
    return [one.name for one in factory.make_publishers(settings, {"socketio": lambda: Recorder("socketio")})]


@pytest.mark.usefixtures("bare_environment")
def test_publishers_of_the_modes() -> None:
    assert _names("SOCKETIO") == ["socketio"]
    assert _names("kafka") == ["kafka"]
    assert _names("BOTH") == ["socketio", "kafka"]
    with pytest.raises(ValueError, match="ORDER_EVENT_MODE is 'NATS'; it may hold SOCKETIO, KAFKA, BOTH"):
        factory.names("NATS")
    assert issubclass(KafkaPublisher, EventPublisher)


@pytest.mark.usefixtures("bare_environment", "third")
def test_a_third_publisher_touches_no_other() -> None:
    assert _names("BOTH") == ["socketio", "kafka", "third"]
    assert _names("SOCKETIO") == ["socketio"]
    with pytest.raises(ValueError, match="already"):
        factory.register("third", lambda settings: Recorder())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ORDER_EVENT_MODE", "RABBIT", "ORDER_EVENT_MODE is 'RABBIT'; it may hold SOCKETIO, KAFKA or BOTH"),
        ("SOCKETIO_TRANSPORTS", "polling,smoke", "SOCKETIO_TRANSPORTS is 'polling,smoke'; it may hold polling"),
        ("SOCKETIO_PUBLIC", "maybe", "SOCKETIO_PUBLIC is 'maybe'; it may hold true or false"),
        ("SOCKETIO_REDIS_URL", "http://:pw12345678@h", "SOCKETIO_REDIS_URL is 'http://:***@h'; it may hold a URL"),
    ],
)
def test_wrong_settings(
    name: str, value: str, said: str, bare_environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(said)


@pytest.mark.usefixtures("bare_environment")
def test_defaults() -> None:
    settings: Settings = load_settings()
    assert settings.order_event_mode == "SOCKETIO"
    assert settings.socketio_transports == ("polling", "websocket")
    assert settings.socketio_public is False
    assert settings.socketio_redis_url.get_secret_value() == ""


_names_of_keys = st.sampled_from(["apikey", "api_key", "ApiKey", "API-KEY", "X-API-KEY", "x_api_key", " apikey"])
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
        | st.builds(lambda name, rest: {name: KEY, **rest}, _names_of_keys, st.just({"a": 1}))
    ),
    max_leaves=8,
)


@given(_json)
def test_no_key_at_any_depth(value: Any) -> None:
    out = events.analyzer_update({"deep": value, "apikey": KEY}, {"echo": value}, "placeorder")
    assert KEY not in out.payload.decode()
    assert "apikey" not in json.loads(out.payload)["request"]


def test_payloads() -> None:
    def read(out: Any) -> tuple[str, Any]:
        return out.event_type, orjson.loads(out.payload)

    placed = events.order_event("SBIN", "BUY", "1", "NSE", "MARKET", "MIS", batch_order=True, is_last_order=False)
    assert read(placed) == (
        "order_event",
        {
            "symbol": "SBIN", "action": "BUY", "orderid": "1", "exchange": "NSE", "price_type": "MARKET",
            "product_type": "MIS", "mode": "live", "batch_order": True, "is_last_order": False,
        },
    )  # fmt: skip
    assert read(events.analyzer_update({"symbol": "SBIN"}, {"status": "success"}, "placeorder")) == (
        "analyzer_update",
        {"request": {"symbol": "SBIN", "api_type": "placeorder"}, "response": {"mode": "analyze", "status": "success"}},
    )
    assert read(events.order_notification("SBIN"))[1]["message"] == "Positions Already Matched. No Action needed."
    assert events.order_update({"orderid": "1"}, 7).seq == 7
    assert read(events.order_update({"orderid": "1"}, 7))[1] == {"orderid": "1", "seq": 7}
    made = [
        events.order_event("A", "BUY", "1", "NSE", "MARKET", "MIS"), events.modify_order_event("success", "1"),
        events.cancel_order_event("success", "1", message="done"), events.close_position_event("success", "done"),
        events.analyzer_update({}, {}, "x"), events.order_notification("A"), events.order_update({}, 1),
        events.master_contract_download("zerodha", "success", "done"), events.password_change("a", "success", "new"),
    ]  # fmt: skip
    assert [one.event_type for one in made] == list(TYPES)
