"""What a model's config.json says of its size, without loading anything: the family's own way of counting, and what
stands beside a text model. Parameters and bytes by precision follow from it. Torch-free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pinpoint.errors import ModelError
from pinpoint.planning import gemma4
from pinpoint.planning.families import FAMILIES, PLANNED, text_config, why_refused
from pinpoint.planning.layout_sizes import is_count, needed_fields, shape_of_layout
from pinpoint.planning.shape import Matrix, ModelShape
from pinpoint.planning.stored import stored_precision
from pinpoint.planning.towers import Tower, tower_of


def check_family(config: Mapping[str, Any], name: str) -> None:
    """Refuse what is known not to be scored exactly, on any device.

    Raises:
        ModelError: with the reason in words.
    """
    if why := why_refused(config):
        family = FAMILIES.get(str(config.get("model_type")))
        called = family.name if family else f"model_type {config.get('model_type')!r}"
        raise ModelError(
            "unsupported_family", f"{name} ({called}) cannot be scored: {why}; use another model", "MODEL_NAME"
        )


def shape_from_config(config: Mapping[str, Any], name: str) -> ModelShape:
    """The shape that a config.json describes.

    Raises:
        ModelError: the family is refused, or cannot be planned from a configuration alone (`not_planned`); or fields
            are missing or not numbers; the message names them; or the checkpoint was quantised elsewhere.
    """
    check_family(config, name)
    outer, config = config, text_config(config)
    whole = str(outer.get("model_type"))
    family = whole if outer is config else FAMILIES[whole].text if whole in FAMILIES else ""
    known = FAMILIES.get(family)
    layout = known.layout if known else None
    tower = Tower((), 0) if outer is config else _tower(outer, config)
    if layout is None or known is None or tower is None:
        raise ModelError(
            "not_planned",
            f"{name}: a model of model_type {outer.get('model_type')!r} is measured while it is loaded; from a "
            f"configuration alone these are planned: {', '.join(PLANNED)}{_lacks(config)}",
            "MODEL_NAME",
        )
    if outer is not config and isinstance(outer.get("tie_word_embeddings"), bool):
        config = {**config, "tie_word_embeddings": outer["tie_word_embeddings"]}
    config = {**layout.usual, **config}
    own = family == gemma4.FAMILY
    needed = gemma4.needed_fields(config) if own else needed_fields(config, family, layout)
    wrong = [field for field in needed if not is_count(config.get(field))]
    if wrong:
        raise ModelError(
            "config_incomplete",
            f"{name}: config.json has no positive whole number under {', '.join(wrong)}, which {family} needs",
            "MODEL_NAME",
        )
    if own:
        shape = gemma4.shape_of(config, name, family, known.precisions)
    else:
        shape = shape_of_layout(config, name, family, known, layout)
    seeing = tuple(Matrix(each.name, each.outputs, each.inputs, 1, each.number) for each in tower.linears)
    shape = replace(
        shape, family=whole, matrices=shape.matrices + seeing, kept_parameters=shape.kept_parameters + tower.others
    )
    return as_stored(shape, outer)


def as_stored(shape: ModelShape, config: Mapping[str, Any]) -> ModelShape:
    """The shape with no other precision than a quantised checkpoint's own.

    Raises:
        ModelError: it was quantised in a way that is not Pinpoint's.
    """
    stored = stored_precision(config)
    return shape if stored is None else replace(shape, precisions=(stored,), stored=stored)


def _tower(outer: Mapping[str, Any], text: Mapping[str, Any]) -> Tower | None:
    try:
        return tower_of(outer, text["hidden_size"])
    except (KeyError, TypeError):
        return None


def _lacks(config: Mapping[str, Any]) -> str:
    usual = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    wrong = [field for field in usual if not is_count(config.get(field))]
    return f"; its config.json also lacks {', '.join(wrong)}" if wrong else ""
