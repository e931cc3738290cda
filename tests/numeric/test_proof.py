"""The proof at load: it holds for every family that is exact, and refuses each planted fault, in both dtypes."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import varlen as torch_varlen
from transformers import PreTrainedModel
from transformers.models.llama import modeling_llama
from transformers.utils import logging as transformers_logging

from pinpoint.engine import forest_scorer, proof
from pinpoint.engine.forward import attention, blocks, head, last_layer, packing, tiles, varlen
from pinpoint.engine.forward.forced import ATTENDED, LAYER, PROJECTED, TOKENS, Forced
from pinpoint.engine.forward.plain import Plain
from pinpoint.engine.forward.prefix_cache import PrefixStore
from pinpoint.engine.forward.rules import Rule, find_rule
from pinpoint.engine.proof import compare, prove
from pinpoint.engine.proof_parts import SCORES, TOLERANCE, TOLERANCE_OF_8_BITS, WEIGHTS, Part, in_words
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.weights import fp8
from pinpoint.engine.weights.fp8 import Fp8Config, Fp8Quantizer
from pinpoint.engine.weights.product_proof import EXPERTS, LINEAR
from pinpoint.errors import ModelError
from pinpoint.prompting.span_tree import Forest
from tests.numeric.forward import families
from tests.numeric.forward.families import SHORT_TOKENS, WINDOW, configuration
from tests.numeric.forward.test_families import EXACT, in_bfloat16, scorer_of, with_our_attention
from tests.reference.tiles import slow_attend
from tests.reference.varlen import slow_kernel

DTYPES = [torch.float32, torch.bfloat16]
STORE_BYTES = 10**8
# In float32 all families are compared in `test_families.py`, score by score; here those whose layers differ most.
SAMPLE = [
    "mixtral, window", "gpt_oss", "gemma2", "gemma4 text", "phi3, longrope", "granite", "deepseek_v3", "stablelm",
    "opt", "llama4 text",
]  # fmt: skip


@pytest.fixture(autouse=True)
def quiet() -> None:
    transformers_logging.set_verbosity_error()
    attention.register()


def scorer_for(family: str, dtype: torch.dtype, store_bytes: int = STORE_BYTES) -> Scorer:
    plain = families.random_model(configuration(family))
    return scorer_of(with_our_attention(plain) if dtype == torch.float32 else in_bfloat16(plain), store_bytes)


@pytest.mark.parametrize("family", SAMPLE)
def test_the_proof_holds_in_float32(family: str) -> None:
    found = prove(scorer_for(family, torch.float32))
    # Of a model that was made here there are no files, nor, where nothing is quantised, products to be compared.
    stages = {part.stage for part in found.parts}
    assert found.wrong is None and TOLERANCE[torch.float32].keys() - stages <= {WEIGHTS, LINEAR, EXPERTS}
    assert found.longest_tokens > max(WINDOW, SHORT_TOKENS) and not found.unreached


@pytest.mark.parametrize("family", EXACT)
def test_the_proof_holds_in_bfloat16(family: str) -> None:
    found = prove(scorer_for(family, torch.bfloat16))
    assert found.wrong is None and found.dtype == "bfloat16"


def over_the_kernel(patch: pytest.MonkeyPatch) -> list[bool]:
    """Attention as on CUDA, the kernel computed by its slow twin; whether each call had sinks."""
    patch.setattr(torch_varlen, "varlen_attn", slow_kernel)
    patch.setattr(tiles, "attend", slow_attend)
    patch.setattr(varlen, "_varlen_options", lambda: {"enable_gqa", "num_splits"})
    calls = list[bool]()

    def kernel(
        query: Tensor, key: Tensor, value: Tensor, scale: float, sight: Any, _: bool, extras: blocks.Extras
    ) -> Tensor:
        made = sight.calls(extras.softcap is not None)
        assert made is not None
        calls.append(extras.sinks is not None)
        return varlen.attend(query, key, value, scale, made, extras.sinks, extras.softcap)

    patch.setattr(attention, "_spans", kernel)
    return calls


@pytest.mark.parametrize("family", ["gemma2", "gpt_oss", "mixtral"])
def test_the_proof_holds_over_the_kernels_calls(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = scorer_for(family, torch.bfloat16)
    calls = over_the_kernel(monkeypatch)
    found = compare(scorer)
    assert found.wrong is None
    assert calls and all(had == (family == "gpt_oss") for had in calls)


def test_a_sink_that_the_kernel_is_not_given_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = scorer_for("gpt_oss", torch.bfloat16)
    over_the_kernel(monkeypatch)
    attend = varlen.attend
    monkeypatch.setattr(varlen, "attend", lambda *given: attend(*given[:5]))
    wrong = compare(scorer).wrong
    assert wrong is not None and wrong.stage == ATTENDED and wrong.apart > 3 * wrong.tolerance


def sink_dropped(patch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    patch.setattr(blocks, "sink_weight", lambda lse, sinks: torch.ones_like(lse))


def window_ignored(patch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    patch.setattr(attention, "find_rule", lambda *_: Rule())


def window_off_by_one(patch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    found = find_rule

    def wider(*given: Any) -> Any:
        rule = found(*given)
        return Rule(rule.window + 1) if rule and rule.window else rule

    patch.setattr(attention, "find_rule", wider)


def cap_ignored(patch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    patch.setattr(attention, "Extras", lambda sinks, softcap: blocks.Extras(sinks, None))


def scaling_ignored(patch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    spans = attention._spans
    patch.setattr(attention, "_spans", lambda query, key, value, scale, *more: spans(
        query, key, value, query.shape[-1] ** -0.5, *more
    ))  # fmt: skip


def table_not_handed_on(patch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    """One layer attends to the whole row, neighbours and all, as a plain one would."""
    spans, calls = attention._spans, iter(range(10**6))

    def plain(query: Tensor, key: Tensor, value: Tensor, scale: float, *more: Any) -> Tensor:
        if next(calls) % 3 != 1:
            return spans(query, key, value, scale, *more)
        rows, keys = query.shape[1], key.shape[1]
        mask = torch.ones(rows, keys, dtype=torch.bool).tril(keys - rows)
        out = F.scaled_dot_product_attention(query[None], key[None], value[None], mask, scale=scale, enable_gqa=True)
        return out[0].transpose(0, 1)

    patch.setattr(attention, "_spans", plain)


def neighbours_frequency(patch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    patch.setattr(scorer, "_short_tokens", None)


def positions_shifted(patch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    """What stands under a kept beginning is counted from its own."""

    def shifted(forest: Forest, *given: Any) -> packing.PackedRow:
        row = packing.pack(forest, *given)
        if (start := row.span_starts.get(2)) is not None:
            row.positions[start : row.ends[row.starts.tolist().index(start)]] += 1
        return row

    patch.setattr(forest_scorer, "pack", shifted)


def norm_of_another_size(patch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    usual = F.rms_norm
    patch.setattr(F, "rms_norm", lambda states, shape, weight, eps: usual(states, shape, weight, 0.1))


def rows_mixed_up(patch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    only = last_layer.only_rows
    patch.setattr(last_layer, "only_rows", lambda model, rows: only(model, rows - 1))


def store_of_another_path(patch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    """What is kept comes back with its tokens in another order."""
    patch.setattr(
        PrefixStore, "get", lambda self, path: [tuple(x.flip(1) for x in pair) for pair in self._entries[path]]
        if path in self._entries else None
    )  # fmt: skip


def head_of_other_words(patch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    logits = head.logits_of
    patch.setattr(head, "logits_of", lambda model, hidden: logits(model, hidden).roll(1, dims=-1))


Fault = Callable[[pytest.MonkeyPatch, Scorer], None]
FAULTS: list[tuple[str, Fault, str, int | None]] = [
    ("gpt_oss", sink_dropped, ATTENDED, 0),
    ("granite_swa", sink_dropped, ATTENDED, 0),
    ("ministral", window_ignored, ATTENDED, 0),
    ("cohere2", window_off_by_one, ATTENDED, 0),
    ("gemma2", cap_ignored, ATTENDED, 0),
    ("granite", scaling_ignored, ATTENDED, 0),
    ("stablelm", table_not_handed_on, ATTENDED, 1),
    ("nemotron", table_not_handed_on, ATTENDED, 1),
    ("phi3, longrope", neighbours_frequency, PROJECTED, 0),
    ("llama", positions_shifted, TOKENS, None),
    ("mistral", norm_of_another_size, PROJECTED, 0),
    ("mixtral", rows_mixed_up, PROJECTED, 2),
    ("qwen2", store_of_another_path, PROJECTED, 0),
    ("llama", head_of_other_words, SCORES, None),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("family", "fault", "stage", "layer"), FAULTS, ids=lambda each: getattr(each, "__name__", None)
)
def test_the_proof_refuses_a_planted_fault_and_says_where_it_is(
    family: str, fault: Fault, stage: str, layer: int | None, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = scorer_for(family, dtype)
    fault(monkeypatch, scorer)
    found = compare(scorer)
    wrong = found.wrong
    assert wrong is not None and (wrong.stage, wrong.layer) == (stage, layer)
    assert wrong.apart > 3 * wrong.tolerance, "the tolerance is far from what the fault does"
    said = in_words(wrong, found.dtype)
    if stage != TOKENS:
        assert f"{stage} of layer {layer}:" in said or layer is None
        assert f"{wrong.apart:.2g}" in said and stage in said
    assert said.endswith("use another model, and report it")


def in_fp8(model: PreTrainedModel) -> PreTrainedModel:
    """The same, its matrices in E4M3."""
    quantizer = Fp8Quantizer(Fp8Config(), pre_quantized=False)
    weights = {name: value.data for name, value in model.named_parameters()}
    quantizer.preprocess_model(model)
    for name, weight in weights.items():
        if quantizer.param_needs_quantization(model, name):
            parts = quantizer.linear_parts if weight.ndim == 2 else quantizer.expert_parts
            given = (name, weight) if weight.ndim == 2 else (name, len(weight), weight)
            for key, part in parts(*given).items():
                owner, _, leaf = key.rpartition(".")
                model.get_submodule(owner).register_parameter(leaf, nn.Parameter(part, requires_grad=False))
    if getattr(model.config, "num_local_experts", 0):
        fp8.register()
        model.set_experts_implementation(fp8.METHOD)
    return model


def in_fp8_scorer(family: str, dtype: torch.dtype) -> Scorer:
    scorer = scorer_for(family, dtype)
    in_fp8(scorer.loaded.model)
    scorer.loaded = dataclasses.replace(scorer.loaded, precision="fp8")
    return scorer


@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "bfloat16"])
@pytest.mark.parametrize("family", ["mixtral", "deepseek_v3", "phi3, longrope"])
def test_the_proof_holds_in_fp8(family: str, dtype: torch.dtype) -> None:
    found = prove(in_fp8_scorer(family, dtype))
    assert found.wrong is None
    assert {part.tolerance for part in found.parts if part.stage == PROJECTED} == {TOLERANCE_OF_8_BITS[PROJECTED]}


@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("family", "fault", "stage", "layer"),
    [each for each in FAULTS if each[2] == PROJECTED],
    ids=lambda each: getattr(each, "__name__", None),
)  # fmt: skip
def test_where_states_are_rounded_to_8_bits_a_fault_is_still_far_from_the_tolerance(
    family: str, fault: Fault, stage: str, layer: int | None, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those in the stages that may be farther apart."""
    scorer = in_fp8_scorer(family, dtype)
    fault(monkeypatch, scorer)
    wrong = compare(scorer).wrong
    assert wrong is not None and (wrong.stage, wrong.layer) == (stage, layer)
    assert wrong.apart > 1.5 * wrong.tolerance


