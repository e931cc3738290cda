"""What teaching of every kind begins and ends with: documents as measured, checks with counts, fields of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from pinpoint.api.teach import Right
from pinpoint.decide.task_file import Fit, RefusedCertificate, Setup, TaskFile
from pinpoint.errors import RequestError
from pinpoint.evaluate import fits
from pinpoint.evaluate.choosing import Tried
from pinpoint.evaluate.examples import Examples
from pinpoint.evaluate.label_free import Offered
from pinpoint.evaluate.promises import Promises, impossible_promises, parts
from pinpoint.prompting.taxonomy import Task
from pinpoint.prompting.template import NO, YES

if TYPE_CHECKING:
    from numpy.typing import NDArray

STATE_DECIMALS = 6  # of weights below 10: what is cut off moves a score by 1e-5 nats


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What the model measured of labelled documents.

    Attributes:
        log_probs: [n, labels of the task], before prior and mask; of a tree logarithms of its labels' scores, with
            both; of sets of labels log-odds of yes.
        right: [n] positions of the right labels; of sets, of all of them.
        masses: [n] label mass, or None where it is the sum of what was measured.
        groups: [n] numbers that near-duplicates share, or None.
        content_free: [labels] log-probabilities of a document without content, or None.
        states: [n, STATE_FLOATS] what the model made of each document, or None; of sets of labels so many numbers for
            each label's question, one after the other.
    """

    log_probs: NDArray[np.float64]
    right: Sequence[Right]
    groups: Sequence[int] | None = None
    content_free: NDArray[np.float64] | None = None
    states: NDArray[np.float64] | None = None
    masses: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Taught:
    """The file, and what there is to say about how it came about; `notes` are sentences with counts."""

    file: TaskFile
    offered: tuple[Offered, ...] = ()
    notes: tuple[str, ...] = field(default=())


def as_states(rows: Sequence[Sequence[float]]) -> NDArray[np.float64] | None:
    """[n, STATE_FLOATS] of what was measured of each document, or None where it was not."""
    return np.array(rows, dtype=np.float64) if rows and all(rows) else None


def check_counts(labels: Sequence[str], right: Sequence[Right]) -> None:
    """Refuse what nothing can be learned from, before any document is scored.

    Raises RequestError `too_few_documents` or `one_class`, with the counts.
    """
    if len(right) < fits.LEAST_FOR_TEMPERATURE:
        raise RequestError(
            "too_few_documents",
            f"a temperature, which needs fewest, needs {fits.LEAST_FOR_TEMPERATURE} labelled documents; there "
            f"are {len(right)}",
            "documents",
        )
    if len(set(right)) < 2:
        same = "the same labels" if isinstance(right[0], tuple) else "the same label"
        raise RequestError(
            "one_class",
            f"all {len(right)} labelled documents have {same}, of {len(labels)}; add some of the others",
            "documents",
        )


def parted(
    examples: Examples, promises: Promises, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None, list[RefusedCertificate]]:
    """Positions of what fits see, of what judges them, None where nothing is promised, and what cannot be promised.

    Raises RequestError where so few documents are left without copies that they cannot be parted.
    """
    if examples.distinct < fits.LEAST_FOR_TEMPERATURE:
        raise RequestError(
            "too_few_documents",
            f"{len(examples)} labelled documents, of which {examples.distinct} differ from each other; "
            f"{fits.LEAST_FOR_TEMPERATURE} are needed",
            "documents",
        )
    refused = impossible_promises(examples.distinct, promises)
    return *parts(examples, promises, refused, seed), refused


def of_task(task: Task) -> tuple[list[str], NDArray[np.int64], list[int], list[float] | None]:
    """Names, positions that may be answered, positions that may not, prior."""
    if task.kind == "yes_no":
        return [YES, NO], np.arange(2), [], None
    mask = sorted(task.masked_positions)
    offered = np.setdiff1d(np.arange(len(task.labels)), np.array(mask, dtype=np.int64))
    return [label.name for label in task.labels], offered, mask, task.prior_weights


def bound_to(task: Task, setup: Setup, promises: Promises = Promises()) -> dict[str, Any]:  # noqa: B008 - frozen
    """The fields of a file that say what it is about."""
    names, _, mask, prior = of_task(task)
    return {
        "setup": setup, "task": task.name, "kind": task.kind, "labels": names, "mask": mask, "prior": prior,
        "other": task.other_position, "sets": task.sets, "back_off": None if task.tree is None else promises.back_off,
        "made": date.today(),
    }  # fmt: skip


def mass(measured: Measured, offered: NDArray[np.int64]) -> NDArray[np.float64]:
    """[n] label mass."""
    if measured.masses is not None:
        return measured.masses
    return np.asarray(np.exp(np.minimum(measured.log_probs[:, offered], 0)).sum(axis=1))


def offsets_of(offsets: NDArray[np.float64], offered: NDArray[np.int64], labels: int) -> list[float] | None:
    """With the masked labels back in their places; None for zeros alone."""
    if not offsets.any():
        return None
    spread = np.zeros(labels)
    spread[offered] = offsets
    return spread.tolist()


def head_of(head: NDArray[np.float64], offered: NDArray[np.int64], labels: int) -> list[list[float]]:
    """A head on scores [K, K] of the labels that may be answered, as one of all."""
    wide = np.zeros((labels, labels))
    wide[np.ix_(offered, offered)] = head
    found: list[list[float]] = wide.tolist()
    return found


def state_of(state: NDArray[np.float64], offered: NDArray[np.int64], labels: int) -> list[list[float]]:
    """A head on states [K, P] of the labels that may be answered, as one of all."""
    wide = np.zeros((labels, state.shape[1]))
    wide[offered] = state.round(STATE_DECIMALS)
    found: list[list[float]] = wide.tolist()
    return found


def fit_of(tried: Tried) -> Fit:
    """What the file says of a fit."""
    gain = None if tried.nll_before is None or tried.nll_after is None else tried.nll_before - tried.nll_after
    return Fit(
        name=tried.name, kept=tried.kept, reason=tried.reason, nll_before=tried.nll_before,
        nll_after=tried.nll_after, gain=gain, p_value=tried.p_value,
    )  # fmt: skip


def notes_on_copies(examples: Examples) -> list[str]:
    """What there is to say of near-duplicates."""
    notes = list[str]()
    doubled = len(examples) - examples.distinct
    if doubled:
        notes.append(
            f"{doubled} of {len(examples)} documents are near-duplicates of others: they are kept on one side, and of "
            "those that are alike one judges"
        )
    labels = {(int(group), int(right)) for group, right in zip(examples.groups, examples.right, strict=True)}
    torn = len(labels) - examples.distinct
    if torn:
        notes.append(f"{torn} times documents that are near-duplicates have different labels: one of them may be wrong")
    return notes
