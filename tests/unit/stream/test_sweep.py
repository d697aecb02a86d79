"""What time demands of a connection: grace, pings, slow readers, closes that nobody answers."""

from __future__ import annotations

import asyncio

import pytest

from gateway import closes
from gateway.stream.sweep import Patience, Sweep
from tests.unit.stream.fakes import Client, World

pytestmark = pytest.mark.asyncio
S = 1_000_000_000


def sweep(world: World, **patience: int) -> Sweep:
    return Sweep(world.hub, Patience(**patience))


def seen(client: Client, now_ns: int) -> None:
    client.listener.last_seen_ns = now_ns


async def test_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    client, ready = world.connect(), await world.reader()
    one, opened = sweep(world, auth_ns=15 * S), client.connection.opened_ns
    for now, code in ((opened + 15 * S, 0), (opened + 16 * S, 4401)):
        for each in (client, ready):
            one.visit(each.connection, now)
        assert client.listener.close_code == code
    assert ready.listener.close_code == 0


async def test_a_silent_client_is_pinged_before_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    client = await world.reader()
    one = sweep(world, ping_interval_ns=20 * S, ping_timeout_ns=5 * S)
    opened = client.connection.pinged_ns
    seen(client, opened - 1)
    for after, pings, code in ((19, 0, 0), (21, 1, 0), (24, 1, 0), (27, 1, closes.PING_TIMEOUT.code)):
        one.visit(client.connection, opened + after * S)
        assert (client.listener.pings, client.listener.close_code) == (pings, code)


async def test_any_frame_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    client = await world.reader()
    one, opened = sweep(world, ping_interval_ns=10 * S, ping_timeout_ns=30 * S), client.connection.pinged_ns
    one.visit(client.connection, opened + 11 * S)
    seen(client, opened + 12 * S)
    one.visit(client.connection, opened + 20 * S)
    assert client.listener.pings == 1
    one.visit(client.connection, opened + 22 * S)
    one.visit(client.connection, opened + 40 * S)
    assert (client.listener.pings, client.listener.close_code) == (2, 0)
    one.visit(client.connection, opened + 53 * S)
    assert client.listener.close_code == closes.PING_TIMEOUT.code


async def test_a_slow_reader_is_cut_and_has_time_to_see_why(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    client = await world.reader()
    one = sweep(world, slow_ns=10 * S)
    client.connection.on_pause()
    since = client.connection.paused_ns
    one.visit(client.connection, since + 10 * S)
    assert client.listener.close_code == 0
    one.visit(client.connection, since + 11 * S)
    assert client.listener.close_code == 4408
    ended = client.connection.closing_ns
    one.visit(client.connection, ended + 4 * S)
    assert not client.listener.cut
    one.visit(client.connection, ended + 6 * S)
    assert client.listener.cut


async def test_who_drains_in_time_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    client = await world.reader()
    client.connection.on_pause()
    since = client.connection.paused_ns
    client.connection.on_resume()
    sweep(world, slow_ns=10 * S).visit(client.connection, since + 11 * S)
    assert client.listener.close_code == 0


async def test_a_close_that_nobody_answers_is_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    ours, theirs = world.connect(), world.connect()
    world.hub.end(ours.connection, closes.KEY_REVOKED)
    theirs.connection.on_close_frame(1000)
    one = sweep(world)
    for client in (ours, theirs):
        one.visit(client.connection, client.connection.closing_ns + S // 2)
        assert not client.listener.cut
        one.visit(client.connection, client.connection.closing_ns + 2 * S)
        assert client.listener.cut


async def test_everyone_is_seen_in_a_second_also_after_most_have_left(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    clients = [world.connect() for _ in range(200)]
    visited: set[int] = set()
    one = sweep(world)
    monkeypatch.setattr(one, "visit", lambda connection, now: visited.add(connection.number))
    one._turn()
    for client in clients[:-2]:
        client.connection.on_lost()
    for _ in range(22):
        one._turn()
    one.stop()
    assert {client.connection.number for client in clients[-2:]} <= visited
    await asyncio.sleep(0)
