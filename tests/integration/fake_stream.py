"""A tick stream with known content, as a process of its own: `python -m tests.integration.fake_stream ENDPOINT …`.

It says its endpoint on standard output, waits for a subscriber, and publishes `count` ticks at `rate` per second:
Depth ticks with their copies for the lower modes, index ticks in Quote, `_health` in between.
"""

from __future__ import annotations

import sys
import time

import zmq

#: one tick in this many is an index tick in Quote mode
INDEX_EVERY = 7


def native(number: int) -> tuple[bytes, bytes]:
    """Topic and payload of tick `number` in its own mode."""
    if number % INDEX_EVERY == 0:
        return b"NSE_INDEX_NIFTY_QUOTE", b'{"ltp":%d,"open":1}' % number
    return b"NSE_S%d_DEPTH" % (number % 50), b'{"ltp":%d,"depth":{"buy":[],"sell":[]},"pad":"%s"}' % (
        number,
        b"x" * 300,
    )


def copies(topic: bytes) -> list[bytes]:
    """The lower modes' topics that the stream sends the same tick under."""
    name, _, mode = topic.rpartition(b"_")
    return [name + b"_" + lower for lower in ((b"QUOTE", b"LTP") if mode == b"DEPTH" else (b"LTP",))]


class Publisher:
    """Numbers messages per topic, as the market process does."""

    def __init__(self, socket: zmq.Socket[bytes], skip: int = -1) -> None:
        self.socket = socket
        self.skip = skip
        self.numbers: dict[bytes, int] = {}

    def send(self, topic: bytes, payload: bytes, arrival_ns: int, lose: bool = False) -> None:
        number = self.numbers[topic] = self.numbers.get(topic, 0) + 1
        if not lose:
            stamp = number.to_bytes(8, "big") + arrival_ns.to_bytes(8, "big")
            self.socket.send_multipart([topic, payload, stamp])

    def tick(self, number: int) -> None:
        topic, payload = native(number)
        self.send(topic, payload, 1_000 + number, lose=number == self.skip)
        for copy in copies(topic):
            self.send(copy, payload, 1_000 + number)


def main(endpoint: str, count: int, rate: int, skip: int) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.XPUB)
    socket.setsockopt(zmq.SNDHWM, 1_000_000)
    socket.setsockopt(zmq.LINGER, 5_000)
    socket.bind(endpoint)
    print(socket.getsockopt_string(zmq.LAST_ENDPOINT), flush=True)
    socket.recv()
    publisher, began = Publisher(socket, skip), time.monotonic()
    for number in range(count):
        if number % 100 == 0:
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            socket.send_multipart([b"_health", b"{}"])
        publisher.tick(number)
    print(f"{time.monotonic() - began:.3f}", flush=True)
    sys.stdin.read()
    socket.close()
    context.term()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
