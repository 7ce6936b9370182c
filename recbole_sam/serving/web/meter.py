"""What a server counts, in the text that Prometheus reads."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Meter:
    """Counts of one server, apart from those of others in the process."""

    def __init__(self):
        self.registry = CollectorRegistry()
        add = {"registry": self.registry}
        self._requests = Counter("recbole_sam_requests", "Answered requests", ["path", "status"], **add)
        self._seconds = Histogram(
            "recbole_sam_request_seconds", "Time of a request", ["path"], buckets=SECONDS, **add
        )
        self._together = Histogram(
            "recbole_sam_scored_together", "Requests scored together", buckets=(1, 2, 4, 8, 16, 32, 64), **add
        )
        self._waiting = Gauge("recbole_sam_waiting", "Requests that wait for a bundle", ["bundle"], **add)
        self._reloads = Counter("recbole_sam_reloads", "Bundles that were swapped in", **add)

    def request(self, scope, status, seconds):
        """Counts a request by its route, of which there are few."""
        path = getattr(scope.get("route"), "path", "other")
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def together(self, count):
        """Counts requests that were scored together."""
        self._together.observe(count)

    def reloaded(self, count):
        """Counts bundles that were swapped in."""
        self._reloads.inc(count)

    def text(self, shelf):
        """bytes: all counts, with what waits now for each bundle of a :class:`Shelf`."""
        for name, place in shelf.items():
            self._waiting.labels(name).set(place.waiting())
        return generate_latest(self.registry)
