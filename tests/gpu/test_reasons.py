"""Reasons in company on a real GPU: recorded steps write what transformers writes on a CPU and leave nothing behind."""

import gc
from dataclasses import replace

import pytest
import torch

from pinpoint.engine.baseline import Baseline, requested_bytes
from pinpoint.engine.forward import attention, generate
from pinpoint.engine.forward.steps import RecordedSteps, record_graph
from pinpoint.engine.scorer import Scorer
from tests.numeric.forward.families import configuration, random_model
from tests.numeric.forward.test_families import documents, scorer_of, with_our_attention
from tests.numeric.forward.test_generate import WRITTEN_TOKENS, by_transformers
from tests.numeric.forward.test_reasons_together import asked_of, prompt_of

COMPANIES = [(5, 30, 3, 17, 11), (4, 28, 9, 6), (31, 2), (8,), (6, 29, 4, 18, 12)]


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2"])
@pytest.mark.parametrize("places", [0, 4096])
def test_recorded_steps_write_what_transformers_writes(
    family: str, places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a cache that stays, and with one for each company; in float32, whose roundings turn no token here."""
    attention.register()
    monkeypatch.setattr(generate, "MOST_TOKENS", WRITTEN_TOKENS)
    device, plain = torch.device("cuda"), random_model(configuration(family))
    loaded = replace(scorer_of(with_our_attention(plain)).loaded, device=device)
    loaded.model.to(device)
    scorer = Scorer(loaded, 1000)
    scorer._steps = RecordedSteps(places, record_graph)
    gc.collect()  # what the test before left is not to go in the middle of this one: 896 bytes once did
    scorer.baseline = Baseline(lambda: requested_bytes(device))
    assert generate.records(loaded.model)
    encoder, drifts = scorer.prompts.encoder, list[int]()
    for lengths in COMPANIES:
        forest = documents(*lengths)
        asked = asked_of(forest)
        with scorer.run(forest, explain=True) as done:
            together = done.explain_all(asked)
        drifts.append(scorer.baseline.drift_bytes)
        slow = [by_transformers(plain, prompt_of(scorer, forest, *one), encoder.stop) for one in asked]
        assert together == [(encoder.decode(one), len(one)) for one in slow]
    assert scorer._steps.made == (len(COMPANIES) if not places else len(scorer._steps._steps))
    assert drifts == [0] * len(COMPANIES)
