"""From the lines of a run to report.json: plain values, all figures of the page and some more."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pinpoint.evaluate import metrics
from pinpoint.evaluate.asking import REVERSED, REWORDED
from pinpoint.evaluate.labelled_file import NO_LABELS
from pinpoint.evaluate.outcomes import NOTHING, Outcomes, answered_label, outcomes, truth_of
from pinpoint.evaluate.parts import groups_of
from pinpoint.evaluate.slices import slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
PAIRS, PAIR_DOCUMENTS = 10, 5
MATRIX_SETS = 50  # of labels: a few thousand documents may have as many different ones
SNIPPET_CHARS = 160
CURVE_POINTS = 200
NO_LABEL, OTHER_SETS = "(no label)", "(other sets)"

Lines = Sequence[Mapping[str, Any]]


def build_report(
    lines: Lines, run: Mapping[str, Any], keys: Sequence[str], price: float | None = None
) -> dict[str, Any]:
    """The report of a finished run.

    Args:
        lines: of answers.jsonl, one for each document, in the order of the data.
        run: what run.json holds.
        keys: of the documents, what they are found again by in another run.
        price: of a second of the machine, in USD.
    """
    groups = groups_of(
        [line.get("text", f"\0{line['id']}") for line in lines], [line.get("document") for line in lines]
    )
    found = outcomes(lines, groups)
    labels = max(len(line["labels"]) for line in lines)
    return {
        "format": FORMAT,
        "run": run,
        "documents": len(lines),
        "answered": int(found.answered.sum()),
        "refused": dict(sorted(Counter(line["error"]["code"] for line in lines if "error" in line).items())),
        "labels": labels,
        "sets": found.table is not None,
        "score": "confidence" if found.calibrated else "score",
        "notes": notes(lines, found, groups),
        "figures": metrics.with_intervals(found, labels),
        "calibration": calibration(found),
        "risk_coverage": risk_coverage(found),
        "histogram": histogram(found),
        "per_label": per_label(found),
        "confusions": confusions(lines, found),
        "slices": slices(lines, found),
        "stability": stability(lines, found),
        "cost": cost(lines, price),
        "certified": certified(lines, found, run),
        "decisions": dict(sorted(Counter(line["answer"]["decision"] for line in lines if "answer" in line).items())),
        "details": [
            {
                "id": line["id"], "key": key, "truth": truth_of(line), "right": bool(right),
                "label": answered_label(line["answer"]) if "answer" in line else None,
                "score": None if np.isnan(score) else float(score),
            }
            for line, key, right, score in zip(lines, keys, found.right, found.score, strict=True)
        ],
    }  # fmt: skip


def notes(lines: Lines, found: Outcomes, groups: Sequence[int]) -> list[str]:
    """What whoever reads the figures should know of the data, with counts."""
    told = list[str]()
    sizes = Counter(groups)
    alike = len(lines) - len(sizes)
    if alike:
        told.append(
            f"near-duplicates of others: {alike} of {len(lines)} documents; intervals count {len(sizes)} of them"
        )
    truths = defaultdict[int, set[str]](set)
    for line, group in zip(lines, groups, strict=True):
        truths[group].add(truth_of(line))
    if disputed := sum(len(labels) > 1 for labels in truths.values()):
        told.append(f"groups of near-duplicates with more than one label: {disputed}; some of the labels are wrong")
    classes = Counter(label for line in lines for label in _labels_of(line))
    if len({truth_of(line) for line in lines}) == 1:
        told.append(
            f"all {len(lines)} documents have the same label: nothing is known of documents with the others, and "
            "an answer that never changes would look perfect"
        )
    offered = {label for line in lines for label in line["labels"]}
    if missing := len(offered - classes.keys()):
        told.append(f"labels without a document: {missing} of {len(offered)}; how well they are found is not known")
    if scarce := sum(count < 5 for count in classes.values()):
        told.append(f"labels with fewer than 5 documents: {scarce} of {len(classes)}; their own figures say little")
    if found.table is not None and (empty := int((~found.table.truth.any(axis=1)).sum())):
        told.append(f"documents to which no label applies: {empty} of {len(lines)}; {NO_LABELS} is their answer")
    if backed := sum("group_right" in line for line in lines):
        told.append(
            f"answers that back off to a group: {backed} of {len(lines)}; {int(found.group_right.sum())} of them "
            "hold the right label and count as right"
        )
    if refused := int((~found.answered).sum()):
        told.append(f"refused documents: {refused} of {len(lines)}, counted as wrong but for accuracy_answered")
    if unread := sum(line["input"]["tokens_dropped"] > 0 for line in lines if "input" in line):
        told.append(f"documents that were too long and cut: {unread}; their middle was not read")
    if bounded := sum(bool(line["answer"].get("bounded_labels")) for line in lines if "answer" in line):
        told.append(f"answers with scores that are upper bounds: {bounded}; NLL may be higher than shown")
    return told


def calibration(found: Outcomes) -> dict[str, Any]:
    """Expected calibration error over bins of equal mass, its floor, and the bins; None where nothing was answered."""
    score, right = found.score[found.answered], found.right[found.answered]
    if not len(score):
        return {"ece": None, "floor": None, "bins": []}
    mean, high = metrics.ece_floor(score)
    return {
        "ece": metrics.ece(score, right),
        "floor": {"mean": mean, "percentile_95": high, "simulations": metrics.RESAMPLES},
        "bins": [
            {
                "documents": len(one),
                "from": float(score[one].min()),
                "to": float(score[one].max()),
                "score": float(score[one].mean()),
                "right": float(right[one].mean()),
                "interval": metrics.clopper_pearson(int(right[one].sum()), len(one)),
            }
            for one in metrics.equal_mass(score)
        ],
    }


def risk_coverage(found: Outcomes) -> dict[str, Any]:
    """The curve, thinned to be drawn, and how many could be accepted at some error, had one known where to cut."""
    score, right = found.score[found.answered], found.right[found.answered]
    if not len(score):
        return {"coverage": [], "risk": [], "best": [], "at": {}}
    risk, _ = metrics.risk_coverage(score, right)
    shown = np.unique(np.linspace(0, len(risk) - 1, min(CURVE_POINTS, len(risk))).round().astype(np.int64))
    errors, positions = int((~right).sum()), np.arange(1, len(risk) + 1)
    best: NDArray[np.float64] = np.maximum(0, positions - (len(risk) - errors)) / positions
    return {
        "coverage": ((shown + 1) / len(risk)).tolist(),
        "risk": risk[shown].tolist(),
        "best": best[shown].tolist(),
        "at": {f"{target:g}": metrics.coverage_at(risk, target) for target in metrics.TARGET_ERRORS},
    }


def histogram(found: Outcomes) -> dict[str, Any]:
    """Scores of right and wrong answers in twenty equal steps."""
    score, right = found.score[found.answered], found.right[found.answered]
    edges = np.linspace(0, 1, 21)
    return {
        "edges": edges.round(2).tolist(),
        "right": np.histogram(np.clip(score[right], 0, 1), edges)[0].tolist(),
        "wrong": np.histogram(np.clip(score[~right], 0, 1), edges)[0].tolist(),
    }


def per_label(found: Outcomes) -> list[dict[str, Any]]:
    """Precision, recall, F1 and support of each label that is a truth or an answer; of sets of each label in them."""
    if found.table is None:
        names, figures = found.names, metrics.per_label(metrics.confusion(found))
    else:
        names, figures = found.table.names, metrics.per_label_of_sets(found.table, np.arange(len(found)))
    return [
        {"label": name, "precision": p, "recall": r, "f1": f, "support": int(support)}
        for name, (p, r, f, support) in zip(names, figures.tolist(), strict=True)
    ]


def _labels_of(line: Mapping[str, Any]) -> list[str]:
    return [line["truth"]] if isinstance(line["truth"], str) else line["truth"]


def confusions(lines: Lines, found: Outcomes) -> dict[str, Any]:
    """The matrix, and of the most confused pairs the documents, those of highest score first."""
    size = len(found.names)
    cells = found.truth * (size + 1) + np.where(found.answer == NOTHING, size, found.answer)
    apart, documents = np.unique(cells[found.truth != found.answer], return_counts=True)
    pairs = list[dict[str, Any]]()
    for cell in apart[np.argsort(-documents, kind="stable")[:PAIRS]].tolist():
        truth, answer = divmod(cell, size + 1)
        members = np.flatnonzero(cells == cell)
        members = members[np.argsort(-np.nan_to_num(found.score[members], nan=-1.0), kind="stable")]
        pairs.append(
            {
                "truth": found.names[truth],
                "answer": NO_LABEL if answer == size else found.names[answer],
                "documents": len(members),
                "examples": [_example(lines[k], found.score[k]) for k in members[:PAIR_DOCUMENTS]],
            }
        )
    shown = found if found.table is None else _most_frequent(found)
    return {"labels": [*shown.names, NO_LABEL], "counts": metrics.confusion(shown).tolist(), "pairs": pairs}


def _most_frequent(found: Outcomes) -> Outcomes:
    """With the rarer ones of very many sets as one: their matrix has the square of them in cells."""
    size = len(found.names)
    if size <= MATRIX_SETS:
        return found
    used = np.bincount(np.append(found.truth, found.answer[found.answer != NOTHING]), minlength=size)
    kept = np.sort(np.argsort(-used, kind="stable")[:MATRIX_SETS])
    place = np.full(size, MATRIX_SETS)
    place[kept] = np.arange(MATRIX_SETS)
    answer = np.where(found.answer == NOTHING, NOTHING, place[found.answer])
    return replace(found, names=(*(found.names[k] for k in kept), OTHER_SETS), truth=place[found.truth], answer=answer)


def _example(line: Mapping[str, Any], score: float) -> dict[str, Any]:
    words = " ".join(line.get("text", "").split())
    return {
        "id": line["id"],
        "score": None if np.isnan(score) else float(score),
        "text": words[:SNIPPET_CHARS] + ("…" if len(words) > SNIPPET_CHARS else ""),
    }


def stability(lines: Lines, found: Outcomes) -> dict[str, Any]:
    """The share of answers that change with the order and with the words of the labels, of those asked again."""
    told: dict[str, Any] = {}
    for name in (REVERSED, REWORDED):
        asked = [(k, line["variants"][name]) for k, line in enumerate(lines) if name in line.get("variants", {})]
        if not asked:
            continue
        changed = sum(answered_label(lines[k]["answer"]) != again["label"] for k, again in asked)
        right = sum(truth_of(lines[k]) == again["label"] for k, again in asked)
        told[name] = {
            "documents": len(asked),
            "changed": changed / len(asked),
            "interval": metrics.clopper_pearson(changed, len(asked)),
            "accuracy": right / len(asked),
            "accuracy_before": float(found.right[[k for k, _ in asked]].mean()),
        }
    return told


def certified(lines: Lines, found: Outcomes, run: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of the answers that a task file vouches for, how many there are and are wrong; None where none was asked for."""
    target = run["question"].get("options", {}).get("target_error")
    if target is None:
        return None
    members = [k for k, line in enumerate(lines) if line.get("answer", {}).get("certified")]
    wrong = int((~found.right[members]).sum()) if members else 0
    told: dict[str, Any] = {"target_error": target, "documents": len(members), "share": len(members) / len(lines)}
    if members:
        told |= {
            "wrong": wrong,
            "error": wrong / len(members),
            "interval": metrics.clopper_pearson(wrong, len(members)),
        }
    else:
        reasons = Counter(line["answer"].get("certified_why") or "" for line in lines if "answer" in line)
        told["why_not"] = {reason: count for reason, count in reasons.most_common(5) if reason}
    return told


def cost(lines: Lines, price: float | None) -> dict[str, Any]:
    """Tokens and seconds of the answers themselves, without loading, reading files or asking again."""
    tokens, seconds = (sum(line.get(name, 0.0) for line in lines) for name in ("prompt_tokens", "seconds"))
    asked = sum("seconds" in line for line in lines)  # what was refused unread took no time of the model's
    told: dict[str, Any] = {"prompt_tokens": round(tokens), "seconds": seconds, "documents": asked}
    told["documents_per_second"] = asked / seconds if seconds else None
    if price is not None:
        total = seconds * price
        told |= {"usd_per_second": price, "usd": total, "usd_per_1000_documents": 1000 * total / max(1, asked)}
    return told
