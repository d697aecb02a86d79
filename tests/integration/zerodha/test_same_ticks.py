"""The official KiteTicker and our adapter, side by side on one simulated server."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import pytest

from gateway.model import Instrument, Mode, Want
from tests.integration.zerodha.bench import KEY, TOKEN, Losses, adapter, until
from tests.simulators.kite import KiteServer
from tests.unit.adapters.kite_frames import from_kiteticker

pytestmark = pytest.mark.asyncio

MODES = {"ltp": Mode.LTP, "quote": Mode.QUOTE, "full": Mode.DEPTH}
ROOT = Path(__file__).parents[3]
ROUNDS = 60


async def kite_ticker(server: KiteServer, token: str, modes: dict[str, list[int]]) -> Process:
    arguments = [server.ws_url, KEY, token, json.dumps(modes)]
    module = "tests.simulators.kite_ticker_client"
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=PIPE, cwd=ROOT, limit=2**24
    )


async def events(process: Process, kind: str, count: int) -> list[dict[str, Any]]:
    """The next `count` events of one kind; for ticks, single ticks are counted."""
    assert process.stdout is not None
    found: list[dict[str, Any]] = []
    while len(found) < count:
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        assert line, "KiteTicker ended"
        event = json.loads(line)
        if event["kind"] == kind:
            found += event["ticks"] if kind == "ticks" else [event]
    return found


async def end(process: Process) -> None:
    process.kill()
    await process.wait()


def as_payload(tick: dict[str, Any], receive_ms: int) -> dict[str, Any]:
    """A KiteTicker tick (times as Unix seconds) as the fields of our payload that it can tell."""
    times = {"last_trade_time": "ltt", "exchange_timestamp": "timestamp"}
    ours = from_kiteticker({name: value for name, value in tick.items() if name not in times})
    for name, common in times.items():
        if tick.get(name):
            ours[common] = tick[name] * 1000
    ours.setdefault("timestamp", receive_ms)
    for name in ("oi_day_high", "oi_day_low", "mode", "tradable", "instrument_token"):
        ours.pop(name, None)
    if "depth" in ours:
        ours["depth"] = {side: [row for row in rows if any(row.values())] for side, rows in ours["depth"].items()}
    return ours


async def test_kiteticker_and_the_adapter_report_the_same_ticks(server: KiteServer, tmp_path: Path) -> None:
    server.snapshot = False
    made, sink = adapter(server, tmp_path)
    await made.prepare()
    tokens = sorted(server.market.rows)
    # every instrument in one mode; seven kinds of segment fall into each
    modes = {word: tokens[start::3] for start, word in enumerate(MODES)}
    names = {made._listed[key].token: key for key in made._listed}
    process = await kite_ticker(server, TOKEN, modes)
    try:
        await events(process, "connected", 1)
        connection = made.open(Losses())
        await connection.connect()
        await connection.subscribe([Want(names[each], MODES[word]) for word in MODES for each in modes[word]])
        wanted = {each: word for word in modes for each in modes[word]}
        await until(lambda: [client.modes for client in server.clients] == [wanted, wanted])

        for _ in range(ROUNDS):
            server.tick(*tokens)
        official = await events(process, "ticks", ROUNDS * len(tokens))
        await until(lambda: len(sink.ticks) >= ROUNDS * len(tokens))
        await connection.close()
    finally:
        await end(process)

    assert len(sink.ticks) == len(official) == ROUNDS * len(tokens)
    for (topic, payload), tick in zip(sink.ticks, official, strict=True):
        instrument: Instrument = names[tick["instrument_token"]]
        assert topic == instrument.topic(MODES[tick["mode"]])
        check(json.loads(payload), tick)


def check(ours: dict[str, Any], tick: dict[str, Any]) -> None:
    expected = as_payload(tick, 1_763_611_200_123)
    if tick.get("change"):
        assert ours["change_percent"] == pytest.approx(tick["change"], abs=0.0001)
    if not tick["tradable"] and tick["mode"] == "full":
        expected["depth"] = {"buy": [], "sell": []}
    assert {name: ours.get(name) for name in expected} == expected
    extra = {"change", "change_percent", "bid", "ask", "last_trade_quantity", "avg_trade_price"}
    assert ours.keys() <= expected.keys() | extra


async def test_kiteticker_sends_the_requests_we_send(server: KiteServer, tmp_path: Path) -> None:
    process = await kite_ticker(server, TOKEN, {"full": [408065, 256265]})
    try:
        await until(lambda: len(server.requests) == 2, 20)
    finally:
        await end(process)
    theirs = [json.loads(text) for text in server.requests]
    server.requests.clear()
    made, _ = adapter(server, tmp_path)
    await made.prepare()
    connection = made.open(Losses())
    await connection.connect()
    wants = [Want(Instrument("NSE", "INFY"), Mode.DEPTH), Want(Instrument("NSE_INDEX", "NIFTY"), Mode.DEPTH)]
    await connection.subscribe(wants)
    await until(lambda: len(server.requests) == 2)
    assert [json.loads(text) for text in server.requests] == theirs
    await connection.close()


async def test_kiteticker_takes_the_servers_refusal_and_postbacks_as_real(server: KiteServer) -> None:
    refused = await kite_ticker(server, "wrong", {"ltp": [408065]})
    try:
        [error] = await events(refused, "error", 1)
        assert "403" in error["reason"]
        assert server.refused == 1
    finally:
        await end(refused)
    process = await kite_ticker(server, TOKEN, {"ltp": [408065]})
    try:
        await events(process, "connected", 1)
        [first] = await events(process, "ticks", 1)
        assert first["instrument_token"] == 408065
        server.send_frame('{"type":"order","data":{"order_id":"151220000000000"}}')
        [order] = await events(process, "order", 1)
        assert order["data"] == {"order_id": "151220000000000"}
    finally:
        await end(process)
