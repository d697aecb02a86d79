"""What a session decides, request by request, with time as an argument."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway import closes
from gateway.model import User
from gateway.stream.actions import (
    Action,
    BrokerInfo,
    CheckKey,
    End,
    OpenReader,
    Orders,
    Pong,
    Reply,
    Subscribe,
    Unsubscribe,
)
from gateway.stream.protocol import ProtocolError
from gateway.stream.session import MAX_WAITING, MAX_WAITING_BYTES, Phase, Rules, Session

S = 1_000_000_000
ASHA = User("asha", 7)
KEY = "k" * 64


def send(session: Session, now_ns: int = S, /, **body: Any) -> list[Action]:
    return session.on_message(orjson.dumps(body), now_ns)


def one(session: Session, /, **body: Any) -> Action:
    (action,) = send(session, **body)
    return action


def error_of(action: Action) -> tuple[str, str]:
    assert isinstance(action, Reply)
    assert action.body["status"] == "error"
    assert action.body["message"]
    return action.body["type"], action.body["code"]


def ready(**rules: Any) -> Session:
    session = Session(Rules(**rules))
    send(session, action="authenticate", api_key=KEY)
    assert session.key_checked(ASHA, S) == [OpenReader(False, False, {})]
    return session


@pytest.mark.parametrize(
    "verb", [{"action": "authenticate"}, {"action": "auth"}, {"type": "auth"}, {"type": "authenticate"}]
)
@pytest.mark.parametrize("name", ["api_key", "apikey"])
def test_authentication_in_every_spelling(verb: dict[str, str], name: str) -> None:
    session = Session(Rules())
    assert one(session, **verb, **{name: f" {KEY} "}) == CheckKey(KEY)
    assert session.phase is Phase.CHECKING
    assert session.key_checked(ASHA, S) == [OpenReader(False, False, {})]
    assert session.user is ASHA


def test_options_of_authentication() -> None:
    session = Session(Rules(default_window_ms=50))
    send(session, action="auth", api_key=KEY, format="FLAT", conflate_ms=0, feed_status=True, request_id=0)
    assert session.key_checked(ASHA, S) == [OpenReader(True, True, {"request_id": 0})]
    (subscribe,) = send(session, action="subscribe", symbol="A", exchange="NSE")
    assert isinstance(subscribe, Subscribe)
    assert subscribe.window_ms == 0


@pytest.mark.parametrize(
    "bad", [{"format": "xml"}, {"format": 1}, {"conflate_ms": "50"}, {"conflate_ms": True}, {"conflate_ms": -1}]
)
def test_bad_options_are_named_and_cost_no_try(bad: dict[str, Any]) -> None:
    session = Session(Rules())
    for _ in range(5):
        answer = one(session, action="auth", api_key=KEY, **bad)
        assert error_of(answer) == ("auth", "INVALID_PARAMETERS")
        assert isinstance(answer, Reply)
        assert next(iter(bad)) in answer.body["message"]
    assert session.phase is Phase.NEW


def test_null_stands_for_the_default() -> None:
    session = Session(Rules())
    assert one(session, action="auth", api_key=KEY, format=None, conflate_ms=None) == CheckKey(KEY)


@pytest.mark.parametrize("key", [None, "", "   ", 5, ["k"], {"k": 1}, True])
def test_a_missing_key_is_a_failed_try(key: object) -> None:
    session = Session(Rules())
    assert error_of(one(session, action="auth", api_key=key, request_id="x")) == ("auth", "AUTHENTICATION_ERROR")


def test_three_failures_close_the_connection() -> None:
    session = Session(Rules())
    for last in (False, False, True):
        send(session, action="auth", api_key="wrong", request_id=9)
        actions = session.key_checked(None, S)
        assert error_of(actions[0]) == ("auth", "AUTHENTICATION_ERROR")
        assert isinstance(actions[0], Reply)
        assert actions[0].body["request_id"] == 9
        assert actions[1:] == ([End(closes.AUTH_FAILED)] if last else [])
    assert closes.AUTH_FAILED.code == 4403
    assert send(session, action="ping") == []


def test_a_refusal_that_is_not_the_keys_fault_costs_no_try() -> None:
    session = Session(Rules())
    for _ in range(5):
        send(session, action="auth", api_key=KEY)
        (answer,) = session.key_checked(None, S, ProtocolError("SERVER_ERROR", "no database"))
        assert error_of(answer) == ("auth", "SERVER_ERROR")
    assert session.phase is Phase.NEW


def test_the_grace_period() -> None:
    session = Session(Rules())
    assert session.auth_expired() == [End(closes.AUTH_TIMEOUT)]
    assert closes.AUTH_TIMEOUT.code == 4401
    assert ready().auth_expired() == []
    checking = Session(Rules())
    send(checking, action="auth", api_key=KEY)
    assert checking.auth_expired() == [End(closes.AUTH_TIMEOUT)]
    assert checking.key_checked(ASHA, S) == []


@pytest.mark.parametrize(
    "action",
    "subscribe unsubscribe unsubscribe_all subscribe_orders unsubscribe_orders get_broker_info "
    "get_supported_brokers ping nonsense".split(),
)
def test_before_authentication_everything_else_is_refused(action: str) -> None:
    answer = one(Session(Rules()), action=action, symbol="A", exchange="NSE", request_id=None)
    assert error_of(answer) == ("error", "NOT_AUTHENTICATED")
    assert isinstance(answer, Reply)
    assert answer.body["request_id"] is None


def test_authenticating_twice_is_refused_and_changes_nothing() -> None:
    session = ready()
    assert error_of(one(session, action="authenticate", api_key=KEY, format="flat")) == ("auth", "AUTHENTICATION_ERROR")
    assert (session.phase, session.flat) == (Phase.READY, False)


def test_what_comes_before_the_look_up_is_answered_waits_in_order() -> None:
    session = Session(Rules())
    send(session, action="auth", api_key=KEY)
    assert send(session, action="ping", request_id=1) == []
    assert send(session, action="get_broker_info", request_id=2) == []
    opened, pong, info = session.key_checked(ASHA, S)
    assert isinstance(opened, OpenReader)
    assert isinstance(pong, Pong)
    assert info == BrokerInfo(False, {"request_id": 2})


def test_a_second_try_may_wait_behind_the_first() -> None:
    session = Session(Rules())
    for request in ({"action": "auth", "api_key": "wrong"}, {"action": "auth", "api_key": KEY}, {"action": "ping"}):
        actions = send(session, **request)
    assert actions == []
    failed, check = session.key_checked(None, S)
    assert error_of(failed)[1] == "AUTHENTICATION_ERROR"
    assert check == CheckKey(KEY)
    opened, pong = session.key_checked(ASHA, S)
    assert isinstance(opened, OpenReader)
    assert isinstance(pong, Pong)


def test_what_waits_is_bounded_in_number_and_bytes() -> None:
    session = Session(Rules())
    send(session, action="auth", api_key=KEY)
    for _ in range(MAX_WAITING):
        assert send(session, action="ping") == []
    answer = one(session, action="ping", request_id="late")
    assert error_of(answer) == ("error", "RATE_LIMITED")
    assert isinstance(answer, Reply)
    assert answer.body["request_id"] == "late"
    assert len(session.key_checked(ASHA, S)) == 1 + MAX_WAITING
    other = Session(Rules())
    send(other, action="auth", api_key=KEY)
    big = "x" * (MAX_WAITING_BYTES // 4)
    assert [len(send(other, action="ping", pad=big)) for _ in range(4)] == [0, 0, 0, 1]


def test_waiting_requests_are_not_paid_twice() -> None:
    session = Session(Rules(requests_per_second=1, burst=5))
    send(session, action="auth", api_key=KEY)
    for _ in range(4):
        send(session, action="ping")
    assert [type(action) for action in session.key_checked(ASHA, S)] == [OpenReader, Pong, Pong, Pong, Pong]
    assert error_of(one(session, action="ping"))[1] == "RATE_LIMITED"


def test_the_rate_limit_refills_with_time() -> None:
    session = ready(requests_per_second=10, burst=3)
    assert [type(one(session, action="ping")) for _ in range(3)] == [Pong, Pong, Reply]
    (limited,) = send(session, S + S // 20, action="ping", request_id=5)
    assert error_of(limited) == ("error", "RATE_LIMITED")
    assert isinstance(limited, Reply)
    assert limited.body["request_id"] == 5
    assert isinstance(send(session, S + S // 10, action="ping")[0], Pong)
    late = [send(session, 100 * S, action="ping")[0] for _ in range(4)]
    assert [type(action) for action in late] == [Pong, Pong, Pong, Reply]


@pytest.mark.parametrize(
    "form",
    [
        {"symbols": [{"symbol": "SBIN", "exchange": "NSE"}]},
        {"instruments": [{"symbol": "SBIN", "exchange": "NSE"}]},
        {"symbol": "SBIN", "exchange": "NSE"},
    ],
)
def test_subscribe_in_every_form(form: dict[str, Any]) -> None:
    action = one(ready(), action="subscribe", **form)
    assert isinstance(action, Subscribe)
    assert action.rows.rows == [("NSE", "SBIN", 2)]
    assert (action.window_ms, action.depth, action.echo) == (50, 5, {})


def test_subscribe_options() -> None:
    request = {"symbol": "SBIN", "exchange": "NSE", "mode": " depth", "depth": 20, "conflate_ms": 250, "request_id": ""}
    action = one(ready(), action="subscribe", **request)
    assert isinstance(action, Subscribe)
    assert action.rows.rows == [("NSE", "SBIN", 3)]
    assert (action.window_ms, action.depth, action.echo) == (250, 20, {"request_id": ""})


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"mode": True}, "INVALID_MODE"),
        ({"mode": 2.0}, "INVALID_MODE"),
        ({"depth": 0}, "INVALID_PARAMETERS"),
        ({"depth": 5.0}, "INVALID_PARAMETERS"),
        ({"conflate_ms": 60_001}, "INVALID_PARAMETERS"),
        ({"symbols": "all"}, "INVALID_PARAMETERS"),
    ],
)
def test_bad_subscribe_requests(bad: dict[str, Any], code: str) -> None:
    answer = one(ready(), action="subscribe", **{"symbol": "A", "exchange": "NSE", "request_id": False, **bad})
    assert error_of(answer) == ("error", code)
    assert isinstance(answer, Reply)
    assert answer.body["request_id"] is False


def test_unsubscribe_without_a_mode_means_every_mode() -> None:
    action = one(ready(), action="unsubscribe", symbols=[{"symbol": "A", "exchange": "NSE"}, "NSE:B"])
    assert isinstance(action, Unsubscribe)
    assert action.rows is not None
    assert action.rows.rows == [("NSE", "A", 0), ("NSE", "B", 0)]
    mixed = [{"symbol": "A", "exchange": "NSE", "mode": 3}, {"symbol": "B", "exchange": "NSE"}]
    action = one(ready(), action="unsubscribe", symbols=mixed, mode="LTP")
    assert isinstance(action, Unsubscribe)
    assert action.rows is not None
    assert action.rows.rows == [("NSE", "A", 3), ("NSE", "B", 1)]


@pytest.mark.parametrize(
    "request_",
    [{"action": "unsubscribe_all"}, {"type": "unsubscribe_all"}, {"action": "unsubscribe", "type": "unsubscribe_all"}],
)
def test_unsubscribe_all(request_: dict[str, Any]) -> None:
    assert one(ready(), **request_, request_id=1) == Unsubscribe(None, {"request_id": 1})


def test_order_subscriptions() -> None:
    session = ready()
    assert one(session, action="subscribe_orders") == Orders(True, None, {})
    assert one(session, action="subscribe_orders", after=0) == Orders(True, 0, {})
    assert one(session, action="unsubscribe_orders") == Orders(False, None, {})
    bad_ones: list[object] = [-1, True, 1.0, "5", [], 2**63]
    for bad in bad_ones:
        assert error_of(one(session, action="subscribe_orders", after=bad))[1] == "INVALID_PARAMETERS"


def test_ping_and_information() -> None:
    session = ready()
    assert one(session, action="ping", timestamp=5, _pingId="p", request_id=3) == Pong(
        {"type": "pong", "status": "success", "client_timestamp": 5, "_pingId": "p", "request_id": 3}
    )
    assert one(session, type="ping") == Pong({"type": "pong", "status": "success"})
    assert one(session, action="get_broker_info") == BrokerInfo(False, {})
    assert one(session, action="get_supported_brokers") == BrokerInfo(True, {})


@pytest.mark.parametrize("body", [{}, {"action": "dance"}, {"action": 7}, {"action": None}, {"action": "Session"}])
def test_unknown_actions(body: dict[str, Any]) -> None:
    answer = one(ready(), **body, request_id=2)
    assert error_of(answer) == ("error", "INVALID_ACTION")
    assert isinstance(answer, Reply)
    assert "subscribe_orders" in answer.body["message"]
    assert answer.body["request_id"] == 2


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[1]", b'"x"'])
def test_rubbish_is_answered(payload: bytes) -> None:
    for session in (ready(), Session(Rules())):
        (answer,) = session.on_message(payload, S)
        assert error_of(answer) == ("error", "INVALID_JSON")


def test_oversize_ends() -> None:
    session = ready()
    assert session.oversize() == [End(closes.TOO_BIG)]
    assert session.on_message(b"{}", S) == []


def test_the_key_shows_in_no_repr_and_no_answer() -> None:
    assert KEY not in repr(CheckKey(KEY))
    session = Session(Rules())
    send(session, action="auth", api_key=KEY)
    assert KEY not in repr(session.key_checked(None, S))
