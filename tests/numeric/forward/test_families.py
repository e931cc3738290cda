"""Many architectures, each exact or refused: packed passes against transformers' own forward pass, prompt by prompt.

In float32; in bfloat16 it is the proof at load that compares them (`test_proof.py`).
"""

import copy
import logging
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from pinpoint.engine import forest_scorer
from pinpoint.engine.forward import attention, frequencies, head, norms
from pinpoint.engine.forward.packing import PackedRow
from pinpoint.engine.forward.scoring import score
from pinpoint.engine.loading.load import LoadedModel, context_tokens
from pinpoint.engine.scorer import Scorer
from pinpoint.errors import ModelError
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.span_tree import Forest
from tests.fakes import chatml_tokenizer
from tests.numeric.forward import families
from tests.numeric.forward.families import (
    COMMON,
    FAMILIES,
    NESTED,
    SHORT_TOKENS,
    VOCABULARY,
    WINDOW,
    configuration,
    nested_configuration,
)
from tests.numeric.tolerances import FLOAT32
from tests.reference.scoring import label_log_prob

STOP = 2
LABELS = [(5,), (5, 6), (7, 8, 9), (7, 8)]
# What the worker does not compute, and what it says of it.
REFUSED = {
    "doge": "unsupported_attention",
    "minimax": "unsupported_attention",
    "qwen3_next": "unsupported_attention",
    "lfm2": "unsupported_attention",
    "jamba": "unsupported_attention",
    "recurrent_gemma": "unsupported_attention",
    "bloom": "unsupported_attention",
}
EXACT = sorted(FAMILIES.keys() - REFUSED.keys())
WINDOWED = [name for name in EXACT if "sliding_window" in FAMILIES[name][1]]


@pytest.fixture(autouse=True)
def quiet() -> None:
    transformers_logging.set_verbosity_error()
    attention.register()


def scorer_of(model: PreTrainedModel, store_bytes: int = 0) -> Scorer:
    """The worker's door to a model that was made here; the tokenizer is never asked for a token of these forests."""
    loaded = LoadedModel(
        model=model, tokenizer=chatml_tokenizer(), device=torch.device("cpu"), compute_dtype=model.dtype,
        name="small", revision="0", precision="bf16", context_tokens=context_tokens(model.config), weight_bytes=0,
        seconds=0.0,
    )  # fmt: skip
    return Scorer(loaded, 1000, store_bytes)


def with_our_attention(plain: PreTrainedModel, implementation: str = attention.SPANS) -> PreTrainedModel:
    model: PreTrainedModel = copy.deepcopy(plain)
    for config in {id(m.config): m.config for m in model.modules() if hasattr(m, "config")}.values():
        config._attn_implementation = implementation
    norms.fuse(model)
    return model


def in_bfloat16(plain: PreTrainedModel) -> PreTrainedModel:
    """The same in bfloat16; buffers of frequencies stay as transformers' loader leaves them."""
    model = with_our_attention(plain).to(torch.bfloat16)
    for name, buffer in plain.named_buffers():
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, buffer.clone())
    return model


def tokens(count: int, seed: int) -> list[int]:
    found: list[int] = torch.randint(3, VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed)).tolist()
    return found


def documents(*lengths: int) -> Forest:
    """A question that is kept, and documents below it, the last of them asked two questions."""
    forest = Forest()
    root = forest.add(tokens(6, 1), shared=True)
    for length in lengths:
        span = forest.add(tokens(length, length), root)
        forest.ask(span, build_trie(LABELS, STOP))
    for question in (4, 9):
        forest.ask(forest.add(tokens(question, 90 + question), span), build_trie(LABELS, STOP))
    return forest


def scores_of(scorer: Scorer, forest: Forest) -> list[list[float]]:
    with scorer.run(forest) as done:
        return [ask.log_probs for ask in done.scores]


def plain_scores(plain: PreTrainedModel, forest: Forest) -> list[list[float]]:
    return [[label_log_prob(plain, forest.prompt(ask.span), label, STOP) for label in LABELS] for ask in forest.asks]


def apart(one: list[list[float]], other: list[list[float]]) -> float:
    return float((torch.tensor(one) - torch.tensor(other)).abs().max())


@pytest.mark.parametrize("family", EXACT)
def test_a_family_is_exact_alone_in_company_cold_and_warm(family: str) -> None:
    """In float32; prompts of 11 to 65 tokens, shorter and longer than any window and than the first frequencies'."""
    plain = families.random_model(configuration(family))
    scorer = scorer_of(with_our_attention(plain), store_bytes=10**8)
    forest = documents(5, 30, 60)
    expected = plain_scores(plain, forest)
    for _ in range(2):
        assert apart(scores_of(scorer, forest), expected) < FLOAT32
        assert len(scorer.store) >= 1
    for length, alone in zip((5, 30), expected, strict=False):
        one = documents(length)
        assert apart(scores_of(scorer, one)[:1], [alone]) < FLOAT32


