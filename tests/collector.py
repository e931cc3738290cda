"""An OTLP receiver on this machine."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from pinpoint.serving.watch.telemetry import ENDPOINT


class Collector:
    """What was posted, by path.

    Attributes:
        status: what a post is answered.
        held: posts are answered once it is set.
    """

    def __init__(self) -> None:
        self.bodies: dict[str, list[bytes]] = {}
        self.headers: list[str | None] = []
        self.status = 200
        self.held = threading.Event()
        self.held.set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.bodies.setdefault(self.path, []).append(body)
                collector.headers.append(self.headers["x-team"])
                collector.held.wait()
                self.send_response(collector.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Receive no more."""
        self.held.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def env(self) -> dict[str, str]:
        return {ENDPOINT: f"http://127.0.0.1:{self.server.server_port}"}

    def spans(self) -> list[Span]:
        found = []
        for body in self.bodies.get("/v1/traces", []):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {one.key: one.value.string_value for one in resource.resource.attributes}
                assert names["service.name"] == "pinpoint" and names["service.version"]
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found

    def counted(self) -> dict[str, float]:
        """Metric and its attributes → value, or of a histogram the sum; the last word on each."""
        found = {}
        for body in self.bodies.get("/v1/metrics", []):
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                    data = getattr(metric, str(metric.WhichOneof("data")))
                    for point in data.data_points:
                        about = "".join(f" {one.value.string_value}" for one in point.attributes)
                        value = point.sum if hasattr(point, "sum") else point.as_int or point.as_double
                        found[metric.name + about] = value
        return found

    def told(self, path: str) -> bytes:
        """All that was posted to a path, one after the other."""
        return b"".join(self.bodies.get(path, []))


# A worker that sends nothing before its end, but what fills a batch of spans.
ONLY_AT_THE_END = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_METRIC_EXPORT_INTERVAL": "600000"}
