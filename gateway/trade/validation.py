"""Flags on prices that look wrong (sandbox, "Market data service"). They warn; the matcher has guards of its own."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

import orjson
from gateway_matcher import Matcher

from gateway.model import Instrument, Mode

_S: Final = 1_000_000_000
#: a price further than this from the last one is a jump: a fifth
_JUMP: Final = 5
#: a timestamp of the payload older than this is old, ns
OLD_NS: Final = 60 * _S
#: payloads are parsed for their timestamps at most so often for one instrument, ns: parsing each tick would cost
#: more than everything else that is done with it
_PARSE_NS: Final = 5 * _S
#: instruments that are remembered
_MOST: Final = 50_000


class Flag(StrEnum):
    """What looks wrong."""

    JUMP = "jump"
    OLD_TIMESTAMP = "old timestamp"
    NO_PRICE = "no usable price"


class _Seen(NamedTuple):
    #: scaled price, arrival in Unix ns, when its payload was parsed last
    ltp: int
    arrival_ns: int
    parsed_ns: int


class Validation:
    """Looks at instruments whose ticks have just been taken; counts flags and remembers each instrument's last one."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._seen: dict[Instrument, _Seen] = {}
        self.counts = dict.fromkeys(Flag, 0)
        self.flags: dict[Instrument, Flag] = {}

    def look(self, instruments: Iterable[Instrument], now_ns: int) -> None:
        """Judges the newest price of each."""
        for instrument in instruments:
            found = self._matcher.quote(*instrument)
            if found is None:
                self._flag(instrument, Flag.NO_PRICE)
                continue
            ltp, arrival_ns = found[0], found[3]
            old = self._seen.get(instrument)
            if old is None:
                if len(self._seen) >= _MOST:
                    self._seen.clear()
                old = _Seen(ltp, -1, 0)
            if arrival_ns == old.arrival_ns:
                self._flag(instrument, Flag.NO_PRICE)
                continue
            if abs(ltp - old.ltp) * _JUMP > old.ltp:
                self._flag(instrument, Flag.JUMP)
            parsed_ns = old.parsed_ns
            if now_ns - parsed_ns >= _PARSE_NS:
                parsed_ns = now_ns
                if self._is_old(instrument, arrival_ns):
                    self._flag(instrument, Flag.OLD_TIMESTAMP)
            self._seen[instrument] = _Seen(ltp, arrival_ns, parsed_ns)

    def _flag(self, instrument: Instrument, flag: Flag) -> None:
        self.counts[flag] += 1
        if len(self.flags) >= _MOST:
            self.flags.clear()
        self.flags[instrument] = flag

    def _is_old(self, instrument: Instrument, arrival_ns: int) -> bool:
        found = self._matcher.last_value(*instrument, int(Mode.LTP))
        body = orjson.loads(found[0]) if found else None
        stamp = body.get("timestamp") if isinstance(body, dict) else None
        return isinstance(stamp, int | float) and arrival_ns - stamp * 1_000_000 > OLD_NS
