"""How weights become fewer bits on their way in: what 8 bits, FP8 and NF4 have in common.

bitsandbytes replaces only `nn.Linear`, and since transformers 5 a mixture's experts are two fused 3-D parameters, so
its own recipe leaves 97 % of Mixtral in 16 bits (bitsandbytes issue 1849). This module plugs into transformers' loader
and takes both. A format (`int8`, `fp8`, `nf4`) says of a weight which tensors stand for it, its *parts*, each with a
suffix. The first part has the weight's own name, in memory and in a checkpoint alike:

    linear layer    q_proj.weight              q_proj.<suffix>
    fused experts   experts.gate_up_proj       experts.gate_up_proj_<suffix>

A checkpoint that holds experts one by one is fused and quantised one expert at a time, so that the device holds one
expert's matrix in 16 bits and no more.

Axes: E experts, O output channels, I input channels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.core_model_loading import ConversionOps, WeightConverter, WeightTransform
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

EXPERT_WEIGHTS = ("gate_up_proj", "down_proj")
WEIGHT = "weight"  # of a linear layer


def part_name(weight_name: str, suffix: str) -> str:
    """The full name of a part of the weight that is called `weight_name`."""
    if not suffix:
        return weight_name
    if weight_name.rpartition(".")[2] == WEIGHT:
        return weight_name.removesuffix(WEIGHT) + suffix
    return f"{weight_name}_{suffix}"


def empty_parameter(shape: tuple[int, ...], dtype: torch.dtype) -> nn.Parameter:
    """A parameter that takes no memory and waits for its values."""
    return nn.Parameter(torch.empty(shape, dtype=dtype, device="meta"), requires_grad=False)


def is_fused_experts(module: nn.Module) -> bool:
    """Whether the module is a mixture's experts in two 3-D parameters, not yet quantised."""
    return all(getattr(getattr(module, name, None), "ndim", 0) == 3 for name in EXPERT_WEIGHTS)


def format_of(module: nn.Module) -> str | None:
    """The format that the module's weights are held in, None where they are as the model's authors made them."""
    return getattr(module, "weight_format", None)


class WeightQuantizer(HfQuantizer):
    """Swaps linear layers and fused experts for quantised forms, and quantises their weights as they stream in."""

    requires_calibration = False
    device: torch.device | None = None  # the model's, once known; None leaves weights where they are
    method: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]  # of the parts; the first is empty

    @abstractmethod
    def make_linear(self, inputs: int, outputs: int, bias: Tensor | None) -> nn.Module:
        """The layer that stands for a linear one, its parts on no device yet; its `weight_format` is `method`."""

    @abstractmethod
    def empty_experts(self, experts: int, outputs: int, inputs: int) -> dict[str, nn.Parameter]:
        """The parts of a fused weight [E, O, I] by suffix, on no device yet; the first axis of each is E."""

    @abstractmethod
    def quantize(self, weight: Tensor) -> dict[str, Tensor]:
        """A weight [O, I] in bfloat16 → its parts by suffix, on the weight's device."""

    @property
    def quantized_element_size(self) -> float | None:
        """Unset: the empty parts have the sizes that they will have."""
        return None

    def param_needs_quantization(self, model: PreTrainedModel, param_name: str, **kwargs: Any) -> bool:
        """Whether a tensor of this name arrives in 16 bits and is kept in fewer."""
        module, name = get_module_from_name(model, param_name)
        return format_of(module) == self.method and name in (WEIGHT, *EXPERT_WEIGHTS)

    def linear_parts(self, name: str, weight: Tensor) -> dict[str, Tensor]:
        """The parts of the weight `name` [O, I], by full name.

        Whatever the source holds, bfloat16 is what is quantised: the same parts then come of it in every compute dtype.
        """
        found = self.quantize(weight.to(device=self.device, dtype=torch.bfloat16))
        return {part_name(name, suffix): part for suffix, part in found.items()}

    def expert_parts(self, name: str, count: int, experts: Iterable[Tensor]) -> dict[str, Tensor]:
        """The parts of the fused weight `name` [E, O, I], by full name, each expert [O, I] quantised as if alone.

        Args:
            name: of the fused weight.
            count: E.
            experts: the next is asked for when the last is done with.
        """
        whole: dict[str, Tensor] = {}
        for place, expert in enumerate(experts):
            for key, part in self.linear_parts(name, expert).items():
                if not place:
                    whole[key] = part.new_empty((count, *part.shape))
                whole[key][place] = part
        return whole

    def get_quantize_ops(self) -> ConversionOps:
        """The operation that the loader runs on each tensor that needs it."""
        return _Quantize(self)

    def update_weight_conversions(
        self, weight_conversions: list[WeightTransform], model: PreTrainedModel | None = None
    ) -> list[WeightTransform]:
        """Have a checkpoint's single experts quantised one by one, instead of all fused in 16 bits first.

        transformers 5.17 does not hand the model over, and nothing here needs it.
        """
        if self.pre_quantized:
            return weight_conversions
        return [
            entry.copy(
                list(entry._original_source_patterns),
                list(entry._original_target_patterns),
                operations=[_QuantizeByExpert(self, entry.operations)],
                # All experts of the group are read before the first is quantised: they wait in the host's memory.
                force_cpu=True,
            )
            if isinstance(entry, WeightConverter) and _fuses_experts(entry)
            else entry
            for entry in weight_conversions
        ]

    def _process_model_before_weight_loading(self, model: PreTrainedModel, **kwargs: Any) -> PreTrainedModel:
        self.device = (kwargs.get("device_map") or {}).get("")
        kept = set(self.get_modules_to_not_convert(model, None, model._keep_in_fp32_modules))
        for name, module in list(model.named_modules()):
            if type(module) is nn.Linear and name not in kept:
                parent, child = get_module_from_name(model, name)
                setattr(parent, child, self.make_linear(module.in_features, module.out_features, module.bias))
            elif is_fused_experts(module):
                self._convert_experts(name, module)
        return model

    def _convert_experts(self, name: str, module: Any) -> None:
        # Experts that do not say how they lie multiply their weights themselves, in a way of their own.
        if (
            getattr(module, "has_bias", False)
            or getattr(module, "has_post_expert_norm", False)
            or not getattr(module, "is_concatenated", True)
            or getattr(module, "is_transposed", True)
        ):
            raise ModelError(
                "unsupported_experts",
                f"the experts of {name} have biases, transposed weights, norms or products of their own, which "
                f"{self.method} does not cover; set PINPOINT_PRECISION=bf16, or use another model",
                "PINPOINT_PRECISION",
            )
        for weight in EXPERT_WEIGHTS:
            for suffix, empty in self.empty_experts(*getattr(module, weight).shape).items():
                setattr(module, part_name(weight, suffix), empty)
        module.weight_format = self.method

    def is_serializable(self) -> bool:
        """A quantised checkpoint can be written."""
        return True

    @property
    def is_trainable(self) -> bool:
        """The weights take no gradients."""
        return False


