"""gateway.reserve: the parent holds ports that its child can still listen on."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest
import zmq

from gateway.errors import StartError
from gateway.reserve import PortReservation, port_problems


def test_a_reserved_port_can_be_listened_on_by_asyncio_and_zeromq_again_and_again() -> None:
    async def listen(port: int) -> None:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
        del reader
        server.close()
        await server.wait_closed()

    with PortReservation() as ports:
        one, two = (ports.take("X_PORT", "127.0.0.1", 0) for _ in range(2))
        assert one != two
        for _ in range(2):
            asyncio.run(listen(one))
            with zmq.Context() as context, context.socket(zmq.SUB) as receiver:
                receiver.bind(f"tcp://127.0.0.1:{two}")


def test_a_taken_port_is_waited_for_then_named() -> None:
    with socket.socket() as other, PortReservation() as ports:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=f"WEBSOCKET_PORT is {port}, which another process listens on"):
            ports.take("WEBSOCKET_PORT", "127.0.0.1", port, wait=0.1)
        assert list(port_problems({"A": ("127.0.0.1", port), "B": ("127.0.0.1", 0)})) == ["A"]
        timer = threading.Timer(0.2, other.close)
        timer.start()
        began = time.monotonic()
        assert ports.take("WEBSOCKET_PORT", "127.0.0.1", port, wait=3) == port
        assert time.monotonic() - began < 2
        timer.join()


def test_a_foreign_address_is_a_start_error() -> None:
    with PortReservation() as ports, pytest.raises(StartError, match="cannot be listened on"):
        ports.take("ZMQ_PORT", "203.0.113.7", 0)
