"""Inbound commands: what is one, and that each is performed once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import load_settings
from gateway.errors import StoreError
from gateway.trade.core.errors import InvalidError
from gateway.trade.ports import Kept, Once
from publishers.inbound import Inbound
from publishers.inbound_command import MalformedError, OnceCommand, command_of

GOOD: dict[str, Any] = {
    "event_type": "place_order",
    "event_id": "e-1",
    "user_id": "asha",
    "version": "1.0",
    "data": {"symbol": "SBIN", "quantity": "1", "apikey": "not-to-be-kept"},
}


class Message:
    """As much of a record as is looked at."""

    partition, offset = 0, 1

    def __init__(self, **changes: Any) -> None:
        self.value = json.dumps({**GOOD, **changes}).encode()


class Service:
    """Keeps answers as the trade service does."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Mapping[str, Any]]] = []
        self.answers: dict[tuple[str, str], Kept] = {}
        self.errors: list[Exception] = []
        self.tell = True

    async def call(
        self, user_id: str, endpoint: str, fields: Mapping[str, Any], once: Once | None = None
    ) -> dict[str, Any]:
        assert once is not None
        self.calls.append((user_id, endpoint, fields))
        if self.errors:
            error = self.errors.pop(0)
            if isinstance(error, InvalidError) and self.tell:
                kept = once.refusal(error)
                assert kept is not None
                self.answers[user_id, kept.key] = kept
            raise error
        kept = once.success({"orderid": "1"})
        self.answers[user_id, kept.key] = kept
        return {"orderid": "1"}

    async def kept(self, user_id: str, key: str) -> Kept | None:
        return self.answers.get((user_id, key))


def inbound(service: Service, rejects: list[str]) -> Inbound:
    async def known(name: str) -> bool:
        return name == "asha"

    async def reject(user: str, endpoint: str, fields: Mapping[str, Any], reason: str) -> None:
        rejects.append(reason)

    return Inbound(load_settings(), service, known, reject)


@pytest.mark.asyncio
async def test_a_command_is_performed_once_and_without_a_key() -> None:
    service, rejects = Service(), list[str]()
    one = inbound(service, rejects)
    for _ in range(3):
        await one._take(Message())
    assert service.calls == [("asha", "placeorder", {"symbol": "SBIN", "quantity": "1"})]
    assert one.counts == {"executed": 1, "repeated": 2}


@pytest.mark.asyncio
async def test_refusals_are_told_and_final() -> None:
    service, rejects = Service(), list[str]()
    one = inbound(service, rejects)
    service.errors = [InvalidError("quantity is 0", "quantity")]
    await one._take(Message())
    await one._take(Message())
    assert (len(service.calls), rejects) == (1, [])
    service.errors, service.tell = [InvalidError("mode is live", "mode")], False
    await one._take(Message(event_id="e-2"))
    assert rejects == ["mode is live"]
    assert one.counts == {"rejected": 2, "repeated": 1}


@pytest.mark.asyncio
async def test_a_database_that_is_away_is_waited_for() -> None:
    service = Service()
    one = inbound(service, [])
    service.errors = [StoreError("away"), StoreError("away")]
    await one._take(Message())
    assert len(service.calls) == 3
    assert one.counts == {"executed": 1}


@pytest.mark.asyncio
async def test_unknown_users_and_malformed_messages_are_skipped_and_counted() -> None:
    service = Service()
    one = inbound(service, [])
    await one._take(Message(user_id="mallory"))
    await one._take(Message(data=None))
    assert service.calls == []
    assert one.counts == {"unknown_user": 1, "malformed": 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_type", "withdraw"),
        ("version", "9"),
        ("event_id", ""),
        ("event_id", 5),
        ("event_id", "x" * 256),
        ("user_id", "a\nb"),
        ("data", []),
    ],
)
def test_what_is_no_command_is_named(field: str, value: object) -> None:
    with pytest.raises(MalformedError, match=f"^{field} is "):
        command_of(json.dumps({**GOOD, field: value}).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_command_or_malformed(value: bytes) -> None:
    with pytest.raises(MalformedError):
        command_of(value)


def test_keys_of_any_event_id_fit_their_column() -> None:
    once = OnceCommand(command_of(json.dumps({**GOOD, "event_id": "é" * 255}).encode()))
    assert len(once.key) <= 128
    assert len(once.success({}).digest) == 64