def test_a_model_that_is_not_proved_is_refused_and_nothing_of_the_proof_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = scorer_for("llama", torch.float32)
    before = scorer.loaded.model.config._attn_implementation
    with monkeypatch.context() as patch:
        scaling_ignored(patch, scorer)
        patch.setattr(scorer.loaded.model.model.layers[0].self_attn, "scaling", 0.1)
        with pytest.raises(ModelError, match="attention of layer 0") as caught:
            prove(scorer)
    assert caught.value.code == "model_unproven" and caught.value.field == "MODEL_NAME"
    assert prove(scorer).wrong is None
    assert scorer.loaded.model.config._attn_implementation == before == attention.SPANS
    assert len(scorer.store) == 0
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in scorer.loaded.model.modules())


@pytest.mark.parametrize("context_tokens", [5, 21, 39])
def test_a_context_that_holds_too_little_to_be_proved_is_refused_in_words(context_tokens: int) -> None:
    scorer = scorer_for("llama", torch.float32)
    scorer.loaded = dataclasses.replace(scorer.loaded, context_tokens=context_tokens)
    with pytest.raises(ModelError, match=f"a context of {context_tokens} tokens holds no prompts") as caught:
        prove(scorer)
    assert caught.value.code == "model_unproven"


def test_a_model_whose_own_pass_fails_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = scorer_for("llama", torch.float32)

    def broken(*_: Any, **__: Any) -> Any:
        raise AttributeError("secret")

    monkeypatch.setattr(modeling_llama, "eager_attention_forward", broken)
    with pytest.raises(ModelError, match="own forward pass of this model fails") as caught:
        prove(scorer)
    assert caught.value.code == "model_unproven" and "secret" not in caught.value.message


