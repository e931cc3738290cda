"""8-bit weights: one scale per output channel, symmetric, −127…127, quantised with bitsandbytes as the checkpoint
streams in.

bitsandbytes replaces only `nn.Linear`, and since transformers 5 Mixtral's experts are two fused 3-D parameters, so its
own recipe leaves 97 % of the model in 16 bits (bitsandbytes issue 1849). This module plugs a quantizer into
transformers that takes both. Integers up to 127 are exact in bfloat16, so the product is a cast, a plain matrix
product and a scale on the output: exact up to the product's own rounding, and the answer for a row does not depend on
its neighbours in the batch.

A quantised weight `w` has its integers under `w` and its scales, float32, under `w_scale` (experts) or `scale` beside
`weight` (linears), in memory and in a checkpoint alike.

Axes: E experts, O output channels, I input channels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from bitsandbytes.functional import int8_vectorwise_quant
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.core_model_loading import ConversionOps
from transformers.quantizers.auto import (
    AUTO_QUANTIZATION_CONFIG_MAPPING,
    AUTO_QUANTIZER_MAPPING,
    register_quantization_config,
    register_quantizer,
)
from transformers.quantizers.base import HfQuantizer
from transformers.quantizers.quantizers_utils import get_module_from_name
from transformers.utils.quantization_config import QuantizationConfigMixin

from pinpoint.errors import ModelError

METHOD = "pinpoint_int8"
EXPERT_WEIGHTS = ("gate_up_proj", "down_proj")
_LEVELS = 127.0


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Quantise the last axis of a weight.

    Args:
        weight: [..., O, I], any float dtype.

    Returns:
        int8 [..., O, I] and float32 scales [..., O]; their product is the weight to within half a step.
    """
    rows = weight.reshape(-1, weight.shape[-1]).contiguous()
    # bitsandbytes takes float16 and, on a CPU, computes in the dtype given; float32 there keeps the rounding exact.
    rows = rows.to(torch.float16 if rows.is_cuda else torch.float32)
    integers, largest, _ = int8_vectorwise_quant(rows)
    return integers.reshape(weight.shape), (largest.float() / _LEVELS).reshape(weight.shape[:-1])


class Int8Linear(nn.Module):
    """A linear layer with an int8 weight [O, I] and float32 scales [O]."""

    def __init__(self, inputs: int, outputs: int, bias: Tensor | None) -> None:
        super().__init__()
        self.in_features, self.out_features = inputs, outputs
        self.weight = nn.Parameter(torch.empty(outputs, inputs, dtype=torch.int8, device="meta"), requires_grad=False)
        self.scale = nn.Parameter(torch.empty(outputs, dtype=torch.float32, device="meta"), requires_grad=False)
        self.bias: nn.Parameter | None
        self.register_parameter("bias", None if bias is None else nn.Parameter(bias, requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        """x [..., I] → [..., O], in the dtype of x."""
        out = scaled_product(x, self.weight, self.scale)
        return out if self.bias is None else out + self.bias


def scaled_product(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """x [..., I] times an int8 weight [O, I] with scales [O] → [..., O], in the dtype of x."""
    return (F.linear(x, weight.to(x.dtype)) * scale).to(x.dtype)


class Int8Config(QuantizationConfigMixin):
    """What a quantised checkpoint's config.json says of it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(quant_method=METHOD)


class Int8Quantizer(HfQuantizer):
    """Swaps linears and fused experts for their 8-bit forms and quantises their weights tensor by tensor on loading."""

    requires_calibration = False

    @property
    def quantized_element_size(self) -> float:
        """Bytes of a quantised element."""
        return 1

    def param_needs_quantization(self, model: PreTrainedModel, param_name: str, **kwargs: Any) -> bool:
        """Whether a tensor of this name arrives in 16 bits and is kept in 8."""
        module, name = get_module_from_name(model, param_name)
        return (isinstance(module, Int8Linear) and name == "weight") or (
            is_int8_experts(module) and name in EXPERT_WEIGHTS
        )

    def _process_model_before_weight_loading(self, model: PreTrainedModel, **kwargs: Any) -> PreTrainedModel:
        kept = set(self.get_modules_to_not_convert(model, None, model._keep_in_fp32_modules))
        for name, module in list(model.named_modules()):
            if type(module) is nn.Linear and name not in kept:
                parent, child = get_module_from_name(model, name)
                setattr(parent, child, Int8Linear(module.in_features, module.out_features, module.bias))
            elif _is_fused_experts(module):
                _convert_experts(name, module)
        return model

    def get_quantize_ops(self) -> ConversionOps:
        """The operation that the loader runs on each tensor that needs it."""
        return _QuantizeOnLoad()

    def is_serializable(self) -> bool:
        """A quantised checkpoint can be written."""
        return True

    @property
    def is_trainable(self) -> bool:
        """The weights take no gradients."""
        return False


class _QuantizeOnLoad(ConversionOps):
    def convert(self, input_dict: dict[str, Any], **kwargs: Any) -> dict[str, Tensor]:
        result = {}
        for name, value in input_dict.items():
            weight = value[0] if isinstance(value, list) else value
            result[name], result[_scale_name(name)] = quantize(weight)
        return result


def register() -> None:
    """Make transformers know the method; does nothing the second time."""
    if METHOD not in AUTO_QUANTIZER_MAPPING:
        register_quantizer(METHOD)(Int8Quantizer)
    if METHOD not in AUTO_QUANTIZATION_CONFIG_MAPPING:
        register_quantization_config(METHOD)(Int8Config)


def is_int8_experts(module: nn.Module) -> bool:
    """Whether the module is a fused experts module that holds its weights in 8 bits."""
    return hasattr(module, "gate_up_proj_scale")


def _scale_name(weight_name: str) -> str:
    if weight_name.endswith(".weight"):
        return weight_name.removesuffix("weight") + "scale"
    return weight_name + "_scale"


def _is_fused_experts(module: nn.Module) -> bool:
    return all(getattr(getattr(module, name, None), "ndim", 0) == 3 for name in EXPERT_WEIGHTS)


def _convert_experts(name: str, module: nn.Module) -> None:
    if getattr(module, "has_bias", False) or getattr(module, "is_transposed", False):
        raise ModelError(
            "unsupported_experts",
            f"the experts of {name} have biases or transposed weights, which 8 bits do not cover; use another model",
        )
    for weight in EXPERT_WEIGHTS:
        shape = getattr(module, weight).shape
        for key, size, dtype in ((weight, shape, torch.int8), (f"{weight}_scale", shape[:-1], torch.float32)):
            empty = torch.empty(size, dtype=dtype, device="meta")
            setattr(module, key, nn.Parameter(empty, requires_grad=False))
