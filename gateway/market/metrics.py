"""Metrics of the market process in Prometheus form, read from counters that others keep."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from gateway_matcher import Engine
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from gateway.model import FeedState, FeedStatus
from gateway.stream.hub import Hub

#: Readers that are shown by number: those with the most bytes waiting.
_SHOWN_READERS: Final = 10
_DROPS: Final = (
    "bad_topic",
    "bad_payload",
    "bad_number",
    "no_price",
    "too_large",
    "too_many_instruments",
    "bad_frames",
    "unknown_topic",
    "private",
)


class MarketCollector:
    """Turns the engine's and the hub's counters into metric families."""

    def __init__(self, engine: Engine, hub: Hub, statuses: Callable[[], list[FeedStatus]]) -> None:
        self._engine = engine
        self._hub = hub
        self._statuses = statuses

    def collect(self) -> Iterator[Metric]:
        """All families. Called by prometheus-client."""
        stats = self._engine.stats()
        yield from self._ticks(stats)
        yield self._latency()
        yield from self._connections()
        yield from self._lag()
        yield from self._feeds()

    def _ticks(self, stats: dict[str, int]) -> Iterator[Metric]:
        modes = {mode: stats[f"ticks_{mode}"] for mode in ("ltp", "quote", "depth")}
        yield _counter("gateway_ticks_in", "Ticks that passed validation", "mode", modes)
        dropped = {reason: stats[reason] for reason in _DROPS}
        yield _counter("gateway_messages_dropped", "Bus messages that were not passed on", "reason", dropped)
        conflated = {"window": stats["conflated"], "slow reader": stats["parked"]}
        yield _counter(
            "gateway_ticks_conflated", "Ticks replaced by newer ones before they were sent", "reason", conflated
        )
        yield CounterMetricFamily("gateway_frames_out", "Market data frames for readers", value=stats["frames"])
        yield CounterMetricFamily("gateway_frame_bytes_out", "Bytes of market data for readers", value=stats["bytes"])
        yield CounterMetricFamily(
            "gateway_frames_trailing", "Frames sent at the end of a window", value=stats["trailing"]
        )
        yield CounterMetricFamily("gateway_snapshots", "Last values sent after a subscribe", value=stats["snapshots"])
        yield GaugeMetricFamily("gateway_instruments", "Instruments known", value=stats["instruments"])
        yield GaugeMetricFamily("gateway_last_value_bytes", "Memory of last known values", value=stats["heap_bytes"])

    def _latency(self) -> Metric:
        bounds, counts, sum_ns = self._engine.latency()
        total, buckets = 0, []
        for bound, count in zip([*(f"{b / 1e9:g}" for b in bounds), "+Inf"], counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        text = "Arrival of a tick to the write to its reader's socket, frames sent at once, s"
        return HistogramMetricFamily("gateway_tick_to_write_seconds", text, buckets=buckets, sum_value=sum_ns / 1e9)

    def _connections(self) -> Iterator[Metric]:
        hub = self._hub
        ready = sum(connection.ready for connection in hub.connections.values())
        states = {"authenticated": ready, "new": len(hub.connections) - ready}
        yield _gauge("gateway_connections", "Open WebSocket connections", "state", states)
        yield CounterMetricFamily("gateway_connections_accepted", "WebSocket connections accepted", value=hub.accepted)
        yield _counter("gateway_connections_closed", "Connections ended", "reason", hub.closed)
        yield _counter("gateway_actions", "What clients' requests led to", "action", hub.requests)
        yield _counter("gateway_errors_sent", "Error answers", "code", hub.refused)
        orders = {"relayed": hub.orders.relayed, "malformed": hub.orders.malformed}
        yield _counter("gateway_order_updates", "Order and position updates of the bus", "result", orders)

    def _lag(self) -> Iterator[Metric]:
        now = time.monotonic_ns()
        waiting = {
            connection.number: (
                listener.buffered(),
                (now - connection.paused_ns) / 1e9 if connection.paused_ns else 0.0,
            )
            for connection in self._hub.connections.values()
            if (listener := connection.listener) is not None
        }
        slow = sum(1 for _, seconds in waiting.values() if seconds)
        yield GaugeMetricFamily("gateway_readers_slow", "Readers over their high-water mark", value=slow)
        total = sum(size for size, _ in waiting.values())
        yield GaugeMetricFamily("gateway_reader_buffer_bytes_total", "Bytes waiting for all readers", value=total)
        sizes = GaugeMetricFamily(
            "gateway_reader_buffer_bytes", "Bytes waiting, the readers with most", labels=["reader"]
        )
        lag = GaugeMetricFamily("gateway_reader_lag_seconds", "Time over the high-water mark", labels=["reader"])
        for number, (size, seconds) in heapq.nlargest(_SHOWN_READERS, waiting.items(), key=lambda item: item[1]):
            if size:
                sizes.add_metric([str(number)], size)
                lag.add_metric([str(number)], seconds)
        yield sizes
        yield lag

    def _feeds(self) -> Iterator[Metric]:
        state = GaugeMetricFamily("gateway_feed_state", "1 for the state a feed is in", labels=["feed", "state"])
        age = GaugeMetricFamily("gateway_feed_last_tick_age_seconds", "Age of the newest tick", labels=["feed"])
        held = GaugeMetricFamily("gateway_feed_subscribed", "Instruments subscribed at the broker", labels=["feed"])
        for status in self._statuses():
            for possible in FeedState:
                state.add_metric([status.name, possible.value], float(possible is status.state))
            held.add_metric([status.name], status.subscribed)
            if status.last_tick_age_ms is not None:
                age.add_metric([status.name], status.last_tick_age_ms / 1e3)
        yield from (state, age, held)


def _counter(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _gauge(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def exposition(collectors: Iterable[MarketCollector]) -> Callable[[], bytes]:
    """A function that renders all metrics, the process' own included."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    for collector in collectors:
        registry.register(collector)
    return lambda: generate_latest(registry)
