"""A deployed taxonomy over HTTP: as over the queue, and told by health."""

from __future__ import annotations

import math
from typing import Any

import httpx

TEXT = "Invoice no. 7, dated 14 March, payable within 30 days. Total due: 99.50 EUR, VAT included. Thank you."


def test_a_taxonomy_of_217_labels_with_a_mask_and_a_prior(http: httpx.Client) -> None:
    prior = {"accounting": 5, "trade": 3, "staff": 1, "logistics": 1, "money": 1, "office": 1}
    job: dict[str, Any] = {"text": TEXT, "taxonomy": "business-documents", "mask": ["legal"], "prior": prior}
    came = http.post("/classify", json=job)
    assert came.status_code == 200, came.text
    answer = came.json()["results"][0]["answers"]["category"]
    assert len(answer["labels"]) == 217 - 31
    assert math.isclose(math.fsum(answer["scores"]), 1.0, abs_tol=1e-3)
    assert answer["path"][0] in prior and answer["path"][-1] == answer["label"]
    # With a prior that knows it already, there is one answer.
    certain = http.post("/classify", json={**job, "prior": {**prior, "staff": 1e60}}).json()
    assert certain["results"][0]["answers"]["category"]["path"][0] == "staff"
    assert certain["model"]["labels_sha"] == came.json()["model"]["labels_sha"]
    assert http.get("/health").json()["taxonomies"] == {"deployed": ["business-documents"], "refused": {}}


def test_a_name_that_nobody_deployed_and_a_prior_of_the_masked_are_refused_by_field(http: httpx.Client) -> None:
    for fields, code in (
        ({"taxonomy": "finance-v3"}, "unknown_taxonomy"),
        ({"taxonomy": "business-documents", "mask": ["legal"], "prior": {"legal": 1}}, "conflicting_fields"),
    ):
        came = http.post("/classify", json={"text": TEXT, **fields})
        assert came.status_code in (400, 422)
        assert came.json()["error"].startswith(f"{code}: ")