@pytest.mark.parametrize("family", sorted(NESTED))
def test_a_text_model_within_a_larger_one_is_exact(family: str) -> None:
    config = nested_configuration(family)
    assert context_tokens(config) == COMMON["max_position_embeddings"]
    plain = families.random_model(config)
    forest = documents(5, 30, 60)
    assert apart(scores_of(scorer_of(with_our_attention(plain)), forest), plain_scores(plain, forest)) < FLOAT32


@pytest.mark.parametrize("family", ["gpt_oss", "gemma2", "mistral", "deepseek_v3", "llama4 text"])
def test_by_one_mask_it_is_the_same(family: str) -> None:
    plain = families.random_model(configuration(family))
    forest = documents(5, 30, 60)
    fast = scores_of(scorer_of(with_our_attention(plain, attention.DENSE)), forest)
    assert apart(fast, plain_scores(plain, forest)) < FLOAT32


@pytest.mark.parametrize("family", sorted(REFUSED))
def test_what_is_not_computed_is_refused_before_the_first_job(family: str) -> None:
    plain = families.random_model(configuration(family))
    with pytest.raises(ModelError) as caught:
        scorer_of(with_our_attention(plain))
    assert caught.value.code == REFUSED[family]
    assert caught.value.message.endswith("use another model")


@pytest.mark.parametrize("family", WINDOWED)
def test_a_window_does_not_shorten_the_context_and_is_felt(family: str) -> None:
    """Without the window, the same model answers otherwise: so a window that is not computed is noticed above."""
    config = configuration(family)
    assert context_tokens(config) == COMMON["max_position_embeddings"] > WINDOW
    plain = families.random_model(config)
    wide = families.random_model(configuration(family))
    for changed in {id(m.config): m.config for m in wide.modules() if hasattr(m, "config")}.values():
        changed.sliding_window = 1000
    forest = documents(60)
    assert apart(plain_scores(plain, forest), plain_scores(wide, forest)) > 100 * FLOAT32


@pytest.mark.parametrize("family", ["llama, longrope", "phi3, longrope", "phimoe"])
def test_frequencies_are_a_matter_of_the_prompt_alone(family: str) -> None:
    """One short prompt alone, beside a long one and after it; bounded labels, too, whose passes are short rows."""
    plain = families.random_model(configuration(family))
    scorer = scorer_of(with_our_attention(plain), store_bytes=10**8)
    assert frequencies.short_tokens(scorer.loaded.model) == SHORT_TOKENS
    short, both = documents(5), documents(5, 60)
    expected = plain_scores(plain, short)[:1]
    assert apart(scores_of(scorer, short)[:1], expected) < FLOAT32
    assert apart(scores_of(scorer, both)[:1], expected) < FLOAT32
    assert apart(scores_of(scorer, short)[:1], expected) < FLOAT32
    # At the border: the prompt with its longest label is what counts.
    border = documents(SHORT_TOKENS - 6 - 3)
    assert scorer._is_long(border, border.asks[0]) is False
    longer = documents(SHORT_TOKENS - 6 - 2)
    assert scorer._is_long(longer, longer.asks[0]) is True


def test_frequencies_of_positions_in_several_axes_are_those_of_the_prompt() -> None:
    """Models that read pictures count time, height and width: three rows of positions."""
    found = frequencies._longer(torch.arange(12).view(3, 1, 4), 99)
    assert found.shape == (3, 1, 5) and found[..., -1].tolist() == [[99]] * 3
    assert frequencies._longer(torch.arange(4)[None], 99).tolist() == [[0, 1, 2, 3, 99]]


