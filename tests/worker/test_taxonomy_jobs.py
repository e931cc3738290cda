"""A deployed taxonomy of 217 labels over the queue, with a mask and a prior, beside one that is damaged."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from pinpoint.api.taxonomy_files import SHIPPED
from tests.worker.emulator import Platform
from tests.worker.product import product_worker

ENDS_S = 60.0
TEXT = "Invoice no. 7, dated 14 March, payable within 30 days. Total due: 99.50 EUR, VAT included. Thank you."
PRIOR = {"accounting": 5, "trade": 3, "staff": 1, "logistics": 1, "money": 1, "office": 1}


def test_a_taxonomy_of_217_labels_with_a_mask_and_a_prior_and_a_damaged_one_beside_it(
    platform: Platform, tmp_path: Path
) -> None:
    folder = tmp_path / "taxonomies"
    folder.mkdir()
    shutil.copy(SHIPPED / "business-documents.yaml", folder / "finance-v3.yaml")
    (folder / "broken.yaml").write_text("labels: [a, {name: b, children: []}]", encoding="utf-8")
    with product_worker(platform, tmp_path, "w1", {"PINPOINT_TAXONOMIES": folder}) as worker:
        asked = {"text": TEXT, "taxonomy": "finance-v3", "mask": ["legal", "trade.quotation"], "prior": PRIOR}
        platform.submit(asked, "named")
        platform.submit({**asked, "taxonomy": "finance-v2"}, "nobody")
        platform.submit({**asked, "taxonomy": "broken"}, "damaged")
        jobs = {job.id: job for job in platform.ledger.wait_final("named", "nobody", "damaged", timeout_s=ENDS_S)}
        output = jobs["named"].output
        answer = output["results"][0]["answers"]["category"]
        assert len(answer["labels"]) == 217 - 31 - 1
        assert not any(name.startswith("legal") or name == "trade.quotation" for name in answer["labels"])
        assert math.isclose(math.fsum(answer["scores"]), 1.0, abs_tol=1e-3)
        assert answer["path"][-1] == answer["label"]
        assert answer["backed_off"] == (answer["label"] not in answer["labels"])
        assert answer["path"][0] in PRIOR
        assert output["model"]["labels_sha"]
        told = jobs["nobody"].error
        assert told.startswith("unknown_taxonomy: ") and "business-documents, finance-v3" in told
        assert "too_few_labels" in jobs["damaged"].error and "labels[1].children" in jobs["damaged"].error
        assert "taxonomy=broken refused: too_few_labels" in worker.output
        assert platform.ledger.audit().clean
