"""8-bit weights: one scale per output channel, symmetric, −127…127, quantised as the checkpoint streams in.

The integers and scales are those of bitsandbytes' `int8_vectorwise_quant` as it computes them on a CPU. Its CUDA kernel
takes float16 alone and divides approximately, so that the same weight would give other bytes there; the two lines of
arithmetic are therefore here, and a checkpoint quantised on any machine is the one that streaming makes on the GPU.

Integers up to 127 are exact in bfloat16, so the product is a cast, a plain matrix product and a scale on the output:
exact up to the product's own rounding, and the answer for a row does not depend on its neighbours in the batch.

A quantised weight `w` has its integers under `w` and its scales, float32, under `w_scale` (experts) or `scale` beside
`weight` (linears), in memory and in a checkpoint alike; `engine/weights/quantizer.py` has the rest.

Axes: E experts, O output channels, I input channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pinpoint.engine.weights import fixed_rows, int8_activations, triton_fixed
from pinpoint.engine.weights.int8_product import kernels_work, scaled_product
from pinpoint.engine.weights.quantizer import WeightConfig, WeightQuantizer, empty_parameter, format_of, register_format
from pinpoint.planning.activations import Activations

METHOD = "pinpoint_int8"
SCALE = "scale"
LEVELS = 127.0
# Elements that are widened to float32 at a time, two copies of 17 MB.
CHUNK_ELEMENTS = 1 << 22


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Quantise the last axis of a weight.

    Args:
        weight: [..., O, I], any float dtype.

    Returns:
        int8 [..., O, I] and float32 scales [..., O]; their product is the weight to within half a step. A row with a
        value that is not finite has a scale that is not.
    """
    rows = weight.reshape(-1, weight.shape[-1])
    integers = torch.empty(rows.shape, dtype=torch.int8, device=weight.device)
    largest = torch.empty(len(rows), dtype=torch.float32, device=weight.device)
    step = max(1, CHUNK_ELEMENTS // rows.shape[-1])
    for start in range(0, len(rows), step):
        stop = start + step
        chunk = rows[start:stop].to(torch.float32, copy=True)  # written to below
        largest[start:stop] = chunk.abs().amax(dim=1)
        # A row of zeros has no step; neither has a damaged one, which its scale gives away.
        steps = (LEVELS / largest[start:stop]).nan_to_num(nan=0.0, posinf=0.0)
        integers[start:stop] = chunk.nan_to_num_(nan=0.0).mul_(steps.unsqueeze(-1)).round_()
    # By a tensor: CUDA turns a division by a number into a product with its reciprocal, whose last bit may differ.
    return integers.reshape(weight.shape), (largest / largest.new_tensor(LEVELS)).reshape(weight.shape[:-1])


class Int8Linear(nn.Module):
    """A linear layer with an int8 weight [O, I] and float32 scales [O].

    Attributes:
        activations: what its inputs are held in.
        shares_input: whether it is one of several layers that are given the same states.
    """

    weight_format = METHOD
    activations: Activations = "compute"
    shares_input = False

    def __init__(self, inputs: int, outputs: int, bias: Tensor | None) -> None:
        super().__init__()
        self.in_features, self.out_features = inputs, outputs
        self.weight = nn.Parameter(torch.empty(outputs, inputs, dtype=torch.int8, device="meta"), requires_grad=False)
        self.scale = nn.Parameter(torch.empty(outputs, dtype=torch.float32, device="meta"), requires_grad=False)
        self.bias: nn.Parameter | None
        self.register_parameter("bias", None if bias is None else nn.Parameter(bias, requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        """x [..., I] → [..., O], in the dtype of x."""
        out = self._product(x)
        return out if self.bias is None else out + self.bias

    @property
    def states_dtype(self) -> torch.dtype | None:
        """What its states are multiplied in, None where that is their own dtype."""
        return self.weight.dtype if self.activations == "int8" else None

    def _product(self, x: Tensor) -> Tensor:
        if self.activations == "int8":
            return int8_activations.linear(x, self.weight, self.scale, self.shares_input)
        if x.is_cuda and fixed_rows.held() and kernels_work():
            return triton_fixed.scaled_product(x, self.weight, self.scale)
        return scaled_product(x, self.weight, self.scale)


class Int8Config(WeightConfig):
    """See `WeightConfig`."""

    method = METHOD


class Int8Quantizer(WeightQuantizer):
    """8 bits for transformers' loader."""

    method = METHOD
    suffixes = ("", SCALE)

    def make_linear(self, inputs: int, outputs: int, bias: Tensor | None) -> nn.Module:
        """See `WeightQuantizer`."""
        return Int8Linear(inputs, outputs, bias)

    def empty_experts(self, experts: int, outputs: int, inputs: int) -> dict[str, nn.Parameter]:
        """int8 [E, O, I] and float32 scales [E, O]."""
        return {
            "": empty_parameter((experts, outputs, inputs), torch.int8),
            SCALE: empty_parameter((experts, outputs), torch.float32),
        }

    def quantize(self, weight: Tensor) -> dict[str, Tensor]:
        """int8 [O, I] and float32 scales [O]."""
        return dict(zip(self.suffixes, quantize(weight), strict=True))


def register() -> None:
    """Make transformers know the method; does nothing the second time."""
    register_format(Int8Quantizer, Int8Config)


def is_int8_experts(module: nn.Module) -> bool:
    """Whether the module is a fused experts module that holds its weights in 8 bits."""
    return format_of(module) == METHOD and not isinstance(module, Int8Linear)
