"""The REST half of Zerodha: batches, spacing, damaged answers, secrets."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.base import FeedConfig
from adapters.zerodha.quotes import KiteQuotes
from adapters.zerodha.rest import payloads
from gateway.errors import FeedError, TokenRefusedError
from gateway.instruments.record import from_row
from gateway.instruments.table import master_path, write_master
from gateway.model import Instrument

NOW_NS = 1_763_611_200_123_456_789
SBIN = Instrument("NSE", "SBIN")
NIFTY = Instrument("NSE_INDEX", "NIFTY")
SECRET = "secret-access-token-4567"


def master(home: Path, *rows: tuple[str, str, str, str]) -> None:
    write_master(
        master_path(home, "zerodha"),
        (
            from_row({"exchange": exchange, "symbol": symbol, "brexchange": brexchange, "brsymbol": brsymbol})
            for exchange, symbol, brexchange, brsymbol in rows
        ),
    )


def config(home: Path, **fields: Any) -> FeedConfig:
    base = FeedConfig(
        "zerodha", api_key="key", access_token=SECRET, rest_url="http://kite.test", options={"home": home}
    )
    return replace(base, **fields)


def source(
    home: Path, handle: Callable[[httpx.Request], httpx.Response], spacing_s: float = 0.0, **fields: Any
) -> KiteQuotes:
    return KiteQuotes(
        config(home, **fields), lambda: NOW_NS, spacing_s=spacing_s, transport=httpx.MockTransport(handle)
    )


def success(request: httpx.Request) -> httpx.Response:
    names = request.url.params.get_list("i")
    return httpx.Response(200, json={"status": "success", "data": {name: {"last_price": 10.5} for name in names}})


@pytest.mark.asyncio
async def test_names_headers_and_payload_of_a_share_and_an_index(tmp_path: Path) -> None:
    master(tmp_path, ("NSE", "SBIN", "NSE", "SBIN"), ("NSE_INDEX", "NIFTY", "NSE", "NIFTY 50"))
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return success(request)

    quotes = source(tmp_path, handle)
    assert not quotes.knows(SBIN)
    await quotes.prepare()
    assert quotes.knows(SBIN)
    assert quotes.knows(NIFTY)
    found = await quotes.multiquotes([SBIN, NIFTY, Instrument("NSE", "NOPE")])
    assert found.keys() == {SBIN, NIFTY}
    assert json.loads(found[NIFTY]) == {"ltp": 10.5, "timestamp": NOW_NS // 1_000_000}
    [request] = seen
    assert request.url.path == "/quote"
    assert request.url.params.get_list("i") == ["NSE:SBIN", "NSE:NIFTY 50"]
    assert request.headers["Authorization"] == f"token key:{SECRET}"
    assert request.headers["X-Kite-Version"] == "3"
    quotes.new_token(config(tmp_path, access_token="tomorrow"))
    await quotes.multiquotes([SBIN])
    assert seen[-1].headers["Authorization"] == "token key:tomorrow"
    await quotes.close()


@pytest.mark.asyncio
async def test_500_instruments_go_into_one_request_and_requests_keep_their_distance(tmp_path: Path) -> None:
    names = [f"S{number}" for number in range(1201)]
    master(tmp_path, *(("NSE", name, "NSE", name) for name in names))
    sizes, times = [], []

    def handle(request: httpx.Request) -> httpx.Response:
        sizes.append(len(request.url.params.get_list("i")))
        times.append(time.monotonic())
        return success(request)

    quotes = source(tmp_path, handle, spacing_s=0.1)
    await quotes.prepare()
    # two callers at once share the one allowance
    both = await asyncio.gather(
        quotes.multiquotes([Instrument("NSE", name) for name in names]), quotes.multiquotes([Instrument("NSE", "S0")])
    )
    assert [len(found) for found in both] == [1201, 1]
    assert sorted(sizes) == [1, 201, 500, 500]
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(times))
    assert quotes.calls == 4
    await quotes.close()


@pytest.mark.asyncio
async def test_nothing_listed_means_no_request(tmp_path: Path) -> None:
    master(tmp_path, ("NSE", "SBIN", "NSE", "SBIN"))
    quotes = source(tmp_path, lambda request: pytest.fail("asked"))
    await quotes.prepare()
    assert await quotes.multiquotes([]) == {}
    assert await quotes.multiquotes([NIFTY]) == {}


@pytest.mark.asyncio
async def test_a_new_master_is_read_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    master(tmp_path, ("NSE", "SBIN", "NSE", "SBIN"))
    quotes = source(tmp_path, success)
    await quotes.prepare()
    names = quotes._names
    await quotes.prepare()
    assert quotes._names is names
    master(tmp_path, ("NSE_INDEX", "NIFTY", "NSE", "NIFTY 50"))
    os.utime(master_path(tmp_path, "zerodha"), ns=(1, 1))
    await quotes.prepare()
    assert (quotes.knows(SBIN), quotes.knows(NIFTY)) == (False, True)


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (403, b"{}", TokenRefusedError, "403"),
        (429, b"{}", FeedError, "HTTP 429"),
        (302, b"", FeedError, "HTTP 302"),
        (200, b"<html>", FeedError, "not what"),
        (200, b'{"data": []}', FeedError, "not what"),
        (200, b"[]", FeedError, "not what"),
    ],
)
@pytest.mark.asyncio
async def test_a_refusal_says_what_it_was_and_no_secret(
    tmp_path: Path, status: int, body: bytes, kind: type[FeedError], text: str
) -> None:
    master(tmp_path, ("NSE", "SBIN", "NSE", "SBIN"))
    quotes = source(tmp_path, lambda request: httpx.Response(status, content=body))
    await quotes.prepare()
    with pytest.raises(FeedError, match=text) as caught:
        await quotes.multiquotes([SBIN])
    assert type(caught.value) is kind
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(quotes.config)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"access_token": ""}, TokenRefusedError),
        ({"api_key": ""}, TokenRefusedError),
        ({"access_token": "tökên"}, TokenRefusedError),
        ({"rest_url": "http://[::1"}, FeedError),
    ],
)
@pytest.mark.asyncio
async def test_settings_that_cannot_work_are_named(
    tmp_path: Path, fields: dict[str, Any], kind: type[FeedError]
) -> None:
    master(tmp_path, ("NSE", "SBIN", "NSE", "SBIN"))
    quotes = source(tmp_path, lambda request: pytest.fail("asked"), **fields)
    await quotes.prepare()
    with pytest.raises(kind, match="ZERODHA_") as caught:
        await quotes.multiquotes([SBIN])
    assert "tökên" not in str(caught.value)
    await quotes.close()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("ohlc", "depth", "timestamp", "last_trade_time", "volume", "oi", "average_price")


@given(st.dictionaries(st.sampled_from(FIELDS), values), values)
def test_a_malformed_row_costs_no_other_row(fields: dict[str, Any], price: Any) -> None:
    rows = {"NSE:SBIN": {"last_price": 1.5}, "NSE:BAD": {"last_price": price, **fields}, "NSE:OTHER": {"last_price": 2}}
    bad = Instrument("NSE", "BAD")
    found = payloads(rows, {"NSE:SBIN": SBIN, "NSE:BAD": bad}, 7)
    assert json.loads(found.pop(SBIN)) == {"ltp": 1.5, "timestamp": 7}
    assert found.keys() <= {bad}
    for payload in found.values():
        assert json.loads(payload)["ltp"] == price
