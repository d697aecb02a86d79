"""One connection of the adapter against the simulated server."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from pathlib import Path

import pytest
import structlog

from adapters.zerodha.stream import TOKENS_PER_REQUEST, KiteConnection
from gateway.errors import FeedError, TokenRefusedError
from gateway.model import Instrument, Mode, Want
from tests.integration.zerodha.bench import (
    INFY,
    KEY,
    NIFTY,
    OPTION,
    SBIN,
    TOKEN,
    USDINR,
    KeepingSink,
    Losses,
    adapter,
    until,
)  # fmt: skip
from tests.simulators.kite import KiteServer
from tests.simulators.kite_market import Market
from tests.unit.adapters.kite_frames import mutate, whole_frame

pytestmark = pytest.mark.asyncio


async def connected(server: KiteServer, home: Path) -> tuple[KiteConnection, KeepingSink, Losses]:
    made, sink = adapter(server, home)
    await made.prepare()
    losses = Losses()
    connection = made.open(losses)
    assert isinstance(connection, KiteConnection)
    await connection.connect()
    return connection, sink, losses


async def test_requests_are_the_ones_the_server_expects(server: KiteServer, tmp_path: Path) -> None:
    connection, _, _ = await connected(server, tmp_path)
    await connection.subscribe([Want(INFY, Mode.DEPTH), Want(SBIN, Mode.LTP), Want(NIFTY, Mode.DEPTH)])
    await connection.subscribe([Want(SBIN, Mode.QUOTE)])
    await connection.unsubscribe([INFY, USDINR])
    await until(lambda: len(server.requests) == 5)
    assert server.requests == [
        '{"a":"subscribe","v":[408065,256265,779521]}',
        '{"a":"mode","v":["full",[408065,256265]]}',
        '{"a":"mode","v":["ltp",[779521]]}',
        '{"a":"mode","v":["quote",[779521]]}',
        '{"a":"unsubscribe","v":[408065]}',
    ]
    assert server.held() == {779521: "quote", 256265: "full"}
    await connection.close()


async def test_many_instruments_go_in_batches(server: KiteServer, tmp_path: Path) -> None:
    connection, _, _ = await connected(server, tmp_path)
    many = {Instrument("NSE", f"S{number}"): number for number in range(1, 2 * TOKENS_PER_REQUEST + 51)}
    for instrument, number in many.items():
        connection._adapter._listed[instrument] = connection._adapter._listed[INFY]._replace(token=number * 256 + 1)
    await connection.subscribe([Want(instrument, Mode.QUOTE) for instrument in many])
    await until(lambda: len(server.requests) == 6)
    sent = [json.loads(text) for text in server.requests]
    assert [request["a"] for request in sent] == ["subscribe"] * 3 + ["mode"] * 3
    assert [len(request["v"]) for request in sent[:3]] == [200, 200, 50]
    assert [len(request["v"][1]) for request in sent[3:]] == [200, 200, 50]
    assert len(server.held()) == 450
    await connection.close()


async def test_ticks_of_all_modes_arrive(server: KiteServer, tmp_path: Path) -> None:
    server.snapshot = False
    connection, sink, _ = await connected(server, tmp_path)
    wants = [Want(INFY, Mode.LTP), Want(SBIN, Mode.QUOTE), Want(USDINR, Mode.DEPTH), Want(NIFTY, Mode.DEPTH)]
    await connection.subscribe(wants)
    await until(lambda: len(server.held()) == 4 and "ltp" in server.held().values())
    server.tick(408065, 779521, 294403, 256265)
    await until(lambda: len(sink.ticks) == 4)
    topics = [topic for topic, _ in sink.ticks]
    assert topics == [b"NSE_INFY_LTP", b"NSE_SBIN_QUOTE", b"CDS_USDINR26NOV26FUT_DEPTH", b"NSE_INDEX_NIFTY_DEPTH"]
    book = server.market.books[294403]
    assert json.loads(sink.ticks[2][1])["ltp"] == book.ltp / 10_000_000
    assert json.loads(sink.ticks[0][1])["timestamp"] == 1_763_611_200_123
    await connection.close()


async def test_a_wrong_token_is_refused_for_good(server: KiteServer, tmp_path: Path) -> None:
    made, _ = adapter(server, tmp_path, token="yesterday")
    losses = Losses()
    with pytest.raises(TokenRefusedError, match="HTTP 403") as caught:
        await made.open(losses).connect()
    assert server.refused == 1
    assert "yesterday" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert losses.errors == []


async def test_without_a_token_nothing_is_sent(server: KiteServer, tmp_path: Path) -> None:
    made, _ = adapter(server, tmp_path, token="")
    with pytest.raises(TokenRefusedError, match="ZERODHA_ACCESS_TOKEN"):
        await made.open(Losses()).connect()
    assert server.refused == server.accepted == 0


async def test_a_dead_server_is_an_error_that_may_pass(server: KiteServer, tmp_path: Path) -> None:
    made, _ = adapter(server, tmp_path)
    server.kill()
    with pytest.raises(FeedError, match="cannot be reached") as caught:
        await made.open(Losses()).connect()
    assert not isinstance(caught.value, TokenRefusedError)
    assert TOKEN not in str(caught.value)


async def test_a_killed_server_is_told_once_and_may_come_back(server: KiteServer, tmp_path: Path) -> None:
    connection, sink, losses = await connected(server, tmp_path)
    await connection.subscribe([Want(INFY, Mode.QUOTE)])
    await until(lambda: sink.ticks)
    port = server.port
    server.kill()
    await until(lambda: losses.errors)
    with pytest.raises(FeedError, match="not connected"):
        await connection.subscribe([Want(SBIN, Mode.QUOTE)])
    await connection.close()
    await asyncio.sleep(0.05)
    assert [type(error) for error in losses.errors] == [FeedError]

    server.start()
    assert server.port == port
    again = connection._adapter.open(losses)
    await again.connect()
    sink.ticks.clear()
    await again.subscribe([Want(INFY, Mode.DEPTH)])
    await until(lambda: any(topic == b"NSE_INFY_DEPTH" for topic, _ in sink.ticks))
    assert len(losses.errors) == 1
    await again.close()


async def test_a_close_frame_is_answered_and_told_with_its_code(server: KiteServer, tmp_path: Path) -> None:
    connection, _, losses = await connected(server, tmp_path)
    await until(lambda: server.clients)
    await asyncio.to_thread(server.close_clients, 1001)
    await until(lambda: losses.errors)
    assert "1001" in str(losses.errors[0])
    await until(lambda: not server.clients)
    await connection.close()


async def test_a_close_that_was_asked_for_is_not_told(server: KiteServer, tmp_path: Path) -> None:
    connection, _, losses = await connected(server, tmp_path)
    await until(lambda: server.clients)
    await connection.close()
    await until(lambda: not server.clients)
    await connection.close()
    assert losses.errors == []


async def test_heartbeats_are_signs_of_life(server: KiteServer, tmp_path: Path) -> None:
    connection, sink, _ = await connected(server, tmp_path)
    start = connection.last_frame_ns
    assert abs(time.monotonic_ns() - start) < 5_000_000_000
    await until(lambda: connection.last_frame_ns > start)
    assert connection._adapter.counters()["heartbeats"] >= 1
    assert sink.ticks == []
    await connection.close()


async def test_text_frames_are_counted_and_logged_without_secrets(
    server: KiteServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with structlog.testing.capture_logs() as logs, caplog.at_level(1):
        logging.getLogger("picows").setLevel(1)
        connection, _, _ = await connected(server, tmp_path)
        for text in (
            {"type": "order", "data": {"order_id": "1"}},
            {"type": "error", "data": f"token {TOKEN} of {KEY} is odd"},
            {"type": "message", "data": "markets close early"},
            {"type": "unheard of"},
            [1],
        ):
            server.send_frame(json.dumps(text))
        server.send_frame("no JSON")
        counts = connection._adapter.counts
        await until(lambda: sum(counts.values()) == 6)
        await connection.close()
        logging.getLogger("picows").setLevel(logging.NOTSET)
    assert counts == {"order": 1, "error": 1, "message": 1, "other_text": 3}
    said = repr(logs) + caplog.text
    assert "token *** of *** is odd" in said
    assert "markets close early" in said
    assert TOKEN not in said
    assert KEY not in said


async def test_a_message_in_pieces_is_joined(server: KiteServer, tmp_path: Path) -> None:
    connection, sink, _ = await connected(server, tmp_path)
    whole = bytes.fromhex("0001000800063a0100022a29")

    async def send_in_pieces() -> None:
        for client in server.clients:
            await client.socket.send([whole[:5], whole[5:6], whole[6:]])

    await until(lambda: server.clients)
    await asyncio.to_thread(server._run, send_in_pieces())
    await until(lambda: sink.ticks)
    assert sink.ticks == [(b"NSE_INFY_LTP", b'{"ltp":1418.65,"timestamp":1763611200123}')]
    await connection.close()


async def test_garbage_frames_leave_the_connection_up(server: KiteServer, tmp_path: Path) -> None:
    connection, sink, losses = await connected(server, tmp_path)
    await until(lambda: server.clients)
    for garbage in (b"", b"\xff" * 3, b"\xff" * 70000, b"\x00\x01\xff\xff"):
        server.send_frame(garbage)
    await connection.subscribe([Want(OPTION, Mode.DEPTH)])
    await until(lambda: any(topic.endswith(b"_DEPTH") for topic, _ in sink.ticks))
    assert losses.errors == []
    await connection.close()


async def test_ten_thousand_damaged_frames_through_the_socket(server: KiteServer, tmp_path: Path) -> None:
    """Whatever comes, the connection stays, and a good tick after it arrives."""
    connection, sink, losses = await connected(server, tmp_path)
    await until(lambda: server.clients)
    server.snapshot = False
    dice, market, frames = random.Random(10_000), Market(5), 10_000
    tokens = list(market.books)

    async def send_all() -> None:
        for _ in range(frames):
            await server._broadcast(mutate(dice, whole_frame(dice, market, tokens)))

    before = connection._adapter.counters()["frames"]
    await asyncio.to_thread(server._run, send_all(), 60)
    await until(lambda: connection._adapter.counters()["frames"] >= before + frames, 30)
    sink.ticks.clear()
    server.send_frame(bytes.fromhex("0001000800063a0100022a29"))
    await until(lambda: sink.ticks)
    assert sink.ticks == [(b"NSE_INFY_LTP", b'{"ltp":1418.65,"timestamp":1763611200123}')]
    assert losses.errors == []
    await connection.close()


async def test_an_instrument_that_left_the_master_is_passed_over(server: KiteServer, tmp_path: Path) -> None:
    connection, _, _ = await connected(server, tmp_path)
    await connection.subscribe([Want(Instrument("NSE", "GONE"), Mode.LTP), Want(INFY, Mode.LTP)])
    await connection.unsubscribe([Instrument("NSE", "GONE")])
    await until(lambda: server.held() == {408065: "ltp"})
    await connection.close()
