"""Whether a model is one that is scored exactly, asked of its configuration, its class and its tokenizer.

What the list of families knows is refused by it, on a CPU as on a GPU; what it does not know is asked of the class that
transformers has for it. Whatever passes here and still attends otherwise is found by the pass itself.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import PreTrainedModel

from pinpoint.engine.loading.checkpoint import model_class
from pinpoint.engine.weights.quantizer import is_fused_experts
from pinpoint.errors import ModelError
from pinpoint.planning.activations import Precision
from pinpoint.planning.families import ENCODER, OWN_ATTENTION, RECURRENT
from pinpoint.planning.model_shapes import check_family

# How the classes of language models are called. A model of several parts is one that answers in text.
_LANGUAGE_MODELS = ("ForCausalLM", "LMHeadModel", "LMHead", "ForConditionalGeneration")

# What is left as it is in any precision: tables, and what looks at pictures.
_BESIDE = (nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def check_architecture(config: Any, name: str) -> None:
    """Refuse what cannot be scored exactly, before anything is fetched or loaded for it.

    Raises:
        ModelError: it is no causal language model, or of a kind that the packed pass does not cover; in words.
    """
    check_family(config.to_dict(), name)
    model = model_class(config)
    if model is None:
        raise unsupported_family(name, config, "it is no causal language model that this version of transformers knows")
    if getattr(config, "is_encoder_decoder", False):
        raise unsupported_family(name, config, ENCODER)
    if model._is_stateful:
        raise unsupported_family(name, config, RECURRENT)
    if not model._can_set_attn_implementation():
        raise unsupported_family(name, config, OWN_ATTENTION)
    _check_head(config, name)


def _check_head(config: Any, name: str) -> None:
    """What a checkpoint says it is, where it says so: the same weights under another head answer something else."""
    said = getattr(config, "architectures", None) or []
    for architecture in said if isinstance(said, list) else [said]:
        if not str(architecture).endswith(_LANGUAGE_MODELS):
            raise ModelError(
                "unsupported_head",
                f"{name} is a {architecture}, whose head is not a language model's; use the causal language model that "
                "it was made of",
                "MODEL_NAME",
            )


def check_tokenizer(config: Any, tokenizer: Any, name: str) -> None:
    """Refuse a tokenizer that gives tokens which the model has no embedding for.

    Raises:
        ModelError: with both numbers.
    """
    rows = int(config.get_text_config().vocab_size)
    vocabulary = tokenizer.get_vocab()
    token, largest = max(vocabulary.items(), key=lambda item: item[1], default=("", -1))
    if largest >= rows:
        raise ModelError(
            "tokenizer_too_large",
            f"the tokenizer of {name} has the token {token!r} under {largest}, and the model has embeddings for {rows} "
            "tokens; use the tokenizer that the model was trained with, or resize its embeddings",
            "MODEL_NAME",
        )


def check_quantisable(model: PreTrainedModel, precision: Precision, name: str) -> None:
    """Refuse a precision that would leave most of a model's matrices as they are.

    Args:
        model: not quantised; its parameters may be on no device.

    Raises:
        ModelError: it has hardly any linear layers beside its head, nor fused experts.
    """
    if precision == "bf16":
        return
    head, quantised, left = model.get_output_embeddings(), 0, dict[str, int]()
    for module in model.modules():
        if (type(module) is nn.Linear and module is not head) or is_fused_experts(module):
            quantised += _elements(module)
        elif module is not head and not isinstance(module, _BESIDE) and _elements(module):
            left[type(module).__name__] = left.get(type(module).__name__, 0) + _elements(module)
    if quantised <= sum(left.values()):
        share = sum(left.values()) / max(1, quantised + sum(left.values()))
        kinds = sorted(left, key=lambda kind: -left[kind])[:3]
        raise ModelError(
            "precision_unsuitable",
            f"{precision} would leave {share:.0%} of the matrices of {name} as they are (those of "
            f"{', '.join(kinds) or 'its table and head'}); set PINPOINT_PRECISION=bf16",
            "PINPOINT_PRECISION",
        )


def _elements(module: nn.Module) -> int:
    """Of the matrices that are the module's own."""
    return sum(weight.numel() for weight in module.parameters(recurse=False) if weight.ndim > 1)


def unsupported_family(name: str, config: Any, why: str) -> ModelError:
    """A model of a kind that is not scored, and why."""
    return ModelError(
        "unsupported_family",
        f"{name} (model_type {getattr(config, 'model_type', None)!r}) cannot be scored: {why}; use another model",
        "MODEL_NAME",
    )
