"""The memory plan: published figures, the bound that is never exceeded, and that only what fits is recommended."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import pinpoint
from pinpoint.errors import CapacityError, ModelError, PinpointError
from pinpoint.planning.activations import Precision, Stage, stages
from pinpoint.planning.cards import CARDS, GB, GIB, MIB, computes, find_card
from pinpoint.planning.families import PLANNED, REFUSED, markdown_table, why_refused
from pinpoint.planning.gemma4 import OF_LAYERS
from pinpoint.planning.known_models import PUBLISHED, find_shape, known_shapes
from pinpoint.planning.memory_plan import (
    CUDA_CONTEXT_BYTES,
    MAX_ROW_TOKENS,
    PRECISIONS,
    PROMPT_TOKENS,
    QUANTISING_BYTES,
    ROOT_TOKENS,
    ROW_STEP_TOKENS,
    STORE_BYTES,
    MemoryPlan,
    choose_precision,
    plan,
    with_slack,
)
from pinpoint.planning.model_shapes import shape_from_config
from pinpoint.planning.plan_words import reading, terms, verdict
from pinpoint.planning.shape import ModelShape
from pinpoint.planning.weight_bytes import kv_bytes_per_token, weight_bytes_of
from pinpoint.planning.what_fits import alternatives
from pinpoint.settings import Settings

MIXTRAL = find_shape("mistralai/Mixtral-8x7B-Instruct-v0.1")
MISTRAL = find_shape("mistralai/Mistral-7B-Instruct-v0.3")
BUFFER = 3 * GB

MIXTRAL_CONFIG = {
    "model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 32000, "num_local_experts": 8,
    "num_experts_per_tok": 2, "max_position_embeddings": 32768, "sliding_window": None, "head_dim": None,
}  # fmt: skip


def on(card: str, precision: Precision = "int8", shape: ModelShape = MIXTRAL, **more: Any) -> MemoryPlan:
    found = find_card(card)
    return plan(shape, precision, found.total_bytes, BUFFER, driver_bytes=found.driver_bytes, **more)


# As their makers publish them, to the digits that they publish.
@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("Mixtral-8x7B-Instruct-v0.1", 46.70),
        ("Mistral-7B-Instruct-v0.2", 7.24),
        ("Mistral-7B-Instruct-v0.3", 7.25),
        ("Llama-3.1-8B-Instruct", 8.03),
        ("Qwen2.5-7B-Instruct", 7.62),
        ("Qwen2.5-14B-Instruct", 14.77),
        ("Qwen3-4B", 4.02),
        ("Qwen3-8B", 8.19),
        ("Qwen3-14B", 14.77),
        ("Qwen3-32B", 32.76),
        ("Qwen3-30B-A3B", 30.53),
        ("phi-4", 14.66),
    ],
)
def test_published_parameter_counts(model: str, billions: float) -> None:
    assert round(find_shape(model).parameters / 1e9, 2) == billions


@pytest.mark.parametrize(
    ("precision", "gb", "gib"), [("bf16", 93.4, 87.0), ("int8", 47.0, 43.8), ("fp8", 47.0, 43.8), ("nf4", 24.5, 22.8)]
)
def test_mixtral_weights(precision: Precision, gb: float, gib: float) -> None:
    weights = weight_bytes_of(MIXTRAL, precision)
    assert (round(weights / GB, 1), round(weights / GIB, 1)) == (gb, gib)


def test_mixtral_parts() -> None:
    experts = sum(m.tensor_elements * m.count for m in MIXTRAL.matrices if m.stack > 1)
    assert round(experts / 1e9, 2) == 45.10
    assert round((MIXTRAL.matrix_parameters - experts) / 1e9, 2) == 1.34
    assert round(MIXTRAL.kept_parameters / 1e9, 2) == 0.26
    assert kv_bytes_per_token(MIXTRAL) == 128 * 1024


def test_mistral_7b_in_8_bits_is_7_and_a_half_gb() -> None:
    assert round(weight_bytes_of(MISTRAL, "int8") / GB, 1) == 7.5


# The table of the project's facts: Mixtral does not fit 24 GB at any of the three precisions, 8 bits need 80 GB.
@pytest.mark.parametrize(
    ("precision", "fitting", "failing"),
    [
        ("bf16", ["H200", "B200"], ["RTX 4090", "A100 80GB", "H100 80GB SXM"]),
        ("int8", ["A100 80GB", "H100 80GB PCIe", "H200"], ["RTX 4090", "L40S", "A40", "RTX A6000", "RTX 6000 Ada"]),
        ("nf4", ["RTX 5090", "L40S"], ["RTX 4090", "RTX 3090", "RTX A5000", "L4", "RTX A4000"]),
    ],
)
def test_where_mixtral_fits(precision: Precision, fitting: list[str], failing: list[str]) -> None:
    assert [card for card in fitting + failing if on(card, precision).fits] == fitting


@pytest.mark.parametrize("knobs", [(3, 21), (2, 22)])
def test_the_two_knobs_of_a_24_gb_card_give_the_same_bound(knobs: tuple[int, int]) -> None:
    buffer_gb, max_gb = knobs
    card = find_card("24GB")
    made = plan(MISTRAL, "int8", card.total_bytes, buffer_gb * GB, max_gb * GB, driver_bytes=card.driver_bytes)
    assert made.bound_bytes == max_gb * GB
    assert made.fits
    assert made.planned_bytes <= max_gb * GB
    assert not made.held_by_max
    # Either knob alone binds.
    assert plan(MISTRAL, "int8", 24 * GB, 10 * GB, 21 * GB).bound_bytes == 14 * GB
    assert plan(MISTRAL, "int8", 24 * GB, 3 * GB, 9 * GB).bound_bytes == 9 * GB


def test_the_operators_bound_is_the_workers_and_not_the_drivers() -> None:
    made = on("RTX 4090", shape=MISTRAL, max_bytes=16 * GB)
    assert made.held_by_max
    assert made.bound_bytes == 16 * GB + find_card("RTX 4090").driver_bytes
    # So the same bound gives the same budget on a card whose driver keeps more.
    assert made.token_budget == on("A100 80GB", shape=MISTRAL, max_bytes=16 * GB).token_budget


def test_terms_add_up_to_what_is_planned() -> None:
    made = on("A100 80GB")
    *serving, loading = terms(made)
    assert abs(sum(term.bytes for term in serving) - made.planned_bytes) <= 1
    assert loading.bytes == made.loading_bytes == 2 * 8 * 2 * 14336 * 4096 + QUANTISING_BYTES
    by_name = {term.name: term.bytes for term in serving}
    assert by_name["weights"] == weight_bytes_of(MIXTRAL, "int8")
    assert by_name["prefix store"] == made.store_bytes == 256_000_000
    assert by_name["kept by a pass"] == made.token_budget * 128 * 1024
    widest = max(made.stages, key=lambda stage: stage.peak_bytes(made.token_budget))
    assert by_name["scratch"] == widest.fixed_bytes
    products = next(stage for stage in made.stages if stage.name == "experts, products")
    assert products.fixed_bytes == 2 * 2 * 14336 * 4096
    assert all(term.how for term in terms(made))


def test_recorded_passes_are_counted_where_states_have_8_bits() -> None:
    made = on("A100 80GB", activations="int8")
    (experts,) = (stage for stage in made.stages if stage.name == "experts, in 8 bits")
    buffers = 2 * (2 * 4096 + 2 * 1024 + 4096) * 2048
    assert made.recorded_bytes == buffers + experts.peak_bytes(2048)
    assert made.needed_bytes(8192) - replace(made, recorded_bytes=0).needed_bytes(8192) == made.recorded_bytes
    assert abs(sum(term.bytes for term in terms(made)[:-1]) - made.planned_bytes) <= 1
    assert on("H100 80GB", "fp8").recorded_bytes == made.recorded_bytes
    assert [on("H200", precision).recorded_bytes for precision in ("bf16", "int8", "nf4")] == [0, 0, 0]
    dense = on("A100 80GB", "bf16", MISTRAL)
    (feed_forward,) = (stage for stage in dense.stages if stage.name == "feed-forward")
    assert dense.recorded_bytes == buffers + feed_forward.peak_bytes(2048)


def test_what_makes_passes_faster_costs_nobody_a_card() -> None:
    plans = [
        plan(MIXTRAL, "int8", hundredth * GB // 100, 3 * GB, activations="int8") for hundredth in range(5200, 5600)
    ]
    fitting = [made for made in plans if made.fits]
    assert not fitting[0].recorded_bytes and fitting[-1].recorded_bytes
    bare = [replace(made, recorded_bytes=0).fits for made in plans]
    assert [made.fits for made in plans] == bare
    # Once there is room for them there always is.
    assert [bool(made.recorded_bytes) for made in fitting] == sorted(bool(made.recorded_bytes) for made in fitting)


@pytest.mark.parametrize("shape", [MIXTRAL, MISTRAL])
def test_what_is_kept_for_reasons_is_left_over_by_all_else(shape: ModelShape) -> None:
    kept = set[int]()
    for card_gb in range(12, 150):
        made = plan(shape, "int8", card_gb * GB, 3 * GB)
        for tokens in (2048, min(8192, made.token_budget)) if made.fits else ():
            read = made.read_tokens(tokens)
            needed = made.needed_bytes(tokens, read if read > tokens else 0)
            assert needed + made.kept_reason_bytes(tokens) <= max(needed, made.bound_bytes)
            kept.add(made.kept_reason_places(tokens))
    assert 0 in kept and len(kept) > 3


def test_a_pass_is_planned_with_the_allocators_slack() -> None:
    made = on("A100 80GB")
    resident = made.driver_bytes + CUDA_CONTEXT_BYTES + made.weight_bytes
    working = made.needed_bytes(8192) - resident - made.store_bytes - made.recorded_bytes
    assert working == -(-made.pass_bytes(8192) * 120 // 100)
    assert with_slack(1000) == 1200


@pytest.mark.parametrize("concurrency", [1, 4, 16, 64])
def test_the_prefix_store_takes_what_the_operator_lets_it(concurrency: int) -> None:
    made = on("A100 80GB", concurrency=concurrency)
    assert (made.fits, made.store_bytes, made.token_budget) == (True, 256_000_000, MAX_ROW_TOKENS)
    assert on("A100 80GB", concurrency=concurrency, store_bytes=0).store_bytes == 0
    # No more than the labels of the jobs in flight, however much it may.
    labels = concurrency * ROOT_TOKENS * kv_bytes_per_token(MIXTRAL)
    assert on("A100 80GB", concurrency=concurrency, store_bytes=10**15).store_bytes == labels


def test_the_store_of_the_plan_is_the_one_of_the_settings() -> None:
    assert Settings().prefix_store_bytes == STORE_BYTES


def test_what_others_hold_is_no_part_of_the_bound() -> None:
    alone, beside = on("A100 80GB"), on("A100 80GB", others_bytes=20 * GB)
    assert alone.bound_bytes - beside.bound_bytes == 20 * GB
    assert beside.fitting_tokens < alone.fitting_tokens
    # The operator's own bound is of this worker alone.
    assert on("A100 80GB", max_bytes=55 * GB, others_bytes=20 * GB).held_by_max


def test_loading_alone_can_be_what_does_not_fit() -> None:
    roomy = on("A100 80GB", concurrency=1)
    needs = roomy.needed_bytes(1)
    assert needs == roomy.needed_bytes(0)
    # A bound at which a row of one token has room, but not a 16-bit copy of the largest tensor.
    bound = needs - 1
    tight = plan(MIXTRAL, "int8", bound, 0, concurrency=1, driver_bytes=roomy.driver_bytes, prompt_tokens=1)
    assert tight.fitting_tokens >= 1
    assert not tight.fits
    assert tight.missing_bytes == 1


def test_a_row_is_no_longer_than_is_useful_and_a_multiple_of_256() -> None:
    roomy = on("H200")
    assert (roomy.token_budget, roomy.fitting_tokens > MAX_ROW_TOKENS) == (MAX_ROW_TOKENS, True)
    tight = on("RTX 5090", "nf4")
    assert PROMPT_TOKENS <= tight.token_budget < MAX_ROW_TOKENS
    assert tight.token_budget % 256 == 0


def test_verdicts_give_the_numbers() -> None:
    no = on("RTX 4090")
    assert verdict(no, "RTX 4090").startswith(
        "does not fit: 47.0 GB of weights in int8 against 22.8 GB (RTX 4090: 25.8 GB"
    )
    assert f"{no.missing_bytes / GB:.1f} GB too many" in verdict(no)
    yes = on("A100 80GB")
    assert verdict(yes).endswith(f"token budget 32,768 (memory allows {yes.fitting_tokens:,})")
    assert 90_000 < yes.fitting_tokens < 105_000
    held = plan(MISTRAL, "int8", 24 * GB, 3 * GB, 10 * GB)
    assert "against 10.0 GB (PINPOINT_MAX_MEMORY_GB)" in verdict(held)


@given(st.integers(8, 80), st.sampled_from([MIXTRAL, MISTRAL]), st.integers(256, 40_000))
def test_what_is_read_is_what_fits_beside_a_pass(card_gb: int, shape: ModelShape, pass_tokens: int) -> None:
    made = plan(shape, "int8", card_gb * GB, BUFFER)
    read, tokens = made.read_tokens(pass_tokens), min(pass_tokens, made.token_budget)
    if not made.fits:
        assert read == 0
        return
    assert min(tokens, shape.context_tokens) <= read <= shape.context_tokens
    assert read == min(tokens, shape.context_tokens) or made.needed_bytes(tokens, read) <= made.bound_bytes
    # No step more would fit.
    more = read + ROW_STEP_TOKENS
    assert more > shape.context_tokens or read <= tokens or made.needed_bytes(tokens, more) > made.bound_bytes
    held = 5_000
    assert made.needed_bytes(tokens, held) > made.needed_bytes(tokens) + held * made.kept_token_bytes
    assert f"{read:,} tokens" in reading(made, pass_tokens)
    assert ("in chunks" in reading(made, pass_tokens)) == (read > tokens)


@pytest.mark.parametrize(
    ("card", "precision"), [("RTX 4090", "nf4"), ("L40S", "nf4"), ("A100 80GB", "int8"), ("H200", "bf16")]
)
def test_auto_takes_the_highest_precision_that_fits(card: str, precision: Precision) -> None:
    found = find_card(card)
    made = choose_precision(MIXTRAL, found.total_bytes, BUFFER, driver_bytes=found.driver_bytes)
    assert made.precision == precision
    assert made.fits == (card != "RTX 4090")


def test_precisions_are_tried_from_the_largest_down() -> None:
    sizes = [weight_bytes_of(MIXTRAL, precision) for precision in PRECISIONS]
    assert sizes == sorted(sizes, reverse=True)


sizes_bytes = st.integers(0, 300 * GB)
models = st.sampled_from(list(known_shapes().values()))
precisions = st.sampled_from(PRECISIONS)
concurrencies = st.integers(1, 64)


@given(models, precisions, sizes_bytes, sizes_bytes, st.none() | sizes_bytes, concurrencies)
def test_never_above_the_bound_and_never_less_than_a_prompt(
    shape: ModelShape, precision: Precision, card: int, buffer: int, most: int | None, concurrency: int
) -> None:
    made = plan(shape, precision, card, buffer, most, concurrency)
    assert made.bound_bytes <= card - buffer
    assert most is None or made.bound_bytes <= most
    assert made.fits == (made.missing_bytes == 0) == (made.token_budget > 0)
    if made.fits:
        assert PROMPT_TOKENS <= made.token_budget <= min(made.fitting_tokens, MAX_ROW_TOKENS)
        assert made.planned_bytes <= made.bound_bytes
        assert made.needed_bytes(made.fitting_tokens) <= made.bound_bytes < made.needed_bytes(made.fitting_tokens + 1)
    else:
        # What is said to be missing is enough, and one byte less is not.
        enough = made.bound_bytes + made.missing_bytes
        assert plan(shape, precision, enough, 0, None, concurrency).fits
        assert not plan(shape, precision, enough - 1, 0, None, concurrency).fits


@given(models, precisions, sizes_bytes, sizes_bytes, concurrencies, st.integers(0, 100 * GB), st.integers(0, 8))
def test_more_card_less_buffer_or_fewer_jobs_never_give_less(
    shape: ModelShape, precision: Precision, card: int, buffer: int, concurrency: int, extra: int, jobs: int
) -> None:
    made = plan(shape, precision, card, buffer, None, concurrency)
    better = [
        plan(shape, precision, card + extra, buffer, None, concurrency),
        plan(shape, precision, card, max(0, buffer - extra), None, concurrency),
        plan(shape, precision, card, buffer, None, max(1, concurrency - jobs)),
    ]
    for other in better:
        assert other.token_budget >= made.token_budget
        assert other.missing_bytes <= made.missing_bytes


@given(models, precisions, st.sampled_from(CARDS), st.integers(0, 20), st.none() | st.integers(1, 100), concurrencies)
def test_alternatives_fit_and_differ(
    shape: ModelShape, precision: Precision, card: Any, buffer_gb: int, most_gb: int | None, concurrency: int
) -> None:
    most = None if most_gb is None else most_gb * GB
    asked = plan(shape, precision, card.total_bytes, buffer_gb * GB, most, concurrency, driver_bytes=card.driver_bytes)
    for one in alternatives(asked):
        assert one.plan.fits
        assert one.plan.planned_bytes <= one.plan.bound_bytes
        assert (one.plan.buffer_bytes, one.plan.max_bytes, one.plan.concurrency) == (buffer_gb * GB, most, concurrency)
        if one.kind == "card":
            assert (one.plan.shape, one.plan.precision) == (shape, precision)
            assert one.plan.card_bytes == find_card(one.name).total_bytes
        else:
            assert one.plan.card_bytes == card.total_bytes
            assert one.plan.precision != precision or one.plan.shape.parameters < shape.parameters


def test_only_cards_that_multiply_fp8_are_named_for_it() -> None:
    without = {card.name for card in CARDS if not computes(card, "fp8")}
    assert without == {
        "RTX A4000", "RTX A5000", "RTX 3090", "A40", "RTX A6000", "A100 80GB PCIe", "A100 80GB SXM",
    }  # fmt: skip
    assert all(computes(card, "int8") for card in CARDS) and computes(find_card("48GB"), "fp8")
    names = {one.name for one in alternatives(on("RTX 4090", "fp8")) if one.kind == "card"}
    assert "H100 80GB SXM" in names and not names & without
    assert {one.name for one in alternatives(on("RTX 4090")) if one.kind == "card"} & without


def test_alternatives_to_mixtral_on_24_gb() -> None:
    found = alternatives(on("RTX 4090"))
    assert {one.kind for one in found} == {"model", "card"}  # no precision of Mixtral fits
    names = [one.name for one in found]
    assert "mistralai/Mistral-7B-Instruct-v0.3" in names
    assert "A100 80GB PCIe" in names
    assert "RTX A6000" not in names
    assert "pinpoint-embedded" not in names


def test_a_pass_is_as_wide_as_its_widest_stage() -> None:
    made = on("A100 80GB")
    widest = max(stage.fixed_bytes + 1000 * stage.token_bytes for stage in made.stages)
    assert made.pass_bytes(1000) == widest + 1000 * kv_bytes_per_token(MIXTRAL)
    attention = ["attention", "projections"]
    assert [stage.name for stage in stages(MISTRAL, "int8")] == [
        *attention, "feed-forward", "feed-forward, products", "logits"
    ]  # fmt: skip
    assert [stage.name for stage in stages(MIXTRAL, "int8")] == [
        *attention, "experts", "experts, products", "experts, grouped", "logits"
    ]  # fmt: skip
    # Weights in 16 bits are not copied, and a copy goes with its product. In 16 bits all pairs of a token and an expert
    # are computed at once, and hold gate, up, the opened gate and the gated; else one expert is, with no opened gate.
    assert [stage.name for stage in stages(MIXTRAL, "bf16")] == [*attention, "experts", "logits"]
    experts, products = ({precision: stages(MIXTRAL, precision)[at] for precision in ("int8", "nf4")} for at in (2, 3))
    at_once = stages(MIXTRAL, "bf16")[2]
    assert {stage.fixed_bytes for stage in (at_once, *experts.values())} == {0}
    assert products["nf4"].fixed_bytes == products["int8"].fixed_bytes == 2 * 28672 * 4096
    assert experts["int8"].token_bytes == experts["nf4"].token_bytes
    assert at_once.token_bytes - experts["int8"].token_bytes == (2 * 4 - 3) * 2 * 14336 - 2 * (2 * 4096 - 8)
    assert Stage("x", 5, 7).peak_bytes(3) == 26


def test_in_fp8_experts_are_held_as_with_8_bit_activations_and_no_weight_is_copied() -> None:
    found = stages(MIXTRAL, "fp8")
    assert [stage.name for stage in found] == ["attention", "projections", "experts, in 8 bits", "logits"]
    assert found[2] in stages(MIXTRAL, "int8", activations="int8")
    assert all(stage.fixed_bytes == 0 for stage in found[:3])


def test_kept_prefixes_are_held_beside_a_pass() -> None:
    alone, beside = stages(MIXTRAL, "int8")[0], stages(MIXTRAL, "int8", kept_tokens=1000)[0]
    # Keys and values of 8 heads of 128 in 16 bits: joined to the row's, in the kernel's order, gathered.
    assert beside.fixed_bytes - alone.fixed_bytes == 1000 * 3 * 2 * 2 * 8 * 128


# Configurations


def test_a_config_is_read_as_the_known_model_is() -> None:
    shape = shape_from_config(MIXTRAL_CONFIG, "mine")
    assert {**dict_of(shape), "name": ""} == {**dict_of(MIXTRAL), "name": ""}


def dict_of(shape: ModelShape) -> dict[str, Any]:
    return {name: getattr(shape, name) for name in shape.__dataclass_fields__}


def test_a_window_is_read_and_the_context_is_all_positions() -> None:
    windowed = shape_from_config({**MIXTRAL_CONFIG, "sliding_window": 4096}, "mine")
    assert (windowed.positions, windowed.context_tokens, windowed.sliding_window) == (32768, 32768, 4096)
    qwen = {**MIXTRAL_CONFIG, "model_type": "qwen2", "sliding_window": 4096}
    assert shape_from_config(qwen, "mine").sliding_window is None
    assert shape_from_config({**qwen, "use_sliding_window": False}, "mine").sliding_window is None
    assert shape_from_config({**qwen, "use_sliding_window": True}, "mine").sliding_window == 4096


@pytest.mark.parametrize("field", ["hidden_size", "num_local_experts", "num_experts_per_tok", "num_key_value_heads"])
@pytest.mark.parametrize("value", [None, 0, -1, "4096", True, 2.5])
def test_a_config_without_a_number_names_the_field(field: str, value: object) -> None:
    with pytest.raises(ModelError) as raised:
        shape_from_config({**MIXTRAL_CONFIG, field: value}, "mine")
    assert raised.value.code == "config_incomplete"
    assert field in raised.value.message


@pytest.mark.parametrize("value", ["x", ["full_attention"], {"0": "x"}, 1.5])
@pytest.mark.parametrize("field", OF_LAYERS)
def test_gemma_4_by_a_config_that_makes_no_layers_is_planned_or_refused(field: str, value: object) -> None:
    config = PUBLISHED["google/gemma-4-31B-it"]
    try:
        made = shape_from_config({**config, "text_config": {**config["text_config"], field: value}}, "mine")
    except ModelError as error:
        assert error.code == "config_incomplete"
        assert field in error.message
    else:
        assert made.layers > 0


def test_a_tower_whose_patches_have_no_size_is_left_to_the_load() -> None:
    config = PUBLISHED["google/gemma-3-4b-it"]
    with pytest.raises(ModelError) as raised:
        shape_from_config({**config, "vision_config": {**config["vision_config"], "patch_size": 0}}, "mine")
    assert raised.value.code == "not_planned"


def test_a_family_that_is_not_planned_names_those_that_are_and_what_is_missing() -> None:
    with pytest.raises(ModelError) as raised:
        shape_from_config({"model_type": "gpt2", "n_embd": 768, "vocab_size": 50257}, "gpt2")
    assert raised.value.code == "not_planned"
    for word in ("'gpt2'", *PLANNED, "hidden_size", "num_hidden_layers"):
        assert word in raised.value.message
    assert "vocab_size" not in raised.value.message
    with pytest.raises(ModelError, match="None is measured"):
        shape_from_config({}, "empty")


@pytest.mark.parametrize("model_type", sorted(REFUSED))
def test_a_family_that_cannot_be_scored_is_refused_in_words(model_type: str) -> None:
    with pytest.raises(ModelError, match=f"x/y \\({REFUSED[model_type].name.split('(')[0].strip()}") as raised:
        shape_from_config({**MIXTRAL_CONFIG, "model_type": model_type}, "x/y")
    assert raised.value.code == "unsupported_family"
    assert raised.value.message.endswith("; use another model")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "new", "layer_types": ["full_attention", "linear_attention"]}, "state from token to token"),
        ({"model_type": "new", "layer_types": ["mamba"]}, "are mamba: its layers carry"),
        ({"model_type": "new", "layer_types": ["full_attention", "indexed_attention"]}, "chooses by itself"),
        ({"model_type": "new", "is_encoder_decoder": True}, "an encoder beside its decoder"),
        ({"model_type": "new", "text_config": {"model_type": "qwen3_5_text", "hidden_size": 8}}, "state from token"),
        ({"model_type": "new", "text_config": {"hidden_size": 8, "layer_types": ["conv"]}}, "are conv"),
    ],
)
def test_what_speaks_against_a_model_is_read_off_any_configuration(config: dict[str, Any], said: str) -> None:
    assert said in str(why_refused(config))


@pytest.mark.parametrize(
    "config",
    [{}, {"model_type": "new"}, {"model_type": 7}, {"layer_types": None}, {"layer_types": "x"}, {"text_config": []},
     {"model_type": "llama4_text", "layer_types": ["chunked_attention", "full_attention"]},
     {"model_type": "new", "layer_types": ["full_attention", "sliding_attention"]}],
)  # fmt: skip
def test_nothing_speaks_against_what_is_not_known(config: dict[str, Any]) -> None:
    assert why_refused(config) is None


def test_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**MIXTRAL_CONFIG, "num_hidden_layers": 1}), encoding="utf-8")
    for path in (tmp_path, tmp_path / "config.json"):
        assert find_shape(str(path)).layers == 1


@pytest.mark.parametrize("text", ["{", "[]", "\x00", '"x"'])
def test_a_broken_config_is_an_error_of_ours(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError) as raised:
        find_shape(str(tmp_path))
    assert raised.value.code == "model_unreadable"


@pytest.mark.parametrize("model", ["", "no/such-model", "x" * 5000, "a\x00b", "/dev/null"])
def test_an_unknown_model_says_what_is_known(model: str) -> None:
    with pytest.raises(ModelError) as raised:
        find_shape(model)
    assert raised.value.code == "unknown_model"
    assert "Mixtral-8x7B-Instruct-v0.1" in raised.value.message
    assert "config.json" in raised.value.message


def test_a_nearly_known_model_is_suggested() -> None:
    with pytest.raises(ModelError, match="did you mean mistralai/Mistral-7B-Instruct"):
        find_shape("mistralai/Mistral-7B-Instruct-v0.4")


odd_values = (
    st.none() | st.integers(-1, 99) | st.sampled_from(["", "8", 2.5, True]) | st.lists(st.integers(0, 3), max_size=2)
)
odd_fields = st.sampled_from([*MIXTRAL_CONFIG, "mlp_only_layers", "decoder_sparse_step", "num_experts", "qkv_bias"])


@given(st.dictionaries(odd_fields, odd_values), st.sampled_from(PLANNED))
@example({"hidden_size": 1, "head_dim": None}, "llama")
def test_any_config_is_read_or_refused(changes: dict[str, Any], family: str) -> None:
    try:
        shape = shape_from_config({**MIXTRAL_CONFIG, **changes, "model_type": family}, "any")
    except PinpointError:
        return
    assert shape.parameters > 0
    assert plan(shape, "int8", 80 * GB, BUFFER).weight_bytes > 0


# Cards


def test_cards_are_what_drivers_report() -> None:
    for card in CARDS:
        assert 0 < card.driver_bytes < 0.03 * card.total_bytes, card.name
        assert card.pool
    assert find_card("RTX 4090").total_bytes == 24564 * MIB


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("RTX 4090", "RTX 4090"),
        ("rtx4090", None),
        ("4090", "RTX 4090"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("A100 80GB", "A100 80GB PCIe"),
        ("a100-sxm", "A100 80GB SXM"),
        ("L40", "L40"),
        ("l40s", "L40S"),
        ("H200", "H200 141GB"),
        ("AMPERE_80", "A100 80GB PCIe"),
        ("ada_24", "L4"),  # the smaller of the two that the pool may lend
        ("H100", None),  # 80 GB or 94
        ("RTX 6000", None),
        ("", None),
        ("48", None),
        ("3080", None),
        ("-5GB", None),
    ],
)
def test_finding_a_card(words: str, name: str | None) -> None:
    if name is not None:
        assert find_card(words).name == name
        return
    with pytest.raises(CapacityError) as raised:
        find_card(words)
    assert raised.value.code == "unknown_card"


def test_an_unknown_card_names_the_nearest() -> None:
    with pytest.raises(CapacityError, match="did you mean RTX 4090"):
        find_card("RTX4090")
    with pytest.raises(CapacityError, match="may be H100 80GB PCIe, H100 80GB SXM or H100 NVL"):
        find_card("H100")
    with pytest.raises(CapacityError, match='such as "48GB"'):
        find_card("abacus")


def test_a_size_is_a_card() -> None:
    assert find_card("48GB").total_bytes == 48 * GB
    assert find_card(" 44.5 gib ").total_bytes == round(44.5 * GIB)
    assert 0 < find_card("48GB").driver_bytes < 2 * GB


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, pinpoint.planning.what_fits; sys.exit(bool({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    env = {"PYTHONPATH": str(Path(pinpoint.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0


def test_the_page_of_models_is_the_list() -> None:
    page = Path(__file__).parents[3] / "docs" / "models.md"
    assert page.read_text(encoding="utf-8").endswith(f"\n\n{markdown_table()}\n")


@pytest.mark.parametrize("tokens", [2048, 8192, 32768])
def test_8_bit_activations_take_a_thousandth_more_of_mixtral_at_most_than_16_bit_ones(tokens: int) -> None:
    shape = find_shape("mistralai/Mixtral-8x7B-Instruct-v0.1")
    now = stages(shape, "int8")
    eight = {stage.name: stage for stage in stages(shape, "int8", activations="int8") if stage not in now}
    assert list(eight) == ["attention", "projections", "experts, in 8 bits"]
    most = max(stage.peak_bytes(tokens) for stage in now)
    assert all(stage.peak_bytes(tokens) <= 1.001 * most for stage in eight.values())
    # Two choices of gated states in 16 bits alone are 57 KB.
    assert eight["experts, in 8 bits"].token_bytes > 2 * 2 * shape.expert_width
    # What queries, keys and values share is 4,096 numbers and a scale.
    (attention,) = (stage for stage in now if stage.name == "attention")
    assert eight["attention"].token_bytes - attention.token_bytes == 4096 + 4


def test_the_plan_of_8_bit_activations_has_their_stage() -> None:
    shape = find_shape("mistralai/Mixtral-8x7B-Instruct-v0.1")
    made = plan(shape, "int8", 80 * GB, 3 * GB, activations="int8")
    assert "experts, in 8 bits" in [stage.name for stage in made.stages]
    assert "experts, in 8 bits" not in [stage.name for stage in plan(shape, "int8", 80 * GB, 3 * GB).stages]
    assert all(one.plan.activations == "int8" for one in alternatives(made))
