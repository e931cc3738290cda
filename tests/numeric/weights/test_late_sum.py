"""Sums that wait for a norm: a model computes the same, and whatever is asked of one gives what it would of the sum.

No card is here: the kernels are stood in for by what a CPU computes. tests/gpu/test_shared_rows.py has the card's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import MixtralConfig, PreTrainedModel

from pinpoint.engine.forward import last_layer
from pinpoint.engine.weights import late_sum, triton_norm
from pinpoint.engine.weights.late_sum import Mix, States, Sum
from tests.numeric.weights.test_shared_rows import LAYERS, SIZES, hidden, quantised


def combine(mixed: Tensor, places: Tensor, weights: Tensor, out: Tensor | None = None) -> Tensor:
    made = (mixed[places].float() * weights[..., None]).sum(1).to(mixed.dtype)
    return made if out is None else out.copy_(made)


@pytest.fixture(autouse=True)
def on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_sum, "LATE", True)
    monkeypatch.setattr(late_sum, "LATE_MIX", True)
    monkeypatch.setattr(late_sum, "_takes", lambda x: not torch.is_grad_enabled())
    monkeypatch.setattr(late_sum, "combine", combine)


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    """Its experts give what they would as a weighted sum of twice as many."""
    made = quantised(MixtralConfig(**SIZES, num_local_experts=4, pad_token_id=0))
    for layer in made.model.layers:
        layer.mlp.experts.forward = _as_pairs(layer.mlp.experts.forward)
    return made


def _as_pairs(own: Any) -> Any:
    def experts(states: Tensor, index: Tensor, weights: Tensor) -> Tensor:
        out = own(states, index, weights)
        places = torch.arange(2 * len(out)).view(2, -1).T
        return late_sum.mix(torch.cat([out, out * 2]), places, torch.tensor([[0.5, 0.25]]).expand(len(out), 2))

    return experts


class Noted:
    """What norms were given."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def norm_of_sum(self, states: States, weight: Tensor, epsilon: float, dtype: torch.dtype | None) -> Tensor | None:
        second = states.parts.second if isinstance(states.parts, Sum) else None
        self.kinds.append(type(second).__name__)
        return None if second is None else F.rms_norm(states.settled(), weight.shape, weight, epsilon)


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    made = Noted()
    monkeypatch.setattr(triton_norm, "norm_of_sum", made.norm_of_sum)
    return made


def test_every_sum_of_a_layer_waits_for_its_norm(
    model: PreTrainedModel, noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = hidden(model)
    assert type(found) is Tensor
    assert noted.kinds == ["NoneType", "Tensor", *["Mix", "Tensor"] * (LAYERS - 1), "Mix"]
    monkeypatch.setattr(late_sum, "LATE_MIX", False)
    noted.kinds.clear()
    assert torch.equal(hidden(model), found)
    assert noted.kinds == ["NoneType", *["Tensor"] * (2 * LAYERS)]
    monkeypatch.setattr(late_sum, "LATE", False)
    noted.kinds.clear()
    assert torch.equal(hidden(model), found)
    assert noted.kinds == []


def test_norms_without_a_kernel_are_given_the_sum(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """`norm_of_sum` itself, which finds no card here."""
    found = hidden(model)
    monkeypatch.setattr(late_sum, "LATE", False)
    assert torch.equal(hidden(model), found)


def test_the_last_layers_rows_are_the_same(
    model: PreTrainedModel, noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = torch.tensor([2, 7])

    def of_wanted() -> Tensor:
        with last_layer.only_rows(model, wanted):
            return hidden(model)[:, wanted]

    found = of_wanted()
    assert noted.kinds.count("Mix") == LAYERS - 1  # rows are put back among zeros, and then added
    monkeypatch.setattr(late_sum, "LATE", False)
    assert torch.equal(of_wanted(), found)


def waiting() -> tuple[States, Tensor]:
    """States that wait for a sum, and that sum."""
    one, other = torch.randn(2, 1, 5, 8).bfloat16()
    made = States.of(one) + other
    assert isinstance(made, States) and isinstance(made.parts, Sum)
    made.plain.fill_(float("nan"))  # whatever stood there
    return made, one + other


@torch.inference_mode()
def test_whatever_is_asked_of_a_sum_is_of_the_sum() -> None:
    out = torch.zeros(1, 5, 8).bfloat16()
    asked: tuple[Callable[[Any], Any], ...] = (
        lambda x: x + 1, lambda x: 2 * x, lambda x: x.float(), lambda x: x[:, 1:3], lambda x: torch.cat([x, x]),
        lambda x: F.silu(x), lambda x: x.view(5, 8), lambda x: x.reshape(-1), lambda x: x.mean(-1), lambda x: x.clone(),
        lambda x: torch.stack([part for part in x[0]]), lambda x: x.index_select(1, torch.tensor([1, 4])),
        lambda x: out.clone().copy_(x), lambda x: torch.where(x > 0, x, 0), lambda x: x + x, lambda x: torch.add(x, 1),
        lambda x: x.add_(1), lambda x: torch.tensor(x.tolist()), lambda x: F.linear(x, torch.eye(8).bfloat16()),
        lambda x: torch.add(input=x, other=x), lambda x: x.numpy(force=True) if x.dtype == torch.float32 else x.sum(),
    )  # fmt: skip
    for number, ask in enumerate(asked):
        states, plain = waiting()
        found, wanted = ask(states), ask(plain.clone())
        found = found.settled() if isinstance(found, States) else found
        assert torch.equal(found, wanted), number
        assert states.data_ptr() == states.plain.data_ptr()


@torch.inference_mode()
def test_its_form_is_told_without_summing() -> None:
    states, plain = waiting()
    assert (states.shape, states.dtype, states.ndim, states.numel()) == (plain.shape, plain.dtype, 3, 40)
    assert states.size(-1) == 8 and states.is_contiguous() and not states.is_cuda and states.device == plain.device
    assert states.parts is not None
    assert torch.equal(states.settled(), plain)
    assert states.parts is None  # what was summed is let go


@torch.inference_mode()
def test_what_is_not_of_one_form_is_summed_as_torch_has_it() -> None:
    one = torch.randn(1, 5, 8)
    for other in (torch.randn(8), torch.randn(1, 5, 8).bfloat16(), torch.randn(1, 8, 5).transpose(1, 2), 3.0):
        found = States.of(one) + other
        assert type(found) is Tensor
        assert torch.equal(found, one + other)


@torch.inference_mode()
def test_experts_outputs_are_summed_where_anything_else_asks() -> None:
    mixed, places, weights = torch.randn(10, 8), torch.arange(10).view(5, 2), torch.rand(5, 2)
    wanted = combine(mixed, places, weights)
    asked: tuple[Callable[[Any], Any], ...] = (
        lambda x: x * 2, lambda x: x.view(1, 5, 8) * 2, lambda x: x.view(4, 10).view(5, 8) * 2,
    )  # fmt: skip
    for ask in asked:
        found = late_sum.mix(mixed, places, weights)
        assert isinstance(found, States) and isinstance(found.parts, Mix)
        assert torch.equal(ask(found).view(5, 8), wanted * 2)
    residual = torch.randn(1, 5, 8)
    for states in (
        States.of(residual) + late_sum.mix(mixed, places, weights).view(1, 5, 8),
        late_sum.mix(mixed, places, weights).view(1, 5, 8) + States.of(residual),
    ):
        assert isinstance(states, States) and isinstance(states.parts, Sum) and isinstance(states.parts.second, Mix)
        assert torch.equal(states.settled(), residual + wanted)
