"""A picows server that sends each tick's bytes to every reader: no look-up, no envelope, no state.

What is left is the price of the bus, of the frame and of the kernel's write, so it is the floor of a server that
writes once per tick and reader. It drains the bus the way the tick bus document asks for.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import uvloop
import zmq
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

BUDGET = 256
readers: set[WSTransport] = set()


class Reader(WSListener):
    """One reader; it only listens."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Takes the reader in."""
        readers.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Lets the reader go."""
        readers.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answers a close; anything else says nothing to this server."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


class Bus:
    """The SUB socket, drained until it is empty each time its edge-triggered descriptor wakes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int) -> None:
        self.loop = loop
        self.socket: zmq.Socket[bytes] = zmq.Context().socket(zmq.SUB)
        self.socket.bind(f"tcp://127.0.0.1:{port}")
        self.socket.subscribe(b"")
        loop.add_reader(self.socket.fileno(), self.drain)
        loop.call_soon(self.drain)

    def drain(self) -> None:
        """Sends what is there, at most `BUDGET` ticks before other connections get their turn."""
        receive, text = self.socket.recv, WSMsgType.TEXT
        try:
            for _ in range(BUDGET):
                receive(zmq.NOBLOCK)
                payload = receive(zmq.NOBLOCK)
                for reader in readers:
                    reader.send(text, payload)
        except zmq.Again:
            return
        self.loop.call_soon(self.drain)


async def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ws-port", type=int, default=8765)
    parser.add_argument("--zmq-port", type=int, default=5555)
    args = parser.parse_args()

    def upgrade(_: WSUpgradeRequest) -> Any:
        return Reader()

    server = await ws_create_server(upgrade, "127.0.0.1", args.ws_port)
    bus = Bus(asyncio.get_running_loop(), args.zmq_port)
    await server.serve_forever()
    del bus


if __name__ == "__main__":
    uvloop.run(main())
