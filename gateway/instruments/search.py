"""Finds instruments in the stored masters."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

from gateway.instruments.record import InstrumentRecord
from gateway.instruments.table import master_path, read_master, stored_brokers

if TYPE_CHECKING:
    from gateway.config import Settings


class SearchHit(NamedTuple):
    """One instrument found."""

    broker: str
    record: InstrumentRecord


def search(text: str, settings: Settings, limit: int = 50) -> list[SearchHit]:
    """Instruments in which every word of `text` occurs, best first, at most `limit`; letter case does not matter.

    Words are looked for in `EXCHANGE:SYMBOL`, the broker's symbol and the name. Exact symbols come first, then
    symbols that begin with the text, then the rest. Raises InstrumentError on a damaged master.
    """
    words = text.upper().split()
    if not words:
        return []
    home = settings.gateway_home
    hits = (
        (_rank(words, record), SearchHit(broker, record))
        for broker in stored_brokers(home)
        for record in read_master(master_path(home, broker))
        if _matches(words, record)
    )
    best = heapq.nsmallest(limit, hits, key=lambda hit: (hit[0], hit[1].record.exchange, len(hit[1].record.symbol)))
    return [hit for _, hit in best]


def _matches(words: list[str], record: InstrumentRecord) -> bool:
    text = f"{record.exchange}:{record.symbol} {record.brsymbol} {record.name}".upper()
    return all(word in text for word in words)


def _rank(words: list[str], record: InstrumentRecord) -> int:
    symbol = record.symbol.upper()
    if symbol in words or f"{record.exchange}:{symbol}" in words:
        return 0
    return 1 if symbol.startswith(words[0].rpartition(":")[2]) else 2
