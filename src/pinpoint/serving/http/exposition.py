"""Figures for Prometheus: what the worker counts, what its health is, and what the server counts of its own.

What was computed of the tokens that were asked for is left out, as a health job leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from pinpoint.serving.http.gate import Gate
from pinpoint.serving.worker import Worker

# From a question on a card to a long document on a laptop.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Exposition:
    """The registry of one server.

    Attributes:
        requests: answered, by route and status.
        seconds: from arrival to answer, by route.
    """

    def __init__(self, worker: Worker, gate: Gate) -> None:
        registry = CollectorRegistry()
        self.requests = Counter("pinpoint_http_requests", "Requests answered.", ("route", "status"), registry=registry)
        self.seconds = Histogram(
            "pinpoint_http_request_seconds", "From arrival to answer.", ("route",), buckets=SECONDS, registry=registry
        )
        in_flight = Gauge(
            "pinpoint_http_in_flight", "Requests that were let in and are not answered.", registry=registry
        )
        in_flight.set_function(lambda: gate.in_flight)
        registry.register(_OfTheWorker(worker))
        self._registry = registry

    def text(self) -> bytes:
        """All figures in the text format."""
        return generate_latest(self._registry)


class _OfTheWorker(Collector):
    """Reads the worker's own counts when it is asked."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def describe(self) -> Iterator[CounterMetricFamily]:
        """Nothing is known before it is asked."""
        return iter(())

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """One family after the other."""
        told = self._worker.told()
        jobs, batches = told["jobs"], told["batches"]
        yield _by("jobs", "Jobs and requests that ended.", "result", {k: jobs[k] for k in ("answered", "failed")})
        yield _by("errors", "Jobs and requests that failed.", "code", jobs["errors"])
        for name, what, count in (
            ("documents", "Documents of answered jobs.", jobs["documents"]),
            ("failed_documents", "Documents that failed alone.", jobs["failed_documents"]),
            ("passes", "Forward passes.", batches["done"]),
            ("passes_out_of_memory", "Forward passes that ran out of memory.", batches["out_of_memory"]),
            ("tokens_asked", "Tokens of all prompts with their labels.", batches["tokens_asked"]),
            ("tokens_written", "Tokens of explanations.", batches["tokens_written"]),
        ):
            yield CounterMetricFamily(f"pinpoint_{name}", what, value=count)
        yield GaugeMetricFamily("pinpoint_uptime_seconds", "Since the start.", value=told["uptime_s"])
        yield GaugeMetricFamily("pinpoint_healthy", "Whether nothing is wrong.", value=float(told["healthy"]))
        unhealthy = GaugeMetricFamily("pinpoint_unhealthy", "What is wrong, by its name.", labels=("reason",))
        for reason in told["reasons"]:
            unhealthy.add_metric((reason.partition(":")[0],), 1)
        yield unhealthy
        yield from _of_tasks(told.get("tasks"))
        memory = GaugeMetricFamily("pinpoint_memory_gb", "Of the device, in GB of 10^9 bytes.", labels=("kind",))
        for name, value in (told["memory"] or {}).items():
            memory.add_metric((name.removesuffix("_gb"),), value)
        yield memory


def _by(name: str, what: str, label: str, counts: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"pinpoint_{name}", what, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family


def _of_tasks(told: dict[str, Any] | None) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
    """Task files in force and refused, and how far the answers of the last window are from their examples."""
    if told is None:
        return
    files = GaugeMetricFamily("pinpoint_task_files", "Task files of the folder.", labels=("state",))
    for state in ("in_force", "refused"):
        files.add_metric((state,), len(told[state]))
    answers = CounterMetricFamily("pinpoint_task_answers", "Answers by a task file.", labels=("file",))
    size = GaugeMetricFamily(
        "pinpoint_task_drift", "Stability index, of label mass the shift of the mean.", labels=("file", "figure")
    )
    drifts = GaugeMetricFamily(
        "pinpoint_task_drifting", "Whether a figure is beyond its limits.", labels=("file", "figure")
    )
    for one in told["in_force"]:
        answers.add_metric((one["file"],), one["answers"])
        for figure, shift in one["drift"].items():
            size.add_metric((one["file"], figure), shift["size"])
            drifts.add_metric((one["file"], figure), float(shift["drifts"]))
    yield from (files, answers, size, drifts)
