"""What teaching changes about a task's log-probabilities: a temperature, an offset for each label, a linear head on the
scores f or on the state h, which is what the model made of the document (`engine/forward/states.py`).

    z_k = s_k / T + b_k + Σ_j W_kj f_j + Σ_j V_kj h_j        f_j = max(s_j − max s, −FLOOR)
    apply(s)_k = z_k − log Σ_j exp z_j        over the labels that may be answered

Of several labels to a document each has its log-odds of yes d, and nothing has to sum to 1 (`apply_odds`):

    z_k = d_k / T + b_k + Σ_j W_kj f_j + V_k h_k         f_j = d_j between −FLOOR and FLOOR, h_k behind question k

With T = 1 and b, W and V of zeros it changes nothing but the sum, which becomes 1. The task's prior comes after it, as
it comes after what was measured (`decision.py`). How the numbers are found is the matter of `evaluate/`. The slow twin
is in tests/reference/calibration.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pinpoint.engine.readings import STATE_FLOATS
from pinpoint.errors import InternalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# How far below the best label a head looks: beyond it, models' log-probabilities are about their own rounding.
FLOOR = 20.0
# A head of K labels has K² weights: more are slow to apply and have never enough examples.
MAX_HEAD_LABELS = 256
# Of sets of labels each label has a state of its own; more of them would take an answer longer than is worth it.
MAX_STATE_QUESTIONS = 32


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A fit, applied to what was measured; it knows positions, no names.

    Attributes:
        labels: K, how many the task has.
        temperature: T, above zero; above 1 the scores move towards each other.
        offsets: b [K], or None for zeros.
        head: W [K, K], rows are the labels that are changed, columns those that are looked at; None for zeros.
        state: V [K, STATE_FLOATS], or None for zeros.
        masked: positions that may not be answered: they are no part of the sum.
    """

    labels: int
    temperature: float = 1.0
    offsets: NDArray[np.float64] | None = None
    head: NDArray[np.float64] | None = None
    state: NDArray[np.float64] | None = None
    masked: tuple[int, ...] = ()
    _masked: NDArray[np.bool_] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        shapes = [
            (self.offsets, (self.labels,)),
            (self.head, (self.labels, self.labels)),
            (self.state, (self.labels, STATE_FLOATS)),
        ]
        if any(value is not None and value.shape != shape for value, shape in shapes) or not self.temperature > 0:
            raise InternalError("invalid_task", f"a calibration that is not one of {self.labels} labels")
        if self.masked:
            mask = np.zeros(self.labels, dtype=bool)
            mask[list(self.masked)] = True
            object.__setattr__(self, "_masked", mask)

    @property
    def is_identity(self) -> bool:
        """Whether it leaves every share as the model measured it."""
        return self.temperature == 1.0 and self.offsets is None and self.head is None and self.state is None

    @property
    def looks_at_state(self) -> bool:
        """Whether it needs the state beside the scores."""
        return self.state is not None

    def apply(self, log_probs: Sequence[float], state: Sequence[float] = ()) -> list[float]:
        """Return the calibrated log-probabilities [K], minus infinity for masked labels; the others sum to 1.

        A label at minus infinity stays there. Where all are, or none may be answered, so are all returned.

        Raises:
            InternalError: another number of values than of labels or of a state, or NaN.
        """
        if len(log_probs) != self.labels:
            raise InternalError("invalid_measurement", f"a task of {self.labels} labels needs as many values")
        s = np.array(log_probs, dtype=np.float64)
        if self._masked is not None:
            s[self._masked] = -np.inf
        most = s.max(initial=-math.inf)
        if math.isnan(most):
            raise InternalError("invalid_measurement", "a log-probability is NaN")
        if most == -math.inf:
            return [-math.inf] * self.labels
        s -= most
        z = s / self.temperature
        if self.offsets is not None:
            z += self.offsets
        if self.head is not None:
            z += self.head @ np.maximum(s, -FLOOR)
        if self.state is not None:
            if len(state) != STATE_FLOATS:
                raise InternalError("invalid_measurement", "what was taught looks at a state, which was not measured")
            z += self.state @ np.array(state, dtype=np.float64)
        z -= z.max()
        z -= math.log(np.exp(z).sum())
        calibrated: list[float] = z.tolist()
        return calibrated

    def apply_odds(self, log_odds: Sequence[float], states: Sequence[Sequence[float]] = ()) -> list[float]:
        """Return the calibrated log-odds [K] of labels that are answered each for itself.

        Args:
            log_odds: of yes, by label.
            states: [K, STATE_FLOATS] of each label's question, where what was taught looks at them.

        Raises:
            InternalError: another number of values than of labels or of states, or NaN.
        """
        if len(log_odds) != self.labels or any(math.isnan(one) for one in log_odds):
            raise InternalError("invalid_measurement", f"a task of {self.labels} labels needs as many log-odds")
        d = np.array(log_odds, dtype=np.float64)
        z = d / self.temperature
        if self.offsets is not None:
            z += self.offsets
        if self.head is not None:
            z += self.head @ np.clip(d, -FLOOR, FLOOR)
        if self.state is not None:
            if [len(one) for one in states] != [STATE_FLOATS] * self.labels:
                raise InternalError("invalid_measurement", "what was taught looks at states, which were not measured")
            z += (self.state * np.array(states, dtype=np.float64)).sum(axis=1)
        calibrated: list[float] = z.tolist()
        return calibrated
