"""Through real sockets: broken clients and a broken publisher, and a reader beside them that notices nothing."""

from __future__ import annotations

import base64
import contextlib
import os
import random
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fuzz.mutate import SEED, Mutator
from tests.fuzz.seeds import PAYLOADS, REQUESTS, TOPICS
from tests.harness import Gateway
from tests.integration.peers import Reader, publisher, through

COUNT = int(os.environ.get("FUZZ_SOCKETS", "10000"))
LIFE = 25


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    limits: dict[str, Any] = {
        "WS_REQUESTS_PER_SECOND": "100000",
        "WS_REQUEST_BURST": "100000",
        "WS_AUTH_FAILURES_PER_MINUTE": "100000",
    }
    with Gateway("--feed", "none", MESSAGE_THROTTLE_MS="0", **limits) as running:
        yield running


def upgraded(url: str) -> socket.socket:
    """A bare connection after the handshake."""
    host, port = urlsplit(url).netloc.split(":")
    bare = socket.create_connection((host, int(port)), timeout=5)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = (f"GET / HTTP/1.1\r\nHost: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade")
    bare.sendall("\r\n".join((*lines, f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13\r\n\r\n")).encode())
    assert b" 101 " in bare.recv(4096)
    bare.setblocking(False)
    return bare


def masked(payload: bytes, opcode: int) -> bytes:
    size = len(payload)
    head = bytes((0x80 | opcode, 0x80 | size)) if size < 126 else struct.pack(">BBH", 0x80 | opcode, 0xFE, size)
    mask = b"\x01\x02\x03\x04"
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def frames(requests: Mutator, key: str) -> Iterator[bytes]:
    """Mostly sound frames around mutated requests; now and then the frame itself is broken."""
    rng = random.Random(SEED)
    raw = Mutator([masked(b'{"action":"ping"}', 1), masked(b"", 9), masked(b"\x03\xe8", 8)], 5)
    for number in range(COUNT // 2):
        if number % LIFE == 0 and number % (2 * LIFE):
            yield masked(b'{"action":"authenticate","api_key":"%s"}' % key.encode(), 1)
        elif rng.random() < 0.1:
            yield raw.next()
        else:
            yield masked(requests.next()[:60_000], rng.choice((1, 1, 1, 1, 2, 0)))


def annoy(url: str, key: str) -> int:
    """Sends all frames; returns over how many connections."""
    bare, connections = upgraded(url), 1
    for number, frame in enumerate(frames(Mutator(REQUESTS, 3), key)):
        try:
            if number % LIFE == 0:
                raise ConnectionError
            bare.sendall(frame)
            with contextlib.suppress(BlockingIOError):
                if not bare.recv(1 << 20):
                    raise ConnectionError
        except (ConnectionError, BlockingIOError):
            bare.close()
            bare, connections = upgraded(url), connections + 1
            with contextlib.suppress(OSError):
                bare.sendall(frame)
    bare.close()
    return connections


def test_nobody_else_notices(gateway: Gateway) -> None:
    pid = gateway.child_pid()
    key = gateway.add_key("rude")
    connections: list[int] = []
    with Reader(gateway.ws_url, gateway.add_key("asha")) as reader, publisher(gateway.zmq_url) as pub:
        reader.subscribe("NSE", "GOOD")
        rude = threading.Thread(target=lambda: connections.append(annoy(gateway.ws_url, key)))
        rude.start()
        topics, payloads = Mutator(TOPICS, 6), Mutator(PAYLOADS, 7)
        for number in range(COUNT // 2):
            message = [topics.next(), payloads.next()][: 1 if number % 50 == 0 else 2]
            pub.send_multipart([*message, b"more"] if number % 77 == 0 else message)
            if number % 50 == 0:
                assert through(pub, reader) == []
        while rude.is_alive():
            assert through(pub, reader) == []
        rude.join()
        assert through(pub, reader) == []
        assert reader.ask(action="ping")["type"] == "pong"
    assert connections[0] > COUNT / 2 / LIFE
    assert gateway.child_pid() == pid
    assert "Traceback" not in gateway.log, gateway.log[-4000:]
