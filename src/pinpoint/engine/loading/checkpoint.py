"""What a checkpoint holds and what a model makes of it, known from headers alone, before a single weight is read.

Names are translated by transformers' own tables (`transformers.core_model_loading`), so that experts stored one by one,
as on the Hub, and fused ones, as transformers 5 writes them, are the same thing here. Tensors of the target that come
of the same tensors of the source are a *group*, the unit in which weights are read, quantised and written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    WeightConverter,
    WeightRenaming,
    WeightTransform,
    dot_natural_key,
    rename_source_key,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
)
from transformers.utils.quantization_config import QuantizationConfigMixin

from pinpoint.checkpoints.folder_check import check_folder
from pinpoint.checkpoints.weight_files import CONFIG_FILE
from pinpoint.engine.weights import experts, fp8, int8, nf4
from pinpoint.engine.weights.quantizer import WeightQuantizer
from pinpoint.errors import ModelError
from pinpoint.planning import stored
from pinpoint.planning.activations import Precision

# Many times those of any model: a number beyond it is damage.
_MOST_LAYERS = 10_000


@dataclass(frozen=True, slots=True)
class Format:
    """A precision that weights are quantised to; `experts` names the function that computes with them."""

    config: type[QuantizationConfigMixin]
    quantizer: type[WeightQuantizer]
    experts: str


FORMATS: Mapping[Precision, Format] = {
    "int8": Format(int8.Int8Config, int8.Int8Quantizer, experts.NAME),
    "fp8": Format(fp8.Fp8Config, fp8.Fp8Quantizer, fp8.METHOD),
    "nf4": Format(nf4.Nf4Config, nf4.Nf4Quantizer, nf4.METHOD),
}


@dataclass(frozen=True, slots=True)
class Group:
    """Tensors of the model that come of the same stored ones.

    Attributes:
        target: the model's parameter, as transformers names it.
        keys: the stored tensors.
        transform: turns them into the model's; runs once.
    """

    target: str
    keys: tuple[str, ...]
    transform: WeightTransform

    def convert(self, model: PreTrainedModel, quantizer: WeightQuantizer | None) -> dict[str, Tensor]:
        """Read the stored tensors and make the model's of them, by name."""
        made = self.transform.convert(self.target, model=model, config=model.config, hf_quantizer=quantizer)
        return {name: value[0] if isinstance(value, list) else value for name, value in made.items()}


def read_config(folder: Path) -> Any:
    """The checkpoint's configuration.

    Raises:
        ModelError: it is missing, damaged, or of a model that transformers does not know.
    """
    # A configuration that names Pinpoint's formats is read like any other.
    for module in (int8, fp8, nf4):
        module.register()
    check_folder(folder)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # each configuration class checks its fields in its own way
        raise unreadable(error, folder / CONFIG_FILE) from None
    text = config.get_text_config()
    if not isinstance(text, PreTrainedConfig):  # a field that this type of model does not have is kept as it is
        raise ModelError(
            "model_unreadable",
            f"{folder / CONFIG_FILE} describes a text model within one of type {config.model_type!r}, which has none; "
            "fetch it again, or give the text model's own configuration",
            "MODEL_NAME",
        )
    layers = getattr(text, "num_hidden_layers", None)
    if isinstance(layers, int) and layers > _MOST_LAYERS:  # as many modules would be made before anything is compared
        raise ModelError(
            "model_unreadable",
            f"{folder / CONFIG_FILE} describes a model of {layers:,} layers, and no more than {_MOST_LAYERS:,} are "
            "made; fetch it again",
            "MODEL_NAME",
        )
    # Of what a pass returns, by name: whatever the file asks for, more is not looked at and less would be missed.
    for part in (config, text):
        part.return_dict, part.output_attentions, part.output_hidden_states = True, False, False
    return config