def test_what_is_recorded_of_a_token_is_made_of_what_is_recorded_of_those_before_it() -> None:
    """On CUDA a product's rounding hangs on its length, and 32 layers make percents of it; here each length is another
    computation from the start."""
    scorer = scorer_for("llama", torch.float32)
    model = scorer.loaded.model
    read = Plain(model)
    table = model.get_input_embeddings()
    hook = table.register_forward_hook(lambda _, args, out: out * (1 + 0.05 * args[0].shape[-1]))
    try:
        sequences = ([3, 4, 5, 6, 7], [3, 4, 5, 8, 9, 10, 11], [3, 4, 5, 8, 9, 12])
        for tokens in sequences:
            read.read(tokens, 1)
    finally:
        hook.remove()
    for tokens in sequences:
        node, path = read.root(len(tokens)), list[int]()
        for token in tokens:
            node = read.child(node, token)
            path.append(node)
        for layer in read.layers:
            queries, keys, values, attended = (
                torch.cat(record)[path].transpose(0, 1)
                for record in (layer.queries, layer.keys, layer.values, layer.attended)
            )
            groups = len(queries) // len(keys)
            keys, values = (tensor.repeat_interleave(groups, 0) for tensor in (keys, values))
            again = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
            torch.testing.assert_close(again, attended, rtol=1e-4, atol=1e-5)


