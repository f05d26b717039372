"""Numbers for Prometheus."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


class Metrics:
    """What a service counts of itself; each has its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.searches = Counter(
            "camseek_searches",
            "Searches, by collection and end",
            ["collection", "end"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            *("camseek_search_seconds", "From a request to its last hit", ["collection"]),
            registry=self._registry,
            buckets=_SECONDS,
        )
        self.waiting = Gauge(
            "camseek_searches_under_way", "Searches that wait or run", registry=self._registry
        )
        self.pictures = Gauge(
            "camseek_pictures", "Pictures of a collection", ["collection"], registry=self._registry
        )
        self.uploads = Counter("camseek_uploads", "Query pictures", ["end"], registry=self._registry)

    @contextmanager
    def search(self, collection: str) -> Generator[None]:
        """Counts a search, however it ends."""
        began, end = time.perf_counter(), "failed"
        self.waiting.inc()
        try:
            yield
            end = "done"
        finally:
            self.waiting.dec()
            self.searches.labels(collection, end).inc()
            self.seconds.labels(collection).observe(time.perf_counter() - began)

    def text(self) -> bytes:
        """All of them."""
        return generate_latest(self._registry)
