"""Feeds by name, and what each broker allows."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import cast

from adapters.base import Adapter, FeedConfig, Limits, QuoteSource
from adapters.pool import FeedPool, lowered
from gateway.errors import SettingsError
from gateway.ports import TickSink

#: name -> "module:class"; imported when it is used. Brokers that share a protocol name the same class.
ADAPTERS: dict[str, str] = {
    "simulated": "adapters.simulated.adapter:SimulatedAdapter",
    "replay": "adapters.replay.adapter:ReplayAdapter",
    "zerodha": "adapters.zerodha.adapter:ZerodhaAdapter",
}

#: name -> "module:class" of the REST half; feeds that are not here can only stream
QUOTES: dict[str, str] = {
    "zerodha": "adapters.zerodha.quotes:KiteQuotes",
}

#: Symbols per connection, connections per user, instruments in one request (brokers/FAMILIES section 3).
#: Where nothing is published: 1000 symbols on one connection. Adapters of one protocol family share a class, so
#: the numbers stand here by broker.
LIMITS: dict[str, Limits] = {
    "zerodha": Limits(3000, 3),
    "angel": Limits(1000, 3),
    "dhan": Limits(5000, 5, batch=100),
    "fyers": Limits(5000, 1),
    "kotak": Limits(1000, 1, batch=100),
    "upstox": Limits(2000, 1),
    "shoonya": Limits(1000, 1, batch=50),
    "flattrade": Limits(1000, 1, batch=50),
    "zebu": Limits(1000, 1, batch=50),
    "tradesmart": Limits(1000, 1, batch=50),
    "rmoney": Limits(1000, 1, batch=50),
    "deltaexchange": Limits(100, 1, batch=100),
    "groww": Limits(1000, 1),
    "arrow": Limits(1000, 1, batch=100),
    "fivepaisa": Limits(1000, 1, batch=50),
    "hdfcsky": Limits(300, 3),
    "hdfcsecurities": Limits(1500, 3),
    "iiflcapital": Limits(6000, 1, batch=1024),
    "indmoney": Limits(3000, 1, batch=1000),
}


def names() -> list[str]:
    """Feeds that `FEEDS` may name."""
    return sorted(ADAPTERS)


def adapter_class(name: str) -> type[Adapter]:
    """The class behind a name. Raises SettingsError for a name that has none."""
    path = ADAPTERS.get(name)
    if path is None:
        raise SettingsError([f"FEEDS names {name!r}; it may hold none or a list of {', '.join(names())}"])
    module, _, attribute = path.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    assert isinstance(found, type) and issubclass(found, Adapter)  # noqa: PT018
    return found


def create(config: FeedConfig, sink: TickSink, clock_ns: Callable[[], int]) -> Adapter:
    """An adapter of the feed `config.name`. Raises SettingsError for a name that has none."""
    return adapter_class(config.name)(config, sink, clock_ns)


def limits_of(adapter: Adapter) -> Limits:
    """What the adapter's broker allows, lowered by the feed's options `symbols_per_connection`, `connections`.

    Sizes come from the table where the broker stands in it; the allowed silence is always the adapter's.
    """
    own = adapter.limits
    table = LIMITS.get(adapter.config.name, own)
    sizes = Limits(table.symbols_per_connection, table.connections, own.silence_s, min(own.batch, table.batch))
    return lowered(sizes, adapter.config)


def create_pool(config: FeedConfig, sink: TickSink, clock_ns: Callable[[], int]) -> FeedPool:
    """A pool, not yet started, over a new adapter, within the broker's limits."""
    adapter = create(config, sink, clock_ns)
    return FeedPool(adapter, clock_ns, limits=limits_of(adapter))


def create_quotes(config: FeedConfig, clock_ns: Callable[[], int] = time.time_ns) -> QuoteSource | None:
    """The REST half of the feed `config.name`, or None where it has none (replay, and brokers without an adapter).

    `clock_ns` tells trading time. Does no I/O: that begins with `prepare`.
    """
    path = QUOTES.get(config.name)
    if path is None:
        return None
    module, _, attribute = path.partition(":")
    make = getattr(importlib.import_module(module), attribute)
    return cast(QuoteSource, make(config, clock_ns))
