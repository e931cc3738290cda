"""What is told of a layer's inputs and of what 8 bits do to its outputs."""

from collections.abc import Callable

import pytest
import torch

from bench.quality_figures import FLAGGED_ERROR
from bench.quality_outliers import layer_figures
from pinpoint.engine.loading.calibration import MOST_ERROR
from pinpoint.engine.weights import fp8, int8


def states() -> torch.Tensor:
    """[40, 64], one channel 30 times the others, one token 50 times the others, and a token of zeros."""
    x = torch.randn(40, 64, generator=torch.Generator().manual_seed(1))
    x[:, 7] *= 30
    x[3, 11] = 50 * x.abs().amax(dim=1).median()
    x[9] = 0
    return x


def test_layers_are_flagged_at_the_bound_of_loading() -> None:
    assert FLAGGED_ERROR == MOST_ERROR


def test_outliers_of_tokens_and_channels_are_told_apart() -> None:
    found = layer_figures(states(), torch.randn(16, 64, generator=torch.Generator().manual_seed(2)))
    assert (found["tokens"], found["massive_tokens"]) == (39, 1), "a token of zeros is one that nobody asked for"
    assert (found["channel"], found["usual_channel"]) == (11, 7)
    assert found["channel_ratio"] > found["usual_ratio"] > 10
    assert found["largest"] == pytest.approx(50 * found["middle"], rel=0.1)


@pytest.mark.parametrize(("name", "quantize"), [("int8", int8.quantize), ("fp8", fp8.quantize)])
def test_errors_are_those_of_the_products_themselves(
    name: str, quantize: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
) -> None:
    x, weight = states(), torch.randn(16, 64, generator=torch.Generator().manual_seed(2))
    found = layer_figures(x, weight)
    x = x[x.abs().amax(dim=1) > 0].double()

    def rounded(values: torch.Tensor) -> torch.Tensor:
        integers, scales = quantize(values.float())
        return integers.double() * scales.double().unsqueeze(-1)

    y = x @ weight.double().t()
    for side, product in (
        ("weights", x @ rounded(weight).t()),
        ("inputs", rounded(x) @ weight.double().t()),
    ):
        errors = (product - y).norm(dim=1) / y.norm(dim=1)
        middle, _, worst, of_all = found[f"{name}_{side}"]
        assert (middle, worst) == (
            pytest.approx(float(errors.quantile(0.5)), rel=0.01),
            pytest.approx(float(errors.max()), rel=0.01),
        )
        assert of_all == pytest.approx(float((product - y).norm() / y.norm()), rel=0.01)
    assert found[f"{name}_both"][3] > 0.9 * max(found[f"{name}_weights"][3], found[f"{name}_inputs"][3])
