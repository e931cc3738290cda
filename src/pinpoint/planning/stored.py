"""What a checkpoint says of the precision that it is held in, and what can be asked of it. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pinpoint.errors import ModelError
from pinpoint.planning.activations import Activations, Precision

# What config.json calls them.
METHODS: Mapping[str, Precision] = {"pinpoint_int8": "int8", "pinpoint_fp8": "fp8", "pinpoint_nf4": "nf4"}


def stored_precision(config: Mapping[str, Any]) -> Precision | None:
    """The precision that a checkpoint was quantised to, None where it holds the original weights.

    Raises:
        ModelError: it was quantised in a way that is not Pinpoint's.
    """
    found = config.get("quantization_config")
    if not found:
        return None
    method = found.get("quant_method") if isinstance(found, Mapping) else getattr(found, "quant_method", None)
    if isinstance(method, str) and method in METHODS:
        return METHODS[method]
    raise ModelError(
        "quantised_elsewhere",
        f"the checkpoint is already quantised ({method}); use its 16-bit original",
        "MODEL_NAME",
    )


def check_stored(stored: str | None, wanted: str, name: str) -> None:
    """Refuse another precision than that of a quantised checkpoint; "auto" is any.

    Raises:
        ModelError: with what to set.
    """
    if stored is not None and wanted not in ("auto", stored):
        raise ModelError(
            "precision_unsuitable",
            f"{name} holds its weights in {stored}, and PINPOINT_PRECISION asks for {wanted}; set it to {stored}, "
            "or give the 16-bit original",
            "PINPOINT_PRECISION",
        )


def with_activations(
    wanted: Precision | Literal["auto"], stored: Precision | None, activations: Activations
) -> Precision | Literal["auto"]:
    """What weights are to be held in: as they are stored, else what is asked for; "auto" beside 8-bit activations is
    the one precision that has them.

    Raises:
        ModelError: 8-bit activations for weights that are not in 8 bits.
    """
    settled = stored or ("int8" if wanted == "auto" and activations == "int8" else wanted)
    if activations == "int8" and settled != "int8":
        original = " and give the 16-bit original" if stored else ""
        raise ModelError(
            "precision_unsuitable",
            f"activations in int8 are multiplied with weights in int8, and these are in {settled}; set "
            f"PINPOINT_PRECISION=int8{original}, or unset PINPOINT_ACTIVATIONS",
            "PINPOINT_ACTIVATIONS",
        )
    return settled
