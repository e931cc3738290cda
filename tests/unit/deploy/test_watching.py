"""Dashboard and alerts name figures that a server really shows, and each alert has its row in docs/operations.md."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from deploy import dashboard
from pinpoint.serving import worker as worker_module
from pinpoint.serving.http.exposition import Exposition
from pinpoint.serving.http.gate import Gate
from pinpoint.serving.worker import Worker
from pinpoint.settings import Settings
from tests.fakes import FakeEngine

ROOT = Path(__file__).parents[3]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
QUERIES = [query for panel in dashboard.PANELS for query in panel.queries]


@pytest.fixture(scope="module")
def shown() -> dict[str, set[str]]:
    """Every sample that a server shows after a good and a bad job → its labels."""

    async def worked(worker: Worker) -> None:
        await worker.handle({"id": "1", "input": {"text": "Total due", "labels": ["invoice", "receipt"]}})
        await worker.handle({"id": "2", "input": {}})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_module, "get_scorer", lambda settings: FakeEngine())
        worker = Worker(Settings(model_name="", device="cpu"))
        gate = Gate("", 8, 1000)
        exposition = Exposition(worker, gate)
        asyncio.run(worked(worker))
        exposition.requests.labels("/classify", "200").inc()
        exposition.seconds.labels("/classify").observe(0.1)
        found: dict[str, set[str]] = {}
        for family in text_string_to_metric_families(exposition.text().decode()):
            found.setdefault(family.name, set())
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
        return found


def names(query: str) -> set[str]:
    return set(re.findall(r"\bpinpoint_\w+", query))


@pytest.mark.parametrize("query", [*QUERIES, *(rule["expr"] for rule in RULES)], ids=lambda query: query[:40])
def test_a_query_names_figures_and_labels_that_exist(query: str, shown: dict[str, set[str]]) -> None:
    assert names(query) | {"up"} & {query.split("{")[0]}
    assert names(query) <= set(shown)
    of_figures = {"instance", "reason"}.union(*(shown[name] for name in names(query)))
    asked = set(re.findall(r"(\w+)(?:=~|=|!=)\"", query.replace('job="pinpoint"', "")))
    for listed in re.findall(r"(?:by|ignoring) \(?([\w, ]+)\)", query):
        asked |= {one.strip() for one in listed.split(",")}
    assert asked <= of_figures


def test_every_figure_of_the_worker_is_on_the_dashboard(shown: dict[str, set[str]]) -> None:
    on_it = set().union(*(names(query) for query in QUERIES))
    counted = {name for name in shown if name.startswith("pinpoint_") and "_task" not in name}
    left_out = {name for name in counted if not any(one.startswith(name) or name.startswith(one) for one in on_it)} - {
        name for name in counted if name.endswith(("_created", "_sum", "_count"))
    }
    assert left_out == set()


def test_the_dashboard_is_made_of_its_panels() -> None:
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.text(), "run: python -m deploy.dashboard"
    places = [tuple(panel["gridPos"].values()) for panel in dashboard.dashboard()["panels"]]
    assert len(set(places)) == len(places) == len(dashboard.PANELS)


def test_every_alert_says_what_to_do() -> None:
    documented = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    alerts = [rule["alert"] for rule in RULES]
    assert len(set(alerts)) == len(alerts)
    assert [name for name in alerts if f"`{name}`" not in documented] == []
    assert all(rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"] for rule in RULES)
