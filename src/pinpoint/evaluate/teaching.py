"""From labelled documents with their scores to the file of a taught task.

    measured ── held out, where promises are asked for ──┬── fits (cross-validated) ── Calibration
                                                         └── certificates, prediction sets, figures

Documents are scored once, by the caller; everything here is arithmetic on what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pinpoint.decide.task_file import Certificate, Figures, Fit, Fitted, PredictionSets, Setup, TaskFile
from pinpoint.errors import RequestError
from pinpoint.evaluate import figures, fits, task_parts
from pinpoint.evaluate.certify import Judged
from pinpoint.evaluate.choosing import choose
from pinpoint.evaluate.examples import Examples, make_examples, relative
from pinpoint.evaluate.judged_tree import JudgedInTree
from pinpoint.evaluate.label_free import LabelFree, compared, label_free_offsets, offer
from pinpoint.evaluate.promises import Promises, all_sets, certify_all, impossible_sets
from pinpoint.evaluate.task_parts import Measured, Taught
from pinpoint.evaluate.teaching_sets import teach_sets
from pinpoint.prompting.taxonomy import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray


def teach(
    task: Task,
    setup: Setup,
    measured: Measured,
    promises: Promises | None = None,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Taught:
    """Fit, promise and report.

    Args:
        task: what was asked, with one label to a document, or yes and no.
        setup: what measured.
        measured: of documents whose labels are known.
        promises: what is asked for beside fits; None for nothing.
        seed: of folds and of what is held out; the same seed gives the same file.
        notes: what there is to say about how the documents were measured.

    Raises:
        RequestError: too few documents, one class only, or right labels that are masked.
    """
    promises = promises or Promises()
    if task.sets:
        return teach_sets(task, setup, measured, promises, seed, notes)
    names, offered, mask, prior = task_parts.of_task(task)
    other = task.other_position
    task_parts.check_counts(names, measured.right)
    right = [one for one in measured.right if isinstance(one, int)]
    # The scores of a tree have its prior in them: it acts at every question, not on their product.
    own_prior = prior if task.tree is None else None
    examples = make_examples(measured.log_probs, right, measured.groups, own_prior, mask, measured.states)
    seen, held, refused = task_parts.parted(examples, promises, seed)
    fitting, judging = examples.take(seen), None if held is None else examples.take(held)
    free = label_free_offsets(
        fitting.scores, None if measured.content_free is None else measured.content_free[None, offered]
    )
    if promises.label_free is not None and promises.label_free not in free:
        raise RequestError("missing_field", "no document without content was measured", "label_free")
    base = np.zeros(examples.labels) if promises.label_free is None else free[promises.label_free]
    kept_free = None if promises.label_free is None else compared(promises.label_free, fitting, base)
    if kept_free is not None and not kept_free.kept:
        base = np.zeros(examples.labels)
    chosen = choose(fitting, base, seed)

    judged, log_probs = (
        (fitting, chosen.log_probs) if judging is None else (judging, chosen.parameters.log_probs(judging))
    )
    positions, unseen = seen, chosen.log_probs
    if held is not None:
        positions, unseen = np.append(seen, held), np.vstack([chosen.log_probs, log_probs])
    before = fits.unchanged(examples.labels).log_probs(judged)
    said = [
        *notes,
        *_notes(examples, names, offered),
        *impossible_sets(0 if judging is None else len(judging), promises),
    ]
    certificates, sets = list[Certificate](), list[PredictionSets]()
    if judging is not None:
        abstains = next((k for k, position in enumerate(offered) if position == other), None)
        judge = Judged.of if task.tree is None else JudgedInTree(task, promises.back_off)
        both = judge(chosen.log_probs, fitting, abstains), judge(log_probs, judging, abstains)
        certificates, more = certify_all(promises, refused, *both)
        refused += more
        sets = all_sets(promises, log_probs, judging)
    file = TaskFile(
        **task_parts.bound_to(task, setup, promises),
        examples=len(fitting),
        held_out=0 if judging is None else len(judging),
        fitted=_fitted(chosen.parameters, offered, len(names)),
        fits=[task_parts.fit_of(one) for one in ([] if kept_free is None else [kept_free]) + list(chosen.tried)],
        certificates=certificates,
        refused_certificates=refused,
        prediction_sets=sets,
        figures=Figures(
            how="cross_validated" if judging is None else "held_out",
            n=len(judged),
            before=figures.scores(before, judged.right),
            after=figures.scores(log_probs, judged.right),
        ),
        # Of answers by fits that had not seen the document, as later ones are.
        reference=figures.reference(np.exp(unseen), task_parts.mass(measured, offered)[positions], offered, len(names)),
    )
    shown = tuple(offer(name, offsets, examples) for name, offsets in free.items() if name != promises.label_free)
    return Taught(file, shown, tuple(said))


def teach_without_labels(
    task: Task, setup: Setup, measured: Measured, label_free: LabelFree, notes: Sequence[str] = ()
) -> Taught:
    """A file that holds a correction alone: it moves answers, and promises nothing; `confidence` stays null.

    Raises RequestError for sets of labels, or where no document without content was measured.
    """
    if task.sets:
        raise RequestError("not_supported", "sets of labels have no correction without labels", "label_free")
    names, offered, mask, prior = task_parts.of_task(task)
    free = label_free_offsets(
        relative(measured.log_probs[:, offered]),
        None if measured.content_free is None else measured.content_free[None, offered],
    )
    if label_free not in free:
        raise RequestError("missing_field", "no document without content was measured", "label_free")
    parameters = fits.Parameters(1.0, free[label_free])
    own_prior = prior if task.tree is None else None
    bare = make_examples(measured.log_probs, [int(offered[0])] * len(measured.log_probs), None, own_prior, mask)
    after = parameters.log_probs(bare)
    file = TaskFile(
        **task_parts.bound_to(task, setup),
        examples=0,
        fitted=_fitted(parameters, offered, len(names)),
        fits=[Fit(name=label_free, kept=True, reason="asked for; without labels nobody knows what it gains")],
        reference=figures.reference(np.exp(after), task_parts.mass(measured, offered), offered, len(names)),
    )
    changed = after.argmax(axis=1) != fits.unchanged(bare.labels).log_probs(bare).argmax(axis=1)
    said = f"{label_free} changes {int(changed.sum())} of {len(changed)} answers"
    return Taught(file, (), (*notes, said))


def _fitted(parameters: fits.Parameters, offered: NDArray[np.int64], labels: int) -> Fitted:
    """With the masked labels back in their places."""
    head, state = parameters.head, parameters.state
    return Fitted(
        temperature=parameters.temperature,
        offsets=task_parts.offsets_of(parameters.offsets, offered, labels),
        head=None if head is None else task_parts.head_of(head, offered, labels),
        state=None if state is None else task_parts.state_of(state, offered, labels),
    )


def _notes(examples: Examples, names: Sequence[str], offered: NDArray[np.int64]) -> list[str]:
    without = int((examples.by_label == 0).sum())
    notes = [f"{without} of {len(offered)} labels have no example: nothing is learned about them"] if without else []
    return [*notes, *task_parts.notes_on_copies(examples)]
