"""A mutator with a fixed seed: the same count gives the same inputs on every machine."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

#: inputs per test in `make test`; FUZZ_COUNT says otherwise
COUNT = int(os.environ.get("FUZZ_COUNT", "20000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))

#: what parsers stumble over
TOKENS: Sequence[bytes] = (
    b"NaN", b"Infinity", b"-Infinity", b"-0", b"-1", b"1e999", b"1e-999", b"0e2147483647", b"9" * 400, b"1" * 20,
    b"null", b"true", b"false", b"{", b"}", b"[", b"]", b"{}", b"[]", b",", b":", b'"', b"\\", b"\\u0000", b"\\ud800",
    b"\\udc00\\ud800", b"\\ud83d\\ude00", b"\\\\u", b"\xff", b"\xc3\x28", b"\xe2\x80\xa8", b"\x00", b"\n", b"\t", b" ",
    b"_", b"LTP", b"QUOTE", b"DEPTH", b"orders", b"NSE", b"NSE_INDEX", b"INDEX", b"CACHE_INVALIDATE_ALL_", b"ltp",
    b"l\\u0074p", b'"ltp":1', b'"symbol":"X"', b'"snapshot":false', b'"\\u006dode":1', b'"data":{}', b"symbols",
    b"mode", b"action", b"subscribe", b"authenticate", b"[" * 40, b"{\"a\":" * 40, b"x" * 200,
)  # fmt: skip


class Mutator:
    """Changes seeds: bytes flipped, cut, doubled, moved, tokens put in, two seeds joined."""

    def __init__(self, seeds: Sequence[bytes], salt: int = 0) -> None:
        self.random = random.Random(SEED * 1000 + salt)
        self._seeds = seeds

    def next(self) -> bytes:
        """The next input; about one in five is a seed as it is."""
        rng = self.random
        data = rng.choice(self._seeds)
        for _ in range(rng.choice((0, 1, 1, 2, 4))):
            data = self._once(data)
        return data

    def _once(self, data: bytes) -> bytes:
        rng = self.random
        at = rng.randrange(len(data) + 1)
        to = min(len(data), at + rng.choice((1, 1, 2, 4, 16)))
        match rng.randrange(7):
            case 0:
                return data[:at] + rng.choice(TOKENS) + data[at:]
            case 1:
                return data[:at] + rng.choice(TOKENS) + data[to:]
            case 2:
                return data[:at] + data[to:]
            case 3:
                return data[:at] + bytes((rng.randrange(256),)) + data[to:]
            case 4:
                return data[:to] + data[at:]
            case 5:
                other = rng.choice(self._seeds)
                return data[:at] + other[rng.randrange(len(other) + 1) :]
            case _:
                return data[:at]
