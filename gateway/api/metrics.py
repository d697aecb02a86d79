"""What the API counts for /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class ApiMetrics:
    """Requests by endpoint and status, and how long they took. Labels are names of ours, never what a client sent."""

    def __init__(self) -> None:
        #: for the exposition of the process
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "gateway_api_requests", "REST requests answered", ["endpoint", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "gateway_api_request_seconds",
            "Arrival of a REST request to its answer, s",
            ["endpoint"],
            registry=self.registry,
            buckets=_BUCKETS,
        )

    def count(self, endpoint: str, status: int, seconds: float) -> None:
        """One request was answered."""
        self._requests.labels(endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)
