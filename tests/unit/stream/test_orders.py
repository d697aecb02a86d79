"""Order updates of the bus: who they are for, what is remembered, what is refused."""

from __future__ import annotations

import orjson
import pytest

from gateway.stream import orders
from gateway.stream.orders import OrderDesk

UPDATE = {"type": "order_update", "user_id": "asha_k", "orderid": "26071590395364", "price": 24077.8, "seq": 4}


def test_an_update_is_passed_on_as_it_came() -> None:
    update = OrderDesk().read(orjson.dumps(UPDATE))
    assert update is not None
    assert (update.user_id, update.connection) == ("asha_k", None)
    assert orjson.loads(update.text) == UPDATE


def test_a_reply_for_one_connection_does_not_show_it() -> None:
    update = OrderDesk().read(orjson.dumps({**UPDATE, "conn": 12}))
    assert update is not None
    assert update.connection == 12
    assert orjson.loads(update.text) == UPDATE


def test_the_type_may_be_missing() -> None:
    update = OrderDesk().read(b'{"user_id":"a"}')
    assert update is not None
    assert orjson.loads(update.text) == {"user_id": "a", "type": "order_update"}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"user_id":5}',
        b'{"user_id":""}',
        b'{"user_id":"a","type":"trade"}',
        b'{"user_id":"a","type":[]}',
    ],
)
def test_what_is_no_update_is_counted(payload: bytes) -> None:
    desk = OrderDesk()
    assert desk.read(payload) is None
    assert (desk.malformed, desk.relayed) == (1, 0)


def test_the_newest_number_per_user() -> None:
    desk = OrderDesk()
    for user, seq in (("a", 3), ("b", 9), ("a", 2), ("a", True), ("a", "7"), ("a", None)):
        desk.read(orjson.dumps({"user_id": user, "seq": seq}))
    assert (desk.last("a"), desk.last("b"), desk.last("c")) == (3, 9, 0)


def test_users_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "MAX_USERS", 3)
    desk = OrderDesk()
    for number in range(5):
        desk.read(orjson.dumps({"user_id": f"u{number}", "seq": 1}))
    assert [desk.last(f"u{number}") for number in range(5)] == [0, 0, 1, 1, 1]
