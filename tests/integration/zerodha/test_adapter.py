"""The adapter's instruments and quotes against the simulated server."""

from __future__ import annotations

import gzip
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import FeedError, InstrumentError, TokenRefusedError
from gateway.instruments import master_path
from gateway.model import Instrument
from tests.integration.zerodha.bench import INFY, NIFTY, TOKEN, USDINR, Losses, adapter
from tests.simulators.kite import KiteServer
from tests.simulators.kite_market import INSTRUMENTS, instruments_csv

pytestmark = pytest.mark.asyncio


async def test_the_master_comes_from_the_broker_and_is_kept(server: KiteServer, tmp_path: Path) -> None:
    made, _ = adapter(server, tmp_path)
    assert not made.knows(INFY)
    await made.prepare()
    assert all(made.knows(instrument) for instrument in (INFY, NIFTY, USDINR))
    assert not made.knows(Instrument("NSE", "NOPE"))
    listed = made.listed(NIFTY)
    assert listed is not None
    assert listed == (256265, "NSE", "NIFTY 50")
    assert len(made._listed) == len(INSTRUMENTS)

    server.kill()
    again, _ = adapter(server, tmp_path)
    await again.prepare()
    assert again.knows(NIFTY)


async def test_a_master_of_another_day_is_not_used(server: KiteServer, tmp_path: Path) -> None:
    made, _ = adapter(server, tmp_path)
    await made.prepare()
    path = master_path(tmp_path, "zerodha")
    yesterday = time.time() - 86_400
    os.utime(path, (yesterday, yesterday))
    await made.prepare()
    assert path.stat().st_mtime > yesterday + 1000
    os.utime(path, (yesterday, yesterday))
    server.kill()
    with pytest.raises(InstrumentError, match="cannot be read"):
        await made.prepare()


async def test_a_new_day_brings_a_new_master_with_the_next_connection(
    server: KiteServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = adapter(server, tmp_path)
    file = tmp_path / "kite.csv"
    file.write_bytes(instruments_csv(INSTRUMENTS[:1]).encode())
    made.config = replace(made.config, instruments=str(file))
    # from 08:20 IST to 08:29 and 08:30, when the masters change
    morning = 1_763_607_000.0
    monkeypatch.setattr("adapters.zerodha.adapter.time.time", lambda: morning)
    await made.prepare()
    file.write_bytes(instruments_csv((INSTRUMENTS[0]._replace(instrument_token=257),)).encode())
    for later, token in ((540, 408065), (600, 257)):
        monkeypatch.setattr("adapters.zerodha.adapter.time.time", lambda later=later: morning + later)
        connection = made.open(Losses())
        await connection.connect()
        await connection.close()
        listed = made.listed(INFY)
        assert listed is not None
        assert listed.token == token


@pytest.mark.parametrize("packed", [False, True])
async def test_the_settings_may_name_a_file(server: KiteServer, tmp_path: Path, packed: bool) -> None:
    made, _ = adapter(server, tmp_path / "home", token="")
    file = tmp_path / "kite.csv"
    data = instruments_csv(INSTRUMENTS[:1]).encode()
    file.write_bytes(gzip.compress(data) if packed else data)
    made.config = replace(made.config, instruments=str(file))
    await made.prepare()
    assert list(made._listed) == [INFY]
    # a file of the settings is read anew at each start
    file.write_bytes(instruments_csv(INSTRUMENTS[1:2]).encode())
    await made.prepare()
    assert list(made._listed) == [Instrument("NSE", "SBIN")]


async def test_a_refused_download_says_so_without_the_token(server: KiteServer, tmp_path: Path) -> None:
    made, _ = adapter(server, tmp_path, token="yesterday")
    with pytest.raises(TokenRefusedError, match="HTTP 403") as caught:
        await made.prepare()
    assert "yesterday" not in str(caught.value)
    assert not master_path(tmp_path, "zerodha").exists()


async def test_the_token_does_not_go_to_another_host(server: KiteServer, tmp_path: Path) -> None:
    made, _ = adapter(server, tmp_path)
    with KiteServer(api_key=made.config.api_key, access_token=TOKEN) as mirror:
        made.config = replace(made.config, instruments=f"{mirror.rest_url}/instruments")
        with pytest.raises(TokenRefusedError):
            await made.prepare()
        assert (mirror.refused, server.refused) == (1, 0)


async def test_quotes_are_quote_payloads(server: KiteServer, tmp_path: Path) -> None:
    made, _ = adapter(server, tmp_path)
    await made.prepare()
    answer = await made.quotes([INFY, NIFTY, USDINR, Instrument("NSE", "NOPE")])
    assert answer.keys() == {INFY, NIFTY, USDINR}
    for instrument, token in ((INFY, 408065), (NIFTY, 256265), (USDINR, 294403)):
        [(_, payload)] = made.decoder.decode(_frame(server, token), 0)
        streamed = json.loads(payload)
        # the index has no trade time and no book over either way
        streamed.pop("depth", None)
        assert json.loads(answer[instrument]) == streamed


async def test_failed_quotes_raise(server: KiteServer, tmp_path: Path) -> None:
    made, _ = adapter(server, tmp_path)
    await made.prepare()
    assert await made.quotes([]) == {}
    server.access_token = "changed"
    with pytest.raises(TokenRefusedError):
        await made.quotes([INFY])
    server.kill()
    with pytest.raises(FeedError, match="zerodha quotes failed"):
        await made.quotes([INFY])


def _frame(server: KiteServer, token: int) -> bytes:
    packet = server.market.books[token].packet("full")
    return b"\x00\x01" + len(packet).to_bytes(2, "big") + packet
