"""Which layers keep their 16-bit activations: those whose inputs have channels that 8 bits a row have no room for.

A row is quantised by its largest value. Where one channel is a hundred times as large as the others, as before the
`down_proj` of some layers, these are rounded to almost nothing. So a model that is loaded with 8-bit activations first
reads a few texts without, and each module computes its output in both ways from the same input. Where the row in the
middle is off by more than `MOST_ERROR`, as |y′ − y| / |y|, the module keeps what it had; its weights stay in 8 bits.

The texts and the bound are fixed, so the same model on the same device keeps the same modules.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pinpoint.engine import gpu
from pinpoint.engine.forward.plain import one_thread, own_way
from pinpoint.engine.loading.activations import modules_of
from pinpoint.errors import ModelError

log = logging.getLogger("pinpoint")

# What docs/quality.md flags by, measured on real models there: 8-bit weights alone are off by 0.006 to 0.014.
MOST_ERROR = 0.05
MOST_TOKENS = 512
# Kinds of text that documents are made of; a model meets its outliers in all of them, and most at their beginnings.
TEXTS = (
    "Invoice no. 20417\nDate: 14 March 2025\nBill to: Harbour Office Supplies, 12 Quay Street\n"
    "3 x filing cabinet, steel, grey    249.00    747.00\n12 x paper, A4, 80 g    4.35    52.20\n"
    "Subtotal 799.20\nVAT 19 % 151.85\nTotal 951.05 EUR, payable within 30 days without deduction.",
    "Dear Ms Okafor,\n\nthank you for your letter of last week. We are sorry that the second delivery arrived damaged. "
    "A replacement has left our warehouse today; you need not send the old parts back. If anything else is missing, "
    "please call me before Friday.\n\nKind regards,\nTheo Lindqvist",
    '{"order": {"id": "A-7731", "items": [{"sku": "LX-90", "count": 4, "price": 18.5}], "paid": false, "due": null}}\n'
    "def total(items):\n    return sum(item['count'] * item['price'] for item in items)",
    "The committee met on 3 June. It approved the budget of 4.2 million, postponed the bridge until the survey is done "
    "and asked for two further tenders. Minutes were taken by R. Adeyemi. Next meeting: 1 July, 18:30, room 204.",
    "Sehr geehrte Damen und Herren, hiermit kündige ich den Vertrag Nr. 55-1029 fristgerecht zum 31. Dezember. Bitte "
    "bestätigen Sie mir den Eingang schriftlich. Merci de confirmer la réception de ce courrier sous huit jours.",
    "help!! my card got charged twice for the same ride, 14.80 each, and the app says 'pending'... can u refund one?",
)


@torch.inference_mode()
def keep_outliers(model: PreTrainedModel, tokenizer: Any) -> dict[str, float]:
    """Read the texts, have the modules that are off compute as without 8-bit activations, and log a line.

    Args:
        model: on its device, its modules with 8-bit activations.
        tokenizer: the model's.

    Returns:
        Those modules by name, and how far each was off.

    Raises:
        ModelError: the model cannot be read so.
    """
    began = time.monotonic()
    modules = modules_of(model)
    ids = torch.tensor([sample(model, tokenizer)], device=model.device)
    found: dict[str, Tensor] = {}
    with gpu.failures_refused(_fails), _looking_on(modules, found), own_way(model), one_thread(model):
        model(input_ids=ids, use_cache=False, logits_to_keep=1)
    # One wait for the device. A module that no text reaches keeps what it had as well: nothing is known of it.
    seen = dict(zip(found, torch.stack(list(found.values())).tolist(), strict=True)) if found else {}
    errors = {name: seen.get(name, float("inf")) for name in modules}
    kept = {name: error for name, error in errors.items() if not error <= MOST_ERROR}
    for name in kept:
        modules[name].activations = "compute"
    log.info(
        "activations: int8=%d kept=%d of=%d bound=%g tokens=%d seconds=%.2f%s",
        len(modules) - len(kept), len(kept), len(modules), MOST_ERROR, ids.shape[1], time.monotonic() - began,
        "".join(f" {name}={error:.3f}" for name, error in kept.items()),
    )  # fmt: skip
    return kept


def sample(model: PreTrainedModel, tokenizer: Any) -> list[int]:
    """The texts' tokens, at most `MOST_TOKENS` and what the model has positions for."""
    most = getattr(model.config.get_text_config(), "max_position_embeddings", None) or MOST_TOKENS
    tokens: list[int] = tokenizer("\n\n".join(TEXTS))["input_ids"]
    return tokens[: min(MOST_TOKENS, most)]


def row_error(ours: Tensor, exact: Tensor) -> Tensor:
    """By how much the row in the middle is off, as a share of its length; rows without length left aside.

    Args:
        ours, exact: [..., O].
    """
    exact = exact.reshape(-1, exact.shape[-1]).float()
    apart = (ours.reshape(exact.shape).float() - exact).norm(dim=1)
    size = exact.norm(dim=1)
    # What is no number is not left aside: it is beyond every bound.
    shares = torch.where(size == 0, torch.where(apart == 0, 0.0, torch.inf), apart / size).nan_to_num(nan=torch.inf)
    return shares.median()


@contextmanager
def _looking_on(modules: dict[str, Any], found: dict[str, Tensor]) -> Iterator[None]:
    """Within the block, each module computes as without 8-bit activations, and once more with them, to compare."""

    def compare(name: str, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> None:
        module.activations = "int8"
        found[name] = row_error(module.forward(*args, **kwargs), out)
        module.activations = "compute"

    with ExitStack() as stack:
        for name, module in modules.items():
            module.activations = "compute"
            handle = module.register_forward_hook(
                lambda module, args, kwargs, out, name=name: compare(name, module, args, kwargs, out), with_kwargs=True
            )
            stack.callback(handle.remove)
            stack.callback(setattr, module, "activations", "int8")
        yield


def _fails(error: Exception) -> ModelError:
    return ModelError(
        "precision_unsuitable",
        f"the texts by which layers are chosen for 8-bit activations cannot be read ({type(error).__name__}); unset "
        "PINPOINT_ACTIVATIONS",
        "PINPOINT_ACTIVATIONS",
    )
