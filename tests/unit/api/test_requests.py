"""Keys, bodies and errors of every request."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import body
from gateway.api.endpoints import ENDPOINTS, NOT_SERVED
from gateway.api.refusals import RefusedError
from gateway.errors import FeedError, StoreError
from gateway.trade.core.errors import NoPriceError
from tests.unit.api.fakes import KEY, ORDER, Bench

pytestmark = pytest.mark.asyncio


def error(response: httpx.Response) -> str:
    """The message of an error answer, whose shape is always the same."""
    answer = response.json()
    assert answer["status"] == "error"
    assert set(answer) <= {"status", "message", "orderid"}
    return str(answer["message"])


async def test_an_order_reaches_the_service_without_its_key(bench: Bench) -> None:
    response = await bench.post("placeorder", **ORDER)
    assert response.status_code == 200
    assert response.json() == {"status": "success", "mode": "analyze", "orderid": "26112100000001"}
    assert bench.service.calls == [("asha", "placeorder", ORDER)]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
async def test_every_endpoint_asks_for_a_key(bench: Bench, endpoint: Any) -> None:
    response = await bench.post(endpoint.path, {})
    assert response.status_code == 401
    assert "apikey is missing" in error(response)
    assert bench.service.calls == []


async def test_a_key_may_come_in_the_header(bench: Bench) -> None:
    assert (await bench.raw(b"", "funds", X_API_KEY=KEY)).status_code == 200
    async with bench.client() as client:
        assert (await client.get("/api/v1/instruments", headers={"X-API-KEY": KEY})).status_code == 200
        assert (await client.get("/api/v1/instruments", params={"apikey": KEY})).status_code == 200
        assert (await client.get("/api/v1/instruments")).status_code == 401


async def test_the_header_comes_before_the_body(bench: Bench) -> None:
    response = await bench.raw(b'{"apikey":"wrong-key-0123456789"}', "funds", X_API_KEY=KEY)
    assert response.status_code == 200
    assert bench.service.calls == [("asha", "funds", {})]


@pytest.mark.parametrize("key", ["wrong-key-0123456789", "x" * 100_000, "\x00", "ключ", "\U0001f512" * 20])
async def test_a_wrong_key_is_403(bench: Bench, key: str) -> None:
    response = await bench.post("funds", {"apikey": key})
    assert response.status_code == 403
    assert key not in response.text


@pytest.mark.parametrize("key", [5, ["a"], {"a": 1}, True])
async def test_a_key_that_is_no_text_is_400(bench: Bench, key: object) -> None:
    response = await bench.post("funds", {"apikey": key})
    assert (response.status_code, error(response)) == (400, "apikey is no text; it must be a text")


BODIES: list[tuple[bytes, dict[str, str], str]] = [
    (b"{", {}, "the body is not valid JSON"),
    (b"[1]", {}, "the body is a list"),
    (b'"text"', {}, "the body is a text"),
    (b"null", {}, "the body is null"),
    (b"5", {}, "the body is a number"),
    (b'{"price": NaN}', {}, "the body holds NaN"),
    (b'{"price": -Infinity}', {}, "the body holds -Infinity"),
    (b'{"price": 1e999}', {}, "too large"),
    (b'{"a": "\xff"}', {}, "not UTF-8 text (byte 7)"),
    (b'{"a": "\\ud800"}', {}, "not valid JSON"),
    (b'{"a":' * 500 + b"1" + b"}" * 500, {}, "nests more than 16"),
    (b"[" * 100_000, {}, "not valid JSON"),
    (b" " * (body.BODY_MAX + 1), {}, f"the body is {body.BODY_MAX + 1} bytes"),
    (b"x" * 10_000_000, {}, "the body is 10000000 bytes"),
    (b"{}", {"Content_Type": "text/plain"}, "Content-Type is 'text/plain'"),
    (b"a=1", {"Content_Type": "application/x-www-form-urlencoded"}, "Content-Type is 'application/x-www-form"),
    (b"{}", {"Content_Type": "application/json; charset=utf-16"}, "charset of Content-Type is 'utf-16'"),
    (b"{}", {"Content_Encoding": "gzip"}, "Content-Encoding is 'gzip'"),
]


@pytest.mark.parametrize(("content", "headers", "message"), BODIES, ids=[case[2] for case in BODIES])
async def test_a_bad_body_is_400_with_its_own_message(
    bench: Bench, content: bytes, headers: dict[str, str], message: str
) -> None:
    response = await bench.raw(content, **headers)
    assert response.status_code == 400
    assert message in error(response)
    assert bench.service.calls == []


FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"symbol": None}, "symbol is missing"),
    ({"symbol": 5}, "symbol is 5"),
    ({"exchange": ""}, "exchange is missing"),
    ({"action": "HOLD"}, "action is 'HOLD'; it must be one of BUY, SELL"),
    ({"action": ["BUY"]}, "action is ['BUY']"),
    ({"quantity": "-1"}, "quantity is '-1'"),
    ({"quantity": 0}, "quantity is 0; it must be a number above 0"),
    ({"quantity": "NaN"}, "quantity is 'NaN'"),
    ({"quantity": "1e400"}, "quantity is '1e400'"),
    ({"quantity": True}, "quantity is True"),
    ({"quantity": 10**30}, "quantity is 1000000000000000000000000000000"),
    ({"price": {"a": 1}, "pricetype": "LIMIT"}, "price is {'a': 1}"),
    ({"price": -5}, "price is -5"),
    ({"pricetype": "ICEBERG"}, "pricetype is 'ICEBERG'; it must be one of MARKET, LIMIT, SL, SL-M"),
    ({"product": "BO"}, "product is 'BO'"),
]


@pytest.mark.parametrize(("fields", "message"), FIELDS, ids=[case[1] for case in FIELDS])
async def test_a_bad_field_is_400_and_named(bench: Bench, fields: dict[str, Any], message: str) -> None:
    response = await bench.post("placeorder", **{**ORDER, **fields})
    assert response.status_code == 400
    assert error(response).startswith(message)


async def test_huge_numbers_are_named_not_read(bench: Bench) -> None:
    digits = b"9" * 100_000
    for number in (digits, b"0." + digits, b"-" + digits, b"1." + digits + b"e5"):
        content = b'{"apikey":"%s","symbol":"SBIN","exchange":"NSE","action":"BUY","quantity":%s}' % (
            KEY.encode(), number)  # fmt: skip
        response = await bench.raw(content)
        assert response.status_code == 400, number[:5]
        assert len(response.content) < 300


async def test_numbers_arrive_exactly_and_leave_exactly(bench: Bench) -> None:
    exact = "123456789.12345678"
    text = '{"apikey":"%s","symbol":"SBIN","exchange":"NSE","action":"buy","quantity":5,"price":%s}' % (KEY, exact)  # noqa: UP031
    assert (await bench.raw(text.encode())).status_code == 200
    assert bench.service.calls[0][2]["price"] == Decimal(exact)
    response = await bench.post("quotes", symbol="SBIN", exchange="NSE")
    assert '"ltp":850.55,' in response.text
    # what a plain client makes of it is a float, as ever
    assert response.json()["data"]["ltp"] == 850.55


async def test_integers_beyond_64_bits_come_back_in_answers(bench: Bench) -> None:
    content = (
        b'{"apikey":"%s","symbols":[{"symbol":"SBIN","exchange":"NSE","extra":1242965786098635898880}]}' % KEY.encode()
    )
    response = await bench.raw(content, "multiquotes", Idempotency_Key="a")
    assert response.status_code == 200
    assert '"extra":1242965786098635898880' in response.text


@pytest.mark.parametrize(
    ("orderid", "status", "message"),
    [("done", 409, "order done is complete already"), ("unknown", 404, "there is no order unknown")],
)
async def test_refusals_of_the_service_keep_status_and_message(
    bench: Bench, orderid: str, status: int, message: str
) -> None:
    response = await bench.post("cancelorder", orderid=orderid)
    assert (response.status_code, error(response)) == (status, message)


async def test_a_recorded_rejection_carries_its_order(bench: Bench) -> None:
    response = await bench.post("placeorder", **{**ORDER, "symbol": "POOR"})
    assert response.status_code == 400
    assert response.json()["orderid"] == "26112100000001"


@pytest.mark.parametrize("fault", [StoreError("disk of host db7"), FeedError("ws of broker"), NoPriceError("no price")])
async def test_what_is_away_is_503(bench: Bench, fault: Exception) -> None:
    bench.service.fail = fault
    response = await bench.post("placeorder", **ORDER)
    assert response.status_code == 503
    assert "db7" not in error(response)


async def test_an_unforeseen_fault_is_500_without_its_text(bench: Bench) -> None:
    bench.service.fail = ZeroDivisionError("secret detail")
    response = await bench.post("placeorder", **ORDER)
    assert response.status_code == 500
    assert "reference" in error(response)
    assert "secret detail" not in response.text


async def test_a_database_away_at_the_key_is_503(bench: Bench) -> None:
    bench.verifier.away = True
    response = await bench.post("funds")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize("path", [*NOT_SERVED, "market/anything/else", "optionwhatever"])
async def test_what_is_not_served_is_501(bench: Bench, path: str) -> None:
    response = await bench.post(path)
    assert response.status_code == 501
    assert "this gateway does not serve" in error(response)
    async with bench.client() as client:
        assert (await client.get(f"/api/v1/{path}", params={"apikey": KEY})).status_code == 501


async def test_unknown_paths_and_methods(bench: Bench) -> None:
    assert "no such endpoint" in error(await bench.post("placeoder", **ORDER))
    async with bench.client() as client:
        response = await client.get("/api/v1/placeorder")
        assert response.status_code == 405
        assert response.headers["allow"] == "POST"
        assert error(response) == "the method is GET; it must be POST"
        assert (await client.post("/healthz")).status_code == 405
        assert (await client.get("/nowhere")).status_code == 404


async def test_a_long_list_is_whole_and_exact(bench: Bench) -> None:
    async with bench.client() as client:
        response = await client.get("/api/v1/instruments", headers={"X-API-KEY": KEY})
    answer = response.json()
    assert answer["status"] == "success"
    assert [row["symbol"] for row in answer["data"]] == [f"S{number}" for number in range(5001)]


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).map(lambda value: {"field": value}))  # fmt: skip
async def test_any_json_object_is_read_as_it_was_written(value: dict[str, Any]) -> None:
    text = json.dumps(value, default=lambda number: f"{number:f}")
    parsed = _unless_refused(text.encode())
    if parsed is not None:
        assert json.dumps(parsed, default=str, sort_keys=True) == json.dumps(
            _bounded(value), default=str, sort_keys=True
        )


@given(st.binary(max_size=200))
async def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    parsed = _unless_refused(content)
    assert parsed is None or isinstance(parsed, dict)


def _unless_refused(content: bytes) -> dict[str, Any] | None:
    with suppress(RefusedError):
        return body.parse(content)
    return None


def _bounded(value: Any) -> Any:
    """What the reader makes of a value: integers beyond 64 bits are no `int`."""
    by_kind: dict[type, Callable[[Any], Any]] = {
        dict: lambda found: {name: _bounded(item) for name, item in found.items()},
        list: lambda found: [_bounded(item) for item in found],
        int: lambda found: found if -(1 << 63) <= found < 1 << 63 else str(found),
        Decimal: lambda found: f"{found:f}",
    }
    return by_kind.get(type(value), lambda found: found)(value)
