"""Metrics of the trade process in Prometheus form, read from counters that others keep."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from gateway.trade.app import TradeApp

GAUGE: Final = "gauge"
COUNTER: Final = "counter"

#: name -> (kind, help, read)
Readings = Mapping[str, tuple[str, str, Callable[[], float]]]


class TradeCollector:
    """Turns plain counters into metric families. No name, label or value comes from a client."""

    def __init__(self, found: Readings) -> None:
        self._readings = found

    def collect(self) -> Iterator[Metric]:
        """All families. Called by prometheus-client."""
        for name, (kind, text, read) in self._readings.items():
            family: Any = GaugeMetricFamily if kind == GAUGE else CounterMetricFamily
            yield family(name, text, value=float(read()))


def readings(app: TradeApp) -> Readings:
    """What the parts of the process count."""
    return {**_orders(app), **_writer(app), **_prices(app)}


def _orders(app: TradeApp) -> Readings:
    desk = app.desk
    return {
        "gateway_users": (GAUGE, "Users at the desk", lambda: len(desk.users)),
        "gateway_orders_resting": (GAUGE, "Orders in the matcher", lambda: desk.matching.resting[0]),
        "gateway_gtts_waiting": (GAUGE, "GTTs in the matcher", lambda: desk.matching.resting[1]),
        "gateway_fills": (COUNTER, "Resting orders that a tick filled", lambda: desk.fills),
        "gateway_match_faults": (COUNTER, "Decisions of the matcher not carried out", lambda: desk.faults),
        "gateway_updates_sent": (COUNTER, "Order and position updates to the bus", lambda: app.updates.sent),
        "gateway_updates_dropped": (COUNTER, "Updates that found no room", lambda: app.updates.dropped),
        "gateway_marks": (COUNTER, "Position updates", lambda: app.marks.told),
    }


def _writer(app: TradeApp) -> Readings:
    writer = app.writer
    return {
        "gateway_writer_waiting": (GAUGE, "Transactions that wait for the writer", lambda: writer.waiting),
        "gateway_writer_commits": (COUNTER, "Commits", lambda: writer.batches),
        "gateway_writer_transactions": (COUNTER, "Transactions committed", lambda: writer.transactions),
        "gateway_writer_failures": (COUNTER, "Transactions that failed", lambda: writer.failures),
        "gateway_writer_last_commit_seconds": (GAUGE, "Time of the last commit", lambda: writer.last_commit_s),
    }


def _prices(app: TradeApp) -> Readings:
    stream, prices, health, fallback = app.stream, app.prices, app.health, app.fallback
    flags = prices.validation.counts
    flagged: Readings = {
        f"gateway_prices_flagged_{flag.name.lower()}": (COUNTER, f"Prices flagged: {flag}", lambda f=flag: flags[f])  # type: ignore[misc]
        for flag in flags
    }
    return {
        "gateway_stream_ticks": (COUNTER, "Ticks of the tick stream", lambda: stream.counts["tick"]),
        "gateway_stream_replays": (COUNTER, "Last values said again", lambda: stream.counts["replay"]),
        "gateway_stream_lost": (COUNTER, "Ticks that never came", lambda: stream.arrivals.lost_total),
        "gateway_stream_malformed": (COUNTER, "Messages not understood", lambda: stream.counts["malformed"]),
        "gateway_stream_connections": (COUNTER, "Times the stream was connected", lambda: stream.connections),
        "gateway_instruments_held": (GAUGE, "Instruments subscribed", lambda: len(prices.held)),
        "gateway_feed_tick_age_seconds": (GAUGE, "Age of the newest tick", lambda: health.tick_age_s(time.time_ns())),
        "gateway_feed_stale": (GAUGE, "1 while no feed delivers", lambda: health.stale(time.time_ns())),
        "gateway_fallback_polling": (GAUGE, "1 while quotes are polled", lambda: fallback.polling),
        "gateway_fallback_polls": (COUNTER, "Polls", lambda: fallback.polls),
        "gateway_fallback_failures": (COUNTER, "Polls that failed", lambda: fallback.failures),
        **flagged,
    }


def exposition(collectors: Iterable[TradeCollector], *others: CollectorRegistry) -> Callable[[], bytes]:
    """A function that renders all metrics, the process' own and those of other registries included."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    for collector in collectors:
        registry.register(collector)
    return lambda: b"".join(generate_latest(one) for one in (registry, *others))