def test_the_passes_of_a_long_prompt_are_long_however_short_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trie whose first tokens come first, and the rest in later passes over kept spans."""
    plain = families.random_model(configuration("llama, longrope"))
    scorer = scorer_of(with_our_attention(plain))
    labels = [(first, second, 9) for first in range(5, 15) for second in range(15, 25)]
    forest = Forest()
    # 22 tokens, and 25 with a label: the row with the first tokens alone is a short one.
    forest.ask(forest.add(tokens(SHORT_TOKENS - 2, 4)), build_trie(labels, STOP), exact_best=1)
    positions: list[int] = []

    def counted(model: PreTrainedModel, row: PackedRow, *given: Any, **more: Any) -> list[list[float]]:
        positions.append(int(row.positions.max()) + 1)
        return score(model, row, *given, **more)

    monkeypatch.setattr(forest_scorer, "score", counted)
    with scorer.run(forest) as done:
        (found,) = done.scores
    assert min(positions) <= SHORT_TOKENS < max(positions), "else nothing is tested"
    best = max(set(range(len(labels))) - found.bounded, key=lambda index: found.log_probs[index])
    prompt = forest.prompt(0)
    with frequencies.of_long_prompts(plain):
        expected = label_log_prob(plain, prompt, labels[best], STOP)
    assert found.log_probs[best] == pytest.approx(expected, abs=FLOAT32)


def test_a_reason_is_written_with_the_frequencies_of_its_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, seen = scorer_of(with_our_attention(families.random_model(configuration("llama, longrope")))), list[Any]()

    def noted(model: PreTrainedModel, rows: list[Any], stop: int, long: bool, *_: Any) -> list[None]:
        seen.append((long, len(rows)))
        return [None] * len(rows)

    monkeypatch.setattr("pinpoint.engine.forest_pass.generate.write_together", noted)
    with scorer.run(documents(5, 60), explain=True) as done:
        done.explain_all([(1, "yes"), (0, "yes")])
    assert seen == [(False, 1), (True, 1)]


def test_a_head_whose_scores_are_no_numbers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinpoint.engine.scorer.check_head", lambda *_: float("nan"))
    with pytest.raises(ModelError) as caught:
        scorer_of(with_our_attention(families.random_model(configuration("llama"))))
    assert caught.value.code == "unsupported_head"


def test_a_short_label_of_a_long_prompt_is_settled_as_the_long_ones_are(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = families.random_model(configuration("llama, longrope"))
    scorer = scorer_of(with_our_attention(plain))
    labels = [(3, 4), *[(first, second, 9, 9) for first in range(5, 15) for second in range(15, 25)]]
    monkeypatch.setattr(forest_scorer, "undecided", lambda bounds, known, best, rounds: [0][rounds:])
    forest = Forest()
    # 21 tokens, 23 with the label that is settled, and 25 with the longest.
    forest.ask(forest.add(tokens(SHORT_TOKENS - 3, 4)), build_trie(labels, STOP), exact_best=1)
    with scorer.run(forest) as done:
        found = done.scores[0]
    assert len(found.bounded) == len(labels) - 1
    with frequencies.of_long_prompts(plain):
        expected = label_log_prob(plain, forest.prompt(0), labels[0], STOP)
    assert found.log_probs[0] == pytest.approx(expected, abs=FLOAT32)


@pytest.mark.parametrize("family", ["granite", "cohere", "gemma2", "nanochat"])
def test_a_head_that_is_not_the_whole_way_to_the_logits_is_noticed(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Caps, too, on logits so small that they do nothing."""
    plain = families.random_model(configuration(family))
    model = with_our_attention(plain)
    table = model.get_output_embeddings().weight
    table.data = table.data * 1e-3
    scorer_of(in_bfloat16(plain))
    ids = tokens(9, 3)
    for peak in (None, head.PEAK_LOGIT):
        assert head.check_head(model, ids, peak) < 1e-3
    scorer_of(model)
    monkeypatch.setattr(head, "logits_of", lambda model, hidden: model.get_output_embeddings()(hidden))
    assert head.check_head(model, ids, head.PEAK_LOGIT) > 1
    for loaded in (model, in_bfloat16(plain)):
        with pytest.raises(ModelError) as caught:
            scorer_of(loaded)
        assert caught.value.code == "unsupported_head"


@pytest.mark.parametrize("skipped", [0, 2])
def test_a_layer_that_attends_by_itself_is_refused(skipped: int) -> None:
    plain = families.random_model(configuration("llama"))
    model = with_our_attention(plain)
    own = copy.deepcopy(model.config)
    own._attn_implementation = "sdpa"
    model.model.layers[skipped].self_attn.config = own
    with pytest.raises(ModelError, match="2 of 3 layers attend") as caught:
        scorer_of(model)
    assert caught.value.code == "unsupported_attention"


def test_a_model_that_fails_in_a_pass_is_refused_in_words(caplog: pytest.LogCaptureFixture) -> None:
    model = with_our_attention(families.random_model(configuration("llama")))

    def broken(*_: Any, **__: Any) -> Any:
        raise AttributeError("secret")

    model.model.layers[1].mlp.forward = broken
    with caplog.at_level(logging.INFO), pytest.raises(ModelError, match="use another model") as caught:
        scorer_of(model)
    assert "secret" not in caught.value.message + caplog.text
