"""The OpenTelemetry SDK, set up for one worker. Imported only where an endpoint is set.

The SDK reads its own variables: the endpoint, OTEL_EXPORTER_OTLP_HEADERS, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
OTEL_TRACES_SAMPLER, OTEL_METRIC_EXPORT_INTERVAL.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from pinpoint import __version__

log = logging.getLogger("pinpoint")


def providers(environ: Mapping[str, str], export_s: float) -> tuple[TracerProvider, MeterProvider]:
    """What makes spans, and what makes metrics, each with a thread that exports them until it is shut down."""
    # It logs tracebacks and addresses; what is worth a line is told below.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    about = {"service.version": __version__}
    if not environ.get("OTEL_SERVICE_NAME"):
        about["service.name"] = "pinpoint"
    if worker := environ.get("RUNPOD_POD_ID"):
        about["service.instance.id"] = worker
    resource = Resource.create(about)
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(_Spans(timeout=export_s)))
    reader = PeriodicExportingMetricReader(_Metrics(timeout=export_s))
    return tracers, MeterProvider([reader], resource, shutdown_on_exit=False)


class _Told:
    """Tells once when a collector cannot be reached, and once when it can again."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._reached = True

    def __call__(self, reached: bool) -> None:
        if reached != self._reached:
            self._reached = reached
            words = "are sent again" if reached else "cannot be sent: look at OTEL_EXPORTER_OTLP_ENDPOINT"
            log.log(logging.INFO if reached else logging.WARNING, "telemetry: %s %s", self._what, words)


class _Spans(OTLPSpanExporter):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._told = _Told("traces")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans."""
        result = super().export(spans)
        self._told(result is SpanExportResult.SUCCESS)
        return result


class _Metrics(OTLPMetricExporter):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._told = _Told("metrics")

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Send metrics."""
        result = super().export(metrics_data, timeout_millis, **kwargs)
        self._told(result is MetricExportResult.SUCCESS)
        return result
