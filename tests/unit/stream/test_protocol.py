"""Requests and answers as values: every shape that clients send."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import EXCHANGES, Mode
from gateway.stream import answers, protocol
from gateway.stream.protocol import ProtocolError, Rows


def refused(code: str, call: Any, *values: Any) -> str:
    with pytest.raises(ProtocolError) as raised:
        call(*values)
    assert raised.value.code == code
    return raised.value.message


@pytest.mark.parametrize("word", ["LTP", "ltp", " Ltp ", "1", 1])
def test_ltp_in_all_spellings(word: object) -> None:
    assert protocol.mode_of(word) is Mode.LTP


@pytest.mark.parametrize(("word", "mode"), [("quote", 2), ("QUOTE\t", 2), (2, 2), ("dEPTH", 3), (3, 3), (" 3", 3)])
def test_other_modes_in_all_spellings(word: object, mode: int) -> None:
    assert protocol.mode_of(word) == mode


@pytest.mark.parametrize("word", [True, False, 0, 4, -1, 1.0, 2.5, "full", "", "12", None, [], {}, "LTP,QUOTE"])
def test_everything_else_is_no_mode(word: object) -> None:
    assert "may be 1, 2, 3, LTP, Quote or Depth" in refused("INVALID_MODE", protocol.mode_of, word)


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe", b"[" * 5000, b"nan", b'{"a":NaN}', b'"\\ud800"', b"{}x"])
def test_what_is_no_json(payload: bytes) -> None:
    refused("INVALID_JSON", protocol.parse, payload)


@pytest.mark.parametrize("payload", [b"1", b"null", b"[]", b'"subscribe"', b"true"])
def test_json_that_is_no_object(payload: bytes) -> None:
    assert "JSON object" in refused("INVALID_JSON", protocol.parse, payload)


@pytest.mark.parametrize(
    ("body", "action"),
    [
        ({"action": "subscribe"}, "subscribe"),
        ({"type": "subscribe"}, "subscribe"),
        ({"action": " Subscribe "}, "subscribe"),
        ({"action": "auth"}, "authenticate"),
        ({"type": "auth"}, "authenticate"),
        ({"action": "authenticate", "type": "anything"}, "authenticate"),
        ({"action": "unsubscribe", "type": "unsubscribe_all"}, "unsubscribe_all"),
        ({"action": "unsubscribe", "type": " Unsubscribe_All"}, "unsubscribe_all"),
        ({"type": "unsubscribe_all"}, "unsubscribe_all"),
        ({"action": "unsubscribe", "type": 5}, "unsubscribe"),
        ({}, ""),
        ({"action": 5}, ""),
        ({"action": None, "type": "subscribe"}, ""),
    ],
)
def test_the_verb(body: dict[str, Any], action: str) -> None:
    assert protocol.parse(orjson.dumps(body)).action == action


@pytest.mark.parametrize("given_id", [0, None, "", "a", 1.5, True, False, -3, 2**53])
def test_request_id_may_be_any_scalar(given_id: object) -> None:
    payload = orjson.dumps({"action": "ping", "request_id": given_id})
    assert protocol.parse(payload).echo == {"request_id": given_id}
    assert protocol.echo_of(payload) == {"request_id": given_id}


def test_request_id_that_is_no_scalar_or_missing_is_not_echoed() -> None:
    bodies: list[dict[str, Any]] = [{"request_id": [1]}, {"request_id": {}}, {}]
    for body in bodies:
        assert protocol.parse(orjson.dumps(body)).echo == {}
    assert protocol.echo_of(b"nonsense") == protocol.echo_of(b"[]") == {}


def rows(body: dict[str, Any], default: int = 2, most: int = 10) -> Rows:
    return protocol.rows_of(body, default, most)


@pytest.mark.parametrize("name", ["symbols", "instruments"])
def test_lists_of_instruments(name: str) -> None:
    listed = [{"symbol": "SBIN", "exchange": "NSE"}, {"symbol": "GOLD", "exchange": "mcx", "mode": "depth"}]
    assert rows({name: listed}).rows == [("NSE", "SBIN", 2), ("MCX", "GOLD", 3)]
    assert rows({name: listed, "mode": "LTP"}).rows == [("NSE", "SBIN", 1), ("MCX", "GOLD", 3)]


def test_one_symbol_and_exchange() -> None:
    assert rows({"symbol": "SBIN", "exchange": "NSE"}).rows == [("NSE", "SBIN", 2)]
    assert rows({"symbol": "SBIN", "exchange": "NSE", "mode": 3}).rows == [("NSE", "SBIN", 3)]
    assert rows({"symbols": ["NSE:SBIN"], "mode": None}, 0).rows == [("NSE", "SBIN", 0)]


@pytest.mark.parametrize("exchange", sorted(EXCHANGES))
def test_every_exchange_of_the_specification(exchange: str) -> None:
    assert rows({"symbols": [{"symbol": "X", "exchange": exchange}]}).rows == [(exchange, "X", 2)]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"symbol": "A", "exchange": "NASDAQ"}, "INVALID_PARAMETERS"),
        ({"symbol": "", "exchange": "NSE"}, "INVALID_PARAMETERS"),
        ({"symbol": 5, "exchange": "NSE"}, "INVALID_PARAMETERS"),
        ({"exchange": "NSE"}, "INVALID_PARAMETERS"),
        ({"symbol": "A"}, "INVALID_PARAMETERS"),
        ("SBIN", "INVALID_PARAMETERS"),
        (7, "INVALID_PARAMETERS"),
        (None, "INVALID_PARAMETERS"),
        ([], "INVALID_PARAMETERS"),
        ({"symbol": "A", "exchange": "NSE", "mode": True}, "INVALID_MODE"),
        ({"symbol": "A", "exchange": "NSE", "mode": 9}, "INVALID_MODE"),
    ],
)
def test_a_bad_row_fails_alone(item: object, code: str) -> None:
    found = rows({"symbols": [{"symbol": "SBIN", "exchange": "NSE"}, item]})
    assert found.rows == [("NSE", "SBIN", 2)]
    assert found.total == 2
    assert (found.failed[1]["status"], found.failed[1]["code"]) == ("error", code)
    assert found.failed[1]["message"]


@pytest.mark.parametrize("body", [{}, {"symbols": []}, {"symbols": "SBIN"}, {"instruments": {}}, {"symbols": None}])
def test_no_list_at_all_fails_the_request(body: dict[str, Any]) -> None:
    refused("INVALID_PARAMETERS", rows, body)


def test_the_list_is_bounded_and_a_bad_common_mode_fails_the_request() -> None:
    refused("INVALID_PARAMETERS", rows, {"symbols": ["NSE:A"] * 11})
    refused("INVALID_MODE", rows, {"symbols": ["NSE:A"], "mode": True})


@pytest.mark.parametrize("value", [True, -1, 201, 1.0, "5", [], 2**70])
def test_bounded_whole_numbers(value: object) -> None:
    assert "depth is" in refused("INVALID_PARAMETERS", protocol.bounded_int, {"depth": value}, "depth", 5, 1, 200)
    assert (
        protocol.bounded_int({}, "depth", 5, 1, 200) == protocol.bounded_int({"depth": None}, "depth", 5, 1, 200) == 5
    )


def test_messages_repeat_no_more_than_a_little() -> None:
    assert len(protocol.shown("x" * 5000)) < 60
    assert "\n" not in protocol.shown("a\nb")


@pytest.mark.parametrize(
    ("total", "failed", "status"), [(0, 0, "success"), (3, 0, "success"), (3, 1, "partial"), (3, 3, "error")]
)
def test_status(total: int, failed: int, status: str) -> None:
    assert protocol.status_of(total, failed) == status


def test_unsubscribe_answer_lists_what_ended_and_what_was_not_held() -> None:
    early = [protocol.failed_row({"symbol": "X"}, 0, "INVALID_PARAMETERS", "no exchange")]
    held = [("NSE", "SBIN", 0), ("NSE", "TCS", 1)]
    answer = answers.unsubscribed(held, [[1, 3], []], early, "bus", {"request_id": 4})
    assert answer["status"] == "partial"
    assert answer["request_id"] == 4
    assert [(row["symbol"], row["mode"]) for row in answer["successful"]] == [("SBIN", "LTP"), ("SBIN", "Depth")]
    assert [(row["symbol"], row.get("mode"), row["code"]) for row in answer["failed"]] == [
        ("X", None, "INVALID_PARAMETERS"),
        ("TCS", "LTP", "INVALID_PARAMETERS"),
    ]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["symbol", "exchange", "mode", "x"]), inner)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["symbols", "instruments", "symbol", "exchange", "mode"]), _json, max_size=4))
def test_any_body_gives_rows_or_a_protocol_error(body: dict[str, Any]) -> None:
    try:
        found = protocol.rows_of(body, 2, 100)
    except ProtocolError as error:
        code = error.code
    else:
        code = "INVALID_MODE"
        assert len(found.rows) + len(found.failed) == found.total
        for exchange, symbol, mode in found.rows:
            assert exchange in EXCHANGES
            assert symbol
            assert mode in (1, 2, 3)
        for row in found.failed.values():
            orjson.dumps(row)
    assert code in ("INVALID_PARAMETERS", "INVALID_MODE")


@given(st.binary(max_size=60))
def test_any_bytes_give_a_request_or_a_protocol_error(payload: bytes) -> None:
    code = "INVALID_JSON"
    try:
        protocol.parse(payload)
    except ProtocolError as error:
        code = error.code
    assert code == "INVALID_JSON"
