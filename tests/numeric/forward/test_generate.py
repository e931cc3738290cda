"""Reasons: what the model writes after its answer is what transformers would write after the whole prompt."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, GenerationConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from pinpoint.engine.forward import attention, generate
from pinpoint.engine.scorer import Scorer
from pinpoint.errors import OutOfMemory
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from tests.models import chatml_tokenizer, configurations, load_cpu, save_random
from tests.numeric.conftest import Pair
from tests.numeric.forward import families
from tests.numeric.forward.families import COMMON, configuration
from tests.numeric.forward.test_families import documents, scorer_of, with_our_attention
from tests.numeric.tolerances import FLOAT32
from tests.reference.scoring import plain_model

WRITTEN_TOKENS = 8
LARGE_BYTES = 10_000_000
KIND = Task("category", tuple(Label(name, name) for name in ("invoice", "receipt", "purchase order")))
TONE = Task("tone", tuple(Label(name, name) for name in ("friendly", "angry")))
TEXTS = ("Total due: 99.50 EUR, pay within 30 days.", "Paid by card; keep it for the warranty.")


@pytest.fixture(params=["mixtral", "llama", "qwen2"])
def pair(request: pytest.FixtureRequest, small_mixtral: Pair, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    if request.param == "mixtral":
        return small_mixtral
    tokenizer = chatml_tokenizer()
    folder: Path = tmp_path_factory.mktemp(request.param)
    loaded = load_cpu(save_random(configurations(len(tokenizer))[request.param], tokenizer, folder))
    return loaded, plain_model(loaded.model)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[int]]]:
    """The token ids of every reason, as they are written; few of them, for time."""
    found: list[list[int]] = []
    plain = generate.write_together

    def recording(*args: Any) -> list[list[int] | None]:
        made = plain(*args)
        found.extend(tokens for tokens in made if tokens is not None)
        return made

    monkeypatch.setattr(generate, "write_together", recording)
    monkeypatch.setattr(generate, "MOST_TOKENS", WRITTEN_TOKENS)
    yield found


def by_transformers(model: PreTrainedModel, prompt: list[int], stop: int) -> list[int]:
    """Greedy tokens after a whole prompt, every step from its beginning."""
    config = GenerationConfig(
        max_new_tokens=WRITTEN_TOKENS, do_sample=False, use_cache=False, eos_token_id=stop, pad_token_id=stop
    )
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
    tokens: list[int] = out[0, len(prompt) :].tolist()
    return tokens[: tokens.index(stop)] if stop in tokens else tokens


def job(scorer: Scorer) -> Forest:
    forest = Forest()
    for text in TEXTS:
        for task in (KIND, TONE):
            scorer.prompts.add(forest, task, scorer.prompts.document(text))
    return forest


def test_a_reason_is_what_transformers_writes_after_the_whole_prompt(pair: Pair, written: list[list[int]]) -> None:
    loaded, plain = pair
    scorer = Scorer(loaded, 8192, LARGE_BYTES)
    encoder, forest = scorer.prompts.encoder, job(scorer)
    asked = [(0, "invoice"), (3, "angry")]
    reasons = []
    for warm in (False, True):
        with scorer.run(forest, explain=True) as done:
            assert (done.stored_tokens > 0) == warm
            reasons.append([done.explain(ask, label) for ask, label in asked])
    assert reasons[0] == reasons[1]
    assert written[: len(asked)] == written[len(asked) :]
    for (ask, label), reason, tokens in zip(asked, reasons[0], written, strict=False):
        answer = [*encoder.label_tokens(label), *encoder.pieces(generate.reason_opening())]
        slow = by_transformers(plain, [*forest.prompt(forest.asks[ask].span), *answer], encoder.stop)
        assert tokens == slow
        assert reason == (encoder.decode(slow), len(slow))
    assert written[0] != written[1], "a model that always writes the same shows nothing"


def test_a_reason_ends_at_the_stop_token(pair: Pair, monkeypatch: pytest.MonkeyPatch, written: list[list[int]]) -> None:
    scorer = Scorer(pair[0], 8192)
    forest = job(scorer)
    with scorer.run(forest, explain=True) as done:
        done.explain(0, "invoice")
        (whole,) = written
        third = next(token for step, token in enumerate(whole) if step and token not in whole[:step])
        monkeypatch.setattr(scorer.prompts.encoder, "stop", third)
        _, length = done.explain(0, "invoice")
    assert length == whole.index(third) > 0
    assert written[-1] == whole[:length]


def test_scores_after_a_reason_are_those_before_it(pair: Pair, written: list[list[int]]) -> None:
    loaded, _ = pair
    scorer = Scorer(loaded, 8192)
    forest = job(scorer)
    with scorer.run(forest, explain=True) as done:
        before = [s for one in done.scores for s in one.log_probs]
        done.explain(0, "invoice")
        assert loaded.model.config._attn_implementation == attention.SPANS
        done.explain(1, "angry")
    with scorer.run(forest) as done:
        assert [s for one in done.scores for s in one.log_probs] == pytest.approx(before, abs=FLOAT32)
    assert len(written) == 2


@pytest.mark.parametrize("family", ["mistral", "gpt_oss", "gemma2", "gemma4 text", "llama4 text", "llama, longrope"])
def test_families_give_reasons_by_their_own_attention(family: str, written: list[list[int]]) -> None:
    """Windows, chunks, caps, sinks and shared keys: prompts and reasons go on beyond each window of 12 tokens."""
    transformers_logging.set_verbosity_error()
    attention.register()
    plain = families.random_model(configuration(family))
    scorer = scorer_of(with_our_attention(plain))
    forest, encoder = documents(5, 30), scorer.prompts.encoder
    with scorer.run(forest, explain=True) as done:
        for ask, label in ((0, "gas"), (3, "gas bill")):
            done.explain(ask, label)
            answer = [*encoder.label_tokens(label), *encoder.pieces(generate.reason_opening())]
            prompt = [*forest.prompt(forest.asks[ask].span), *answer]
            assert written.pop() == by_transformers(plain, prompt, encoder.stop)


def test_a_reason_behind_a_short_prompt_ends_where_other_frequencies_begin(
    monkeypatch: pytest.MonkeyPatch, written: list[list[int]]
) -> None:
    attention.register()
    monkeypatch.setattr(families, "SHORT_TOKENS", 40)
    plain = families.random_model(AutoConfig.for_model("llama", **COMMON, rope_parameters=families.longrope(8)))
    scorer = scorer_of(with_our_attention(plain))
    forest, encoder = documents(5), scorer.prompts.encoder
    answer = [*encoder.label_tokens("gas"), *encoder.pieces(generate.reason_opening())]
    prompt = [*forest.prompt(forest.asks[0].span), *answer]
    monkeypatch.setattr(generate, "MOST_TOKENS", 60)
    with scorer.run(forest, explain=True) as done:
        _, count = done.explain(0, "gas")
    assert 0 < count <= 40 - len(prompt)
    assert written[0][:WRITTEN_TOKENS] == by_transformers(plain, prompt, encoder.stop)[:count]


def test_what_a_pass_kept_for_reasons_goes_with_it(pair: Pair, written: list[list[int]]) -> None:
    scorer = Scorer(pair[0], 8192)
    with scorer.run(job(scorer), explain=True) as done:
        layers = done._layers
        assert any(layers.values())
    assert not layers
    with scorer.run(job(scorer)) as done:
        assert not any(done._layers.values())


def test_running_out_of_memory_while_writing_is_told_as_such(
    small_mixtral: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*args: object) -> list[list[int]]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(generate, "write_together", failing)
    scorer = Scorer(small_mixtral[0], 8192)
    with scorer.run(job(scorer), explain=True) as done, pytest.raises(OutOfMemory):
        done.explain(0, "invoice")
