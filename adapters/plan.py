"""Who wants what, and on which connection it stands: the pool's decisions, without I/O and without a clock.

The plan knows two things per connection: what should be subscribed (from the wants of all holders) and what
was last sent. `take` gives the difference and counts it as sent; `forget` says that a connection was lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.model import Instrument, Mode, Want


class Batch(NamedTuple):
    """What to tell the broker on one connection; the unsubscriptions go first, so that limits hold."""

    unsubscribe: list[Instrument]
    #: each instrument once, in exactly the mode it is to have from now on
    subscribe: list[Want]

    def __bool__(self) -> bool:
        return bool(self.unsubscribe or self.subscribe)


class _Slot:
    """One connection: what stands on it, what was sent, what may differ."""

    __slots__ = ("assigned", "dirty", "sent")

    def __init__(self) -> None:
        self.assigned: set[Instrument] = set()
        self.sent: dict[Instrument, Mode] = {}
        #: an ordered set: what is wanted first is sent first
        self.dirty: dict[Instrument, None] = {}


class Plan:
    """Reference counts per holder, effective modes and placement for up to `connections` connections."""

    def __init__(self, symbols_per_connection: int, connections: int) -> None:
        self.symbols_per_connection = symbols_per_connection
        self._slots = [_Slot() for _ in range(connections)]
        self._held: dict[str, set[Want]] = {}
        #: how many holders want an instrument in LTP, Quote, Depth
        self._counts: dict[Instrument, list[int]] = {}
        self._place: dict[Instrument, int] = {}

    @property
    def capacity(self) -> int:
        """Instruments that fit on all connections together."""
        return self.symbols_per_connection * len(self._slots)

    def __len__(self) -> int:
        """Instruments that somebody wants."""
        return len(self._place)

    def __contains__(self, instrument: Instrument) -> bool:
        return instrument in self._place

    def mode(self, instrument: Instrument) -> Mode | None:
        """The highest mode anybody wants, or None where nobody wants the instrument."""
        counts = self._counts.get(instrument)
        return next((mode for mode in reversed(Mode) if counts[mode - 1]), None) if counts else None

    def acquire(self, holder: str, want: Want) -> bool:
        """Counts one want of `holder` (once, however often it is said). False: all connections are full."""
        held = self._held.setdefault(holder, set())
        if want in held:
            return True
        if want.instrument not in self._place and not self._put(want.instrument):
            if not held:
                del self._held[holder]
            return False
        held.add(want)
        self._counts.setdefault(want.instrument, [0, 0, 0])[want.mode - 1] += 1
        self._touch(want.instrument)
        return True

    def release(self, holder: str, wants: Iterable[Want]) -> None:
        """Lets go of wants; those that `holder` does not hold are ignored."""
        held = self._held.get(holder)
        for want in wants:
            if held is None or want not in held:
                continue
            held.remove(want)
            self._uncount(want)
        if held is not None and not held:
            del self._held[holder]

    def release_all(self, holder: str) -> None:
        """Lets go of everything `holder` holds."""
        for want in self._held.pop(holder, ()):
            self._uncount(want)

    def assigned(self, slot: int) -> int:
        """How many instruments should stand on a connection."""
        return len(self._slots[slot].assigned)

    def subscribed(self) -> int:
        """Instruments that were sent to the broker and not taken back, over all connections."""
        return sum(len(slot.sent) for slot in self._slots)

    def subscribed_on(self, slot: int) -> int:
        """The same on one connection."""
        return len(self._slots[slot].sent)

    def changed(self) -> list[int]:
        """Connections on which `take` would give something."""
        return [number for number in range(len(self._slots)) if self.pending(number)]

    def pending(self, slot: int) -> bool:
        """True where `take` would give something."""
        this = self._slots[slot]
        this.dirty = {i: None for i in this.dirty if self._target(slot, i) != this.sent.get(i)}
        return bool(this.dirty)

    def take(self, slot: int, limit: int) -> Batch:
        """What to send now, at most `limit` instruments each way; counted as sent from here on."""
        this = self._slots[slot]
        batch = Batch([], [])
        for instrument in list(this.dirty):
            target = self._target(slot, instrument)
            if target == this.sent.get(instrument):
                del this.dirty[instrument]
            elif target is None and len(batch.unsubscribe) < limit:
                batch.unsubscribe.append(instrument)
                del this.sent[instrument]
                del this.dirty[instrument]
        room = self.symbols_per_connection - len(this.sent)
        for instrument in list(this.dirty):
            target = self._target(slot, instrument)
            if target is None or len(batch.subscribe) >= limit:
                continue
            if instrument not in this.sent:
                if not room:
                    continue
                room -= 1
            batch.subscribe.append(Want(instrument, target))
            this.sent[instrument] = target
            del this.dirty[instrument]
        return batch

    def forget(self, slot: int) -> None:
        """The connection is gone: nothing of it stands at the broker any more, all of it must be sent again."""
        this = self._slots[slot]
        this.sent.clear()
        this.dirty = dict.fromkeys(sorted(this.assigned))

    def _target(self, slot: int, instrument: Instrument) -> Mode | None:
        return self.mode(instrument) if instrument in self._slots[slot].assigned else None

    def _put(self, instrument: Instrument) -> bool:
        """Finds a connection with room: where the broker still sends it, else the first."""
        fits = [n for n, slot in enumerate(self._slots) if len(slot.assigned) < self.symbols_per_connection]
        if not fits:
            return False
        number = next((n for n in fits if instrument in self._slots[n].sent), fits[0])
        self._slots[number].assigned.add(instrument)
        self._place[instrument] = number
        return True

    def _touch(self, instrument: Instrument) -> None:
        self._slots[self._place[instrument]].dirty[instrument] = None

    def _uncount(self, want: Want) -> None:
        counts = self._counts[want.instrument]
        counts[want.mode - 1] -= 1
        self._touch(want.instrument)
        if not any(counts):
            del self._counts[want.instrument]
            self._slots[self._place.pop(want.instrument)].assigned.discard(want.instrument)