class WeightConfig(QuantizationConfigMixin):
    """What a quantised checkpoint's config.json says of its format."""

    method: ClassVar[str]

    def __init__(self, **kwargs: Any) -> None:
        """Whatever else a file says of it is not needed."""
        super().__init__(quant_method=self.method)


def register_format(quantizer: type[WeightQuantizer], config: type[WeightConfig]) -> None:
    """Make transformers know a format; does nothing the second time."""
    if config.method not in AUTO_QUANTIZER_MAPPING:
        register_quantizer(config.method)(quantizer)
    if config.method not in AUTO_QUANTIZATION_CONFIG_MAPPING:
        register_quantization_config(config.method)(config)


class _Quantize(ConversionOps):
    """A weight that arrives whole: a linear layer's, or an already fused one."""

    def __init__(self, quantizer: WeightQuantizer) -> None:
        self.quantizer = quantizer

    def convert(self, input_dict: dict[str, Any], **kwargs: Any) -> dict[str, Tensor]:
        tensors = {name: value[0] if isinstance(value, list) else value for name, value in input_dict.items()}
        if any(tensor.element_size() == 1 for tensor in tensors.values()):
            return tensors  # quantised expert by expert on the way here
        parts: dict[str, Tensor] = {}
        for name, value in tensors.items():
            if value.ndim == 2:
                parts |= self.quantizer.linear_parts(name, value)
            else:
                parts |= self.quantizer.expert_parts(name, len(value), value)
        return parts


class _QuantizeByExpert(ConversionOps):
    """transformers' own fusing operations, run for one expert at a time, each quantised before the next is fused."""

    def __init__(self, quantizer: WeightQuantizer, fusing: list[ConversionOps]) -> None:
        self.quantizer, self.fusing = quantizer, fusing

    def convert(self, input_dict: dict[str, list[Tensor]], **kwargs: Any) -> dict[str, Tensor]:
        experts = {len(tensors) for tensors in input_dict.values()}
        if len(experts) != 1:
            raise ValueError(f"the parts of the experts are not equally many: {sorted(experts)}")
        (count,) = experts
        target: str = kwargs["target_patterns"][0]
        return self.quantizer.expert_parts(target, count, self._fused(input_dict, count, kwargs))

    def _fused(self, parts: dict[str, list[Tensor]], count: int, arguments: dict[str, Any]) -> Iterator[Tensor]:
        """Each expert [O, I], fused on its way."""
        for expert in range(count):
            one: dict[str, Any] = {}
            for pattern, tensors in parts.items():
                one[pattern] = [tensors[expert].to(self.quantizer.device)]
                tensors[expert] = tensors[expert].new_empty(0)  # it is let go as soon as it is fused
            for operation in self.fusing:
                one = operation.convert(one, **arguments)
            (fused,) = one.values()  # [1, O, I]
            yield fused[0]


def _fuses_experts(converter: WeightConverter) -> bool:
    """Whether it stacks single experts along the first axis, so that one expert at a time gives the same."""
    targets = converter._original_target_patterns
    return (
        len(targets) == 1
        and targets[0].endswith(tuple(f"experts.{name}" for name in EXPERT_WEIGHTS))
        and [type(operation).__name__ for operation in converter.operations]
        in (["MergeModulelist", "Concatenate"], ["MergeModulelist"])
        and [operation.dim for operation in converter.operations] in ([0, 1], [0])
    )