def unreadable(error: Exception, file: Path | None = None) -> ModelError:
    """What a library said of a model, in one line; the rest of such messages is advice for other uses."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    said = lines[0] if lines else type(error).__name__
    if isinstance(error, KeyError) and " " not in said:  # which says a name, and not what of it
        said = f"{said} is asked for, and transformers knows none such"
    if said.endswith(":"):  # what it leads to is in the next line, or nowhere
        said = f"{said} {lines[1]}" if len(lines) > 1 else f"{type(error).__name__}, {said}"
    what = f"cannot load the model from {file}" if file else "cannot load the model"
    return ModelError("model_unreadable", f"{what}: {said.rstrip(' :')}", "MODEL_NAME")


def stored_precision(config: Any) -> Precision | None:
    """The precision that the checkpoint was quantised to, None where it holds the original weights.

    Raises:
        ModelError: it was quantised in a way that is not Pinpoint's.
    """
    return stored.stored_precision({"quantization_config": getattr(config, "quantization_config", None)})


def auto_class(config: Any) -> Any:
    """What makes the model of a configuration: a text model, or one that reads images, too, and is read as text."""
    return AutoModelForCausalLM if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING else AutoModelForImageTextToText


def model_class(config: Any) -> Any:
    """The class that `auto_class` chooses; None where transformers has none."""
    kind = type(config)
    found = MODEL_FOR_CAUSAL_LM_MAPPING.get(kind, None) or MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING.get(kind, None)
    return found[0] if isinstance(found, tuple) else found


def empty_model(config: Any, quantizer: WeightQuantizer | None = None) -> PreTrainedModel:
    """The model in bfloat16 with parameters of the right shapes and no memory."""
    config = deepcopy(config)
    config.quantization_config = None
    try:
        with torch.device("meta"):
            # Not in the way of attending that the file names: its package need not be here, and it is not used.
            model = auto_class(config).from_config(
                config, dtype=torch.bfloat16, attn_implementation="eager", trust_remote_code=False
            )
    except Exception as error:  # what a configuration says of sizes, each class finds out in its own way
        raise unreadable(error) from None
    if quantizer is not None:
        quantizer.preprocess_model(model)
    return model


def expected_parameters(model: PreTrainedModel) -> dict[str, Tensor]:
    """What a checkpoint has to bring, by name; not what is tied to something else."""
    return {name: tensor for name, tensor in model.state_dict().items() if name not in model.all_tied_weights_keys}


def groups_of(
    model: PreTrainedModel,
    keys: Iterable[str],
    read: Callable[[str], Tensor],
    quantizer: WeightQuantizer | None = None,
) -> list[Group]:
    """How the stored tensors `keys` become those of the model; `read` is called for each when its group is converted.

    What the model has no use for is left out, as transformers does.
    """
    parameters = model.state_dict()
    transforms = get_model_conversion_mapping(model, hf_quantizer=quantizer)
    renamings = [entry for entry in transforms if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in transforms if isinstance(entry, WeightConverter)]
    by_pattern = {pattern: entry for entry in converters for pattern in entry.source_patterns}
    streaming = quantizer is not None and not quantizer.pre_quantized
    found: dict[str, tuple[WeightTransform, list[str]]] = {}
    for key in sorted(keys, key=dot_natural_key):
        prefix = model.base_model_prefix
        target, pattern = rename_source_key(key, renamings, converters, prefix, parameters)
        if target not in parameters and key in parameters:
            target, pattern = key, None
        if target not in parameters:
            continue
        if target not in found:
            fresh = WeightRenaming(key, target) if pattern is None else deepcopy(by_pattern[pattern])
            found[target] = fresh, []
        transform, members = found[target]
        if streaming and quantizer is not None and quantizer.param_needs_quantization(model, target):
            transform.quantization_operation = quantizer.get_quantize_ops()
        transform.add_tensor(target, key, pattern or key, _later(read, key))
        members.append(key)
    return [Group(target, tuple(members), transform) for target, (transform, members) in found.items()]


def _later(read: Callable[[str], Tensor], key: str) -> Callable[[], Tensor]:
    return lambda: read(key)
