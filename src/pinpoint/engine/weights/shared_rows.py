"""What a tensor is in 8 bits, kept with it for all products that read it.

Queries, keys and values are products of the same states, as are an expert's or a layer's gate and what it gates. So the
first of them leaves the quantised rows with the tensor, an attribute of that very object: they go when it goes, and
another tensor, of the same memory or numbers or not, has none. Where torch counts what is written to a tensor, rows of
an earlier state are not found; within `inference_mode` it does not, so only the layers that a model marks as siblings
(`shares_input`) look for rows: between them no model writes to what they read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from pinpoint.engine.weights.triton_eight import Rows

# Whether rows are kept; the bench compares both ways.
KEEP = True
_NAME = "_pinpoint_rows"


def keep(x: Tensor, rows: Rows) -> None:
    """Leave the rows with x."""
    if KEEP:
        setattr(x, _NAME, (_version(x), rows))


def found(x: Tensor, dtype: torch.dtype) -> Rows | None:
    """The rows of `dtype` that were left with x, if it is as it was."""
    version, rows = getattr(x, _NAME, (None, None))
    if not KEEP or rows is None or rows.values.dtype != dtype or version != _version(x):
        return None
    kept: Rows = rows
    return kept


def _version(x: Tensor) -> int:
    return -1 if x.is_inference() else x._version
