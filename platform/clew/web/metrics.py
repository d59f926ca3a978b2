"""What operations looks at: request counts and times, live connections, the release being served. Prometheus text."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One registry per process, made by the composition root: nothing is registered globally."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        requests = Histogram(
            "clew_graphql_seconds", "Time of GraphQL requests.", ("outcome",), registry=self.registry, buckets=_SECONDS
        )
        self.answered = requests.labels("answered")
        self.request_errors = requests.labels("request_error")
        self.refused = Counter("clew_refused", "Requests turned away at the door.", ("code",), registry=self.registry)
        self.failures = Counter("clew_failures", "Failures of our own.", ("where",), registry=self.registry)
        self.live = Gauge("clew_live_connections", "WebSocket and SSE connections.", ("kind",), registry=self.registry)
        self.subscriptions = Gauge("clew_subscriptions", "Live subscriptions.", registry=self.registry)
        self.release = Gauge("clew_release", "Number of the release being served.", registry=self.registry)
        self.uploads = Counter("clew_upload_bytes", "Bytes of stored files.", registry=self.registry)

    def text(self) -> tuple[bytes, str]:
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
