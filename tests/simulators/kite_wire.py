"""Kite's binary wire format, sending side, written from KITE section 3 and from nothing else in this repository."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

#: segment -> price divisor (KITE section 3.1)
DIVISORS = {1: 100, 2: 100, 3: 10_000_000, 4: 100, 5: 100, 6: 10_000, 7: 100, 8: 100, 9: 100, 12: 10_000}
INDICES = 9
HEARTBEAT = b"\x00"
EMPTY = (0, 0, 0)


def divisor(token: int) -> int:
    """The divisor of an instrument's prices."""
    return DIVISORS.get(token & 0xFF, 100)


@dataclass
class Book:
    """All the server knows of one instrument. Prices are integers in units of 1/divisor, times Unix seconds."""

    token: int
    ltp: int = 0
    ltq: int = 0
    average: int = 0
    volume: int = 0
    total_buy: int = 0
    total_sell: int = 0
    open: int = 0
    high: int = 0
    low: int = 0
    close: int = 0
    ltt: int = 0
    oi: int = 0
    oi_high: int = 0
    oi_low: int = 0
    time: int = 0
    #: (quantity, price, orders), best first
    buy: list[tuple[int, int, int]] = field(default_factory=list)
    sell: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def is_index(self) -> bool:
        """Indices have packets of their own."""
        return self.token & 0xFF == INDICES

    def packet(self, mode: str) -> bytes:
        """The packet for a subscriber in `ltp`, `quote` or `full`."""
        if mode == "ltp":
            return struct.pack(">II", self.token, self.ltp)
        return self._index(mode) if self.is_index else self._tradable(mode)

    def _index(self, mode: str) -> bytes:
        prices = struct.pack(">6I", self.token, self.ltp, self.high, self.low, self.open, self.close)
        prices += struct.pack(">i", self.ltp - self.close)
        return prices + (struct.pack(">I", self.time) if mode == "full" else b"")

    def _tradable(self, mode: str) -> bytes:
        quote = struct.pack(
            ">11I", self.token, self.ltp, self.ltq, self.average, self.volume, self.total_buy, self.total_sell,
            self.open, self.high, self.low, self.close,
        )  # fmt: skip
        if mode != "full":
            return quote
        times = struct.pack(">5I", self.ltt, self.oi, self.oi_high, self.oi_low, self.time)
        rows = (self.buy + [EMPTY] * 5)[:5] + (self.sell + [EMPTY] * 5)[:5]
        return quote + times + b"".join(struct.pack(">IIHxx", *row) for row in rows)


def frame(packets: list[bytes]) -> bytes:
    """Packets in one binary frame."""
    return struct.pack(">H", len(packets)) + b"".join(struct.pack(">H", len(packet)) + packet for packet in packets)
