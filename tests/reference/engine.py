"""The engine as plainly as its rules can be written: the oracle that the Rust engine is compared with."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.model import Mode

MS = 1_000_000

Key = tuple[str, str, int]  # exchange, symbol, mode


@dataclass
class Held:
    """One reader's subscription."""

    window_ns: int
    next_ns: int = 0
    #: when the newest value may go; None while nothing waits
    due_ns: int | None = None
    #: it waits for the reader to drain, not (only) for the window
    parked: bool = False


@dataclass
class Message:
    """What a reader gets."""

    key: Key
    payload: bytes
    snapshot: bool = False


@dataclass
class ReferenceEngine:
    """Ticks, subscriptions and windows, with a dict and a loop for everything."""

    held: dict[int, dict[Key, Held]] = field(default_factory=dict)
    paused: set[int] = field(default_factory=set)
    #: newest tick that serves each key
    last: dict[Key, bytes] = field(default_factory=dict)
    out: dict[int, list[Message]] = field(default_factory=dict)

    def open(self, reader: int) -> None:
        self.held[reader] = {}

    def close(self, reader: int) -> None:
        self.held.pop(reader, None)
        self.paused.discard(reader)
        self.out.pop(reader, None)

    def subscribe(self, reader: int, key: Key, window_ms: int, now: int) -> None:
        mine = self.held[reader].setdefault(key, Held(0))
        mine.window_ns = window_ms * MS
        if key in self.last:
            if reader in self.paused:
                mine.due_ns, mine.parked = mine.next_ns, True
            else:
                self._send(reader, key, now, snapshot=True)

    def unsubscribe(self, reader: int, key: Key) -> bool:
        return self.held[reader].pop(key, None) is not None

    def tick(self, exchange: str, symbol: str, native: Mode, payload: bytes, priced: bool, now: int) -> None:
        modes = [mode for mode in Mode if mode == native or (mode < native and priced)]
        for mode in modes:
            key = (exchange, symbol, int(mode))
            self.last[key] = payload
            for reader, mine in self.held.items():
                if key not in mine:
                    continue
                if mine[key].due_ns is None and reader not in self.paused and now >= mine[key].next_ns:
                    self._send(reader, key, now)
                elif mine[key].due_ns is None:
                    mine[key].due_ns = mine[key].next_ns
                    mine[key].parked = reader in self.paused

    def flush(self, now: int) -> None:
        """Sends what waits and is due; deadlines count in whole milliseconds, rounded up."""
        for reader, mine in self.held.items():
            for key, one in mine.items():
                if one.due_ns is not None and not one.parked and -(-one.due_ns // MS) * MS <= now:
                    if reader in self.paused:
                        one.parked = True
                    else:
                        self._send(reader, key, now)

    def pause(self, reader: int) -> None:
        self.paused.add(reader)

    def resume(self, reader: int, now: int) -> None:
        """What waited goes out at once where its window is over, without rounding."""
        self.paused.discard(reader)
        for key, one in self.held[reader].items():
            if one.parked:
                one.parked = False
                if one.due_ns is not None and one.due_ns <= now:
                    self._send(reader, key, now)

    def _send(self, reader: int, key: Key, now: int, *, snapshot: bool = False) -> None:
        mine = self.held[reader][key]
        mine.next_ns = now + mine.window_ns
        mine.due_ns, mine.parked = None, False
        self.out.setdefault(reader, []).append(Message(key, self.last[key], snapshot))

    def take(self) -> dict[int, list[Message]]:
        """Everything sent since the last call."""
        out, self.out = self.out, {}
        return {reader: messages for reader, messages in out.items() if messages}
