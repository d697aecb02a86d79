"""Which instruments orders, GTTs and positions need: counted, so that the feed follows and lets go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gateway.model import Instrument
from gateway.trade.core.changes import Row
from gateway.trade.core.orders import Key
from gateway.trade.core.positions import Position
from gateway.trade.ports import Prices
from gateway.trade.user import Entry, need_of

#: our name among the holders of prices
HOLDER = "books"


class Holds:
    """Counts needs per instrument over all users and tells `prices` of the first and the last."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._counts: Counter[Instrument] = Counter()
        #: users with an open position, by instrument and position
        self._open: dict[Instrument, dict[tuple[str, tuple[object, ...]], Entry]] = {}

    def follow(self, entry: Entry, rows: Iterable[Row]) -> None:
        """Takes over what rows have become."""
        needs = [need for row in rows if (need := need_of(row)) is not None]
        # what begins comes first: a fill must not let go of the instrument between its order and its position
        for name, instrument in sorted(needs, key=lambda need: need[1] is None):
            self._set(entry, name, instrument)

    def renew(self, entry: Entry) -> None:
        """Makes the user's needs what his account says."""
        ledger = entry.account.ledger
        rows: list[Row] = [*ledger.resting.values(), *ledger.gtts.values(), *ledger.positions.values()]
        wanted = dict(need for row in rows if (need := need_of(row)) is not None)
        for name, instrument in wanted.items():
            self._set(entry, name, instrument)
        for name in [name for name in entry.needs if wanted.get(name) is None]:
            self._set(entry, name, None)

    @property
    def instruments(self) -> list[Instrument]:
        """Everything needed now."""
        return list(self._counts)

    @property
    def held_by_positions(self) -> list[Instrument]:
        """Instruments with an open position."""
        return list(self._open)

    def positions_of(self, instrument: Instrument) -> list[tuple[str, Position]]:
        """Open positions of an instrument, with their owners."""
        found = []
        for (user_id, name), entry in self._open.get(instrument, {}).items():
            position = entry.account.ledger.positions.get(Key(*name[1:]))  # type: ignore[arg-type]
            if position is not None:
                found.append((user_id, position))
        return found

    def _set(self, entry: Entry, name: tuple[object, ...], instrument: Instrument | None) -> None:
        old = entry.needs.get(name)
        if old == instrument:
            return
        if old is not None:
            del entry.needs[name]
            self._count(old, -1)
            self._index(entry, name, old, there=False)
        if instrument is not None:
            entry.needs[name] = instrument
            self._count(instrument, 1)
            self._index(entry, name, instrument, there=True)

    def _count(self, instrument: Instrument, by: int) -> None:
        self._counts[instrument] += by
        if by > 0 and self._counts[instrument] == 1:
            self._prices.hold(HOLDER, [instrument])
        elif not self._counts[instrument]:
            del self._counts[instrument]
            self._prices.release(HOLDER, [instrument])

    def _index(self, entry: Entry, name: tuple[object, ...], instrument: Instrument, there: bool) -> None:
        if name[0] != "position":
            return
        place = entry.user_id, name
        if there:
            self._open.setdefault(instrument, {})[place] = entry
            return
        rows = self._open.get(instrument, {})
        rows.pop(place, None)
        if not rows:
            self._open.pop(instrument, None)