def test_what_a_layer_takes_back_is_held_to_what_it_was_given() -> None:
    """A token that is very long before a layer and not behind it: Qwen 2.5 1.5B in bfloat16 was refused for it."""
    model = scorer_for("llama", torch.float32).loaded.model
    plain = Plain(model)
    plain.read(range(3, 9), 2)
    forced = Forced(model, plain)
    generator = torch.Generator().manual_seed(0)
    given, theirs = torch.randn(2, 6, 64, generator=generator)
    given[0] *= 1e4
    theirs[0] *= 20
    ours = theirs.clone()
    ours[0] += 1e4 / 256  # half a step of bfloat16
    tolerance = TOLERANCE[torch.bfloat16][LAYER]
    assert forced._apart(ours, theirs, routed=False, of=None) > 10 * tolerance
    assert forced._apart(ours, theirs, routed=False, of=given) < tolerance
    ours[1] += 0.2  # of a usual token
    assert forced._apart(ours, theirs, routed=False, of=given) > 2 * tolerance


def test_what_is_no_number_is_not_proved() -> None:
    assert not Part(ATTENDED, "alone", 0, float("nan"), 1.0).holds


def test_a_window_that_no_prompt_can_reach_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the context, the token budget, or on a CPU what takes too long: the rest is proved all the same."""
    scorer = scorer_for("mistral", torch.float32)
    windows = {id(m.config): m.config for m in scorer.loaded.model.modules() if hasattr(m, "config")}.values()
    for config in windows:
        config.sliding_window = 100
    found = compare(scorer)
    assert found.wrong is None and not found.unreached and found.longest_tokens == 100 + 16 + 2
    scorer.token_budget = 150
    assert compare(scorer).unreached == (100,)
    scorer.token_budget = 10**6
    monkeypatch.setattr(proof, "LONGEST_ON_CPU_TOKENS", 117)
    assert compare(scorer).unreached == (100,)
    for config in windows:
        config.sliding_window = 239  # of 256 positions
    monkeypatch.undo()
    assert compare(scorer).unreached == (239,)


@pytest.mark.parametrize("seed", [0, 1, 3, 4, 6, 11])
def test_queries_that_experts_make_may_turn_with_a_router_and_no_others(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JetMoE in bfloat16, weights with which a rounding turns a choice before attention."""
    plain = families.random_model(configuration("jetmoe"), seed)
    assert prove(scorer_of(in_bfloat16(plain), STORE_BYTES)).wrong is None
    if not seed:
        model = in_bfloat16(plain)
        projection = model.model.layers[1].self_attention.kv_proj
        own, calls = projection.forward, Plain.read
        reading = [False]

        def read(self: Plain, *given: Any) -> None:
            reading[0] = True
            calls(self, *given)
            reading[0] = False

        monkeypatch.setattr(Plain, "read", read)
        monkeypatch.setattr(projection, "forward", lambda x: own(x) * (1 if reading[0] else 1.1))
        with pytest.raises(ModelError, match="queries, keys and values of layer 1"):
            prove(scorer_of(model, STORE_BYTES))


def test_a_score_that_is_no_number_is_wrong_wherever_it_stands() -> None:
    for led in (True, False):
        for scored in ([-1.0, math.nan, -1.0], [math.nan, -1.0, -1.0], [-1.0, -1.0, -math.inf]):
            told = [[-1.0, -1.0, -1.0]]
            (part,) = proof._parts(False, TOLERANCE[torch.bfloat16], "alone", [], [scored], told, led)
            assert not part.holds
