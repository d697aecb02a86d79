"""Hypothesis strategies for valid Kite frames, and KiteTicker's ticks in our decoder's words."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from tests.simulators.kite_market import Market
from tests.simulators.kite_wire import Book, frame

u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
#: times the reference can say: datetime ends with the year 9999, far past 32 bits, so all of them
segments = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 255])
tokens = st.builds(lambda number, segment: number * 256 + segment, st.integers(0, 2**24 - 1), segments)
levels = st.lists(st.tuples(u32, u32, u16), max_size=5)
#: an index's change is signed 32 bits on the wire
index_price = st.integers(0, 2**31 - 1)


@st.composite
def books(draw: st.DrawFn) -> Book:
    """An instrument in any state the wire can carry."""
    token = draw(tokens)
    price = index_price if token & 0xFF == 9 else u32
    names = ("ltp", "open", "high", "low", "close", "average")
    values = {name: draw(price) for name in names}
    rest = ("ltq", "volume", "total_buy", "total_sell", "ltt", "oi", "oi_high", "oi_low", "time")
    values |= {name: draw(u32) for name in rest}
    return Book(token, **values, buy=draw(levels), sell=draw(levels))


packets = st.builds(Book.packet, books(), st.sampled_from(["ltp", "quote", "full"]))
frames = st.lists(packets, max_size=8).map(frame)


def from_kiteticker(tick: dict[str, Any]) -> dict[str, Any]:
    """One tick of `KiteTicker._parse_binary` under the names that `KiteDecoder.ticks` uses."""
    renamed = {
        "last_price": "ltp",
        "last_traded_quantity": "ltq",
        "average_traded_price": "average_price",
        "volume_traded": "volume",
    }
    ours: dict[str, Any] = {}
    for name, value in tick.items():
        if name == "ohlc":
            ours |= value
        elif name in ("last_trade_time", "exchange_timestamp"):
            if milliseconds := epoch_ms(value):
                ours["ltt" if name == "last_trade_time" else "timestamp"] = milliseconds
        elif name != "change":
            ours[renamed.get(name, name)] = value
    return ours


def epoch_ms(moment: datetime | None) -> int:
    """Unix ms of the reference's local time; 0 for none. A time of 0 means "absent" on the wire."""
    return int(moment.timestamp()) * 1000 if moment else 0


def whole_frame(dice: random.Random, market: Market, tokens: list[int]) -> bytes:
    """A valid frame of up to four random packets."""
    chosen = (market.step(tokens) for _ in range(dice.randint(0, 4)))
    return frame([book.packet(dice.choice(["ltp", "quote", "full"])) for book in chosen if book])


def mutate(dice: random.Random, data: bytes) -> bytes:
    """The frame with up to four kinds of damage: bits flipped, bytes cut, put in, doubled, lengths changed."""
    out = bytearray(data)
    for _ in range(dice.randint(0, 4)):
        at = dice.randrange(len(out) + 1)
        kind = dice.randrange(5)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            del out[at : at + dice.randint(1, 40)]
        elif kind == 2:
            out[at:at] = dice.randbytes(dice.randint(1, 8))
        elif kind == 3:
            out += out[at:]
        elif at < len(out):
            out[at] = dice.choice([0, 255, 8, 28, 32, 44, 184])
    return bytes(out[:4000])
