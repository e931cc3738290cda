"""The Grafana dashboard over `/metrics`: `python -m deploy.dashboard` writes deploy/grafana.json.

A panel is a title, a unit of Grafana's and lines of PromQL; `$worker` chooses among the workers that are scraped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "grafana.json"
WIDE, HIGH, ACROSS = 8, 7, 24
PER = "[$__rate_interval]"
BY = '{instance=~"$worker"}'


@dataclass(frozen=True)
class Panel:
    """One figure over time, or now."""

    title: str
    unit: str
    queries: dict[str, str]  # PromQL → what its line is called
    about: str = ""
    now: bool = False


def _rate(name: str, of: str = BY) -> str:
    return f"sum(rate({name}{of}{PER}))"


def _quantile(share: float) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate(pinpoint_http_request_seconds_bucket{BY}{PER})))"


PANELS = (
    Panel("Workers", "short", {f"sum(pinpoint_healthy{BY})": "well", f"count(pinpoint_healthy{BY})": "all"},
          "pinpoint_healthy of each worker", now=True),
    Panel("What is wrong", "short", {f"sum by (reason) (pinpoint_unhealthy{BY})": "{{reason}}"},
          "Reasons of docs/operations.md; nothing here is good", now=True),
    Panel("Up", "s", {f"pinpoint_uptime_seconds{BY}": "{{instance}}"}, "A line that falls is a restart", now=True),
    Panel("Documents a second", "short", {_rate("pinpoint_documents_total"): "classified",
                                          _rate("pinpoint_failed_documents_total"): "failed alone"}),
    Panel("Jobs, requests a second", "short", {f"sum by (result) (rate(pinpoint_jobs_total{BY}{PER}))": "{{result}}"}),
    Panel("Errors a second, by code", "short", {f"sum by (code) (rate(pinpoint_errors_total{BY}{PER}))": "{{code}}"},
          "Codes of docs/api.md; overloaded means more workers"),
    Panel("Seconds of a request", "s", {_quantile(0.5): "median", _quantile(0.95): "95 of 100"}),
    Panel("Requests in flight", "short", {f"sum by (instance) (pinpoint_http_in_flight{BY})": "{{instance}}"}),
    Panel("Requests a second, by status", "short",
          {f"sum by (status) (rate(pinpoint_http_requests_total{BY}{PER}))": "{{status}}"}),
    Panel("Tokens a second", "short", {_rate("pinpoint_tokens_asked_total"): "asked for",
                                       _rate("pinpoint_tokens_written_total"): "written, for reasons"}),
    Panel("Passes a second", "short", {_rate("pinpoint_passes_total"): "passes",
                                       _rate("pinpoint_passes_out_of_memory_total"): "out of memory"}),
    Panel("Memory of the device, GB of 10⁹ bytes", "short",
          {f"max by (kind) (pinpoint_memory_gb{BY})": "{{kind}}"},
          "allocated returns to baseline after each pass; docs/memory.md"),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The model that Grafana imports; it asks for the data source."""
    source = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
    return {
        "__inputs": [
            {"name": "DS_PROMETHEUS", "label": "Prometheus", "type": "datasource", "pluginId": "prometheus"}
        ],
        "title": "Pinpoint",
        "uid": "pinpoint",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "worker", "label": "Worker", "type": "query", "datasource": source,
                    "query": "label_values(pinpoint_uptime_seconds, instance)", "includeAll": True, "multi": True,
                    "allValue": ".*", "current": {"text": "All", "value": "$__all"}, "refresh": 2,
                }
            ]
        },
        "panels": [
            {
                "id": number + 1,
                "title": panel.title,
                "description": panel.about,
                "type": "stat" if panel.now else "timeseries",
                "datasource": source,
                "gridPos": {"x": number * WIDE % ACROSS, "y": number * WIDE // ACROSS * HIGH, "w": WIDE, "h": HIGH},
                "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
                "targets": [
                    {"refId": chr(ord("A") + at), "datasource": source, "expr": query, "legendFormat": name,
                     "instant": panel.now}
                    for at, (query, name) in enumerate(panel.queries.items())
                ],
            }
            for number, panel in enumerate(PANELS)
        ],
    }  # fmt: skip


def text() -> str:
    """The dashboard as its file holds it."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
