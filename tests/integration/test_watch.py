"""The live table on a real socket, with and without somebody at the other end."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from rich.console import Console

from gateway.tools import watch

from .fake_stream import Publisher
from .test_record import At


class Gateway(threading.Thread):
    """Says `_health`, and answers subscriptions: SBIN in Quote, GOLD in LTP alone."""

    def __init__(self, keys: tuple[bytes, bytes] | None = None) -> None:
        super().__init__()
        self.wanted: set[bytes] = set()
        self.stopping = threading.Event()
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB)
        if keys is not None:
            self.socket.curve_publickey, self.socket.curve_secretkey = keys
            self.socket.curve_server = True
        self.socket.bind("tcp://127.0.0.1:0")
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def run(self) -> None:
        publisher = Publisher(self.socket)
        while not self.stopping.wait(0.05):
            while self.socket.poll(0):
                message = self.socket.recv()
                (self.wanted.add if message[0] else self.wanted.discard)(message[1:])
            self.socket.send_multipart([b"_health", b"{}"])
            publisher.send(b"NSE_SBIN_QUOTE", b'{"ltp":982.5,"bid":982.45,"volume":1000}', time.time_ns())
            publisher.send(b"MCX_GOLD_LTP", b'{"ltp":123800}', time.time_ns())
        self.socket.close(0)
        self.context.term()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    thread = Gateway()
    thread.start()
    yield thread
    thread.stopping.set()
    thread.join()


def screen() -> Console:
    return Console(file=io.StringIO(), width=100, force_terminal=False)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_quotes_come_and_ltp_is_the_fallback(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "FALLBACK_S", 0.6)
    console = screen()
    assert watch.run(["NSE:SBIN", "MCX:GOLD"], At(gateway.endpoint), seconds=2.0, console=console) == 0
    assert "982.50" in text(console)
    assert "982.45" in text(console)
    assert "123,800.00" in text(console)
    deadline = time.monotonic() + 3
    while gateway.wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gateway.wanted == set(), "its wants end with it"


def test_only_what_is_watched_is_wanted(gateway: Gateway) -> None:
    options = {"seconds": 1.0, "console": screen()}
    thread = threading.Thread(target=watch.run, args=(["NSE:SBIN"], At(gateway.endpoint)), kwargs=options)
    thread.start()
    time.sleep(0.6)
    assert gateway.wanted == {b"_health", b"NSE_SBIN_QUOTE"}
    thread.join()


def test_an_encrypted_stream_is_read() -> None:
    keys = zmq.curve_keypair()
    thread = Gateway(keys)
    thread.start()
    try:
        console = screen()
        assert watch.run(["NSE:SBIN"], At(thread.endpoint, keys), seconds=1.5, console=console) == 0
        assert "982.50" in text(console)
    finally:
        thread.stopping.set()
        thread.join()


def test_no_gateway_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SILENCE_S", 0.3)
    for endpoint in (f"ipc://{tmp_path}/none.sock", "tcp://127.0.0.1:1"):
        console = screen()
        assert watch.run(["NSE:SBIN"], At(endpoint), console=console) == 1
        assert "gateway serve" in text(console)


def test_wrong_symbols_are_named() -> None:
    console = screen()
    assert watch.run(["SBIN"], At("tcp://127.0.0.1:1"), console=console) == 2
    assert "EXCHANGE:SYMBOL" in text(console)
    assert watch.run([], At("tcp://127.0.0.1:1"), console=screen()) == 2
