"""The same answers by what documents are like: length, language, source, and where the text comes from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pinpoint.evaluate.metrics import clopper_pearson
from pinpoint.evaluate.outcomes import Outcomes

LENGTHS = (64, 256, 1024, 4096)  # tokens: short messages, a page, several, many
SURE = 0.9
LANGUAGE_CHARS = 2000
UNSURE, NOT_TOLD = "unsure", "not told"


def slices(lines: Sequence[Mapping[str, Any]], found: Outcomes) -> dict[str, list[dict[str, Any]]]:
    """By kind of slice, each of its values with documents, accuracy, exact 95 % interval and mean score.

    A kind of which all documents have the same value says nothing that the whole does not, and is left out.
    """
    kinds = {"length": _length, "language": _language, "source": _source, "text source": _text_source}
    told = dict[str, list[dict[str, Any]]]()
    for kind, of in kinds.items():
        places = defaultdict[str, list[int]](list)
        for k, line in enumerate(lines):
            if "answer" in line:
                places[of(line)].append(k)
        if len(places) > 1:
            order = sorted(places, key=lambda value: (-len(places[value]), value))
            told[kind] = [_slice(value, places[value], found) for value in (_lengths(places) or order)]
    return told


def _slice(value: str, members: list[int], found: Outcomes) -> dict[str, Any]:
    right = int(found.right[members].sum())
    return {
        "value": value,
        "documents": len(members),
        "accuracy": right / len(members),
        "interval": clopper_pearson(right, len(members)),
        "mean_score": float(found.score[members].mean()),
    }


def _length(line: Mapping[str, Any]) -> str:
    tokens = line["input"]["tokens"] + line["input"]["tokens_dropped"]
    low, high = 0, None
    for edge in LENGTHS:
        if tokens < edge:
            high = edge - 1
            break
        low = edge
    return f"{low}–{high} tokens" if high is not None else f"{low} tokens and more"


def _lengths(places: Mapping[str, list[int]]) -> list[str]:
    """In their order, where the values are lengths."""
    edges = {value: value.split("–")[0].split(" ")[0] for value in places if value.endswith(("tokens", "and more"))}
    return sorted(edges, key=lambda value: int(edges[value])) if len(edges) == len(places) else []


def _source(line: Mapping[str, Any]) -> str:
    return str(line.get("source") or NOT_TOLD)


def _text_source(line: Mapping[str, Any]) -> str:
    sources = sorted(set(line["input"].get("text_source", ["text"])))
    return " and ".join(sources)


def _language(line: Mapping[str, Any]) -> str:
    if line.get("language"):
        return str(line["language"])
    language, sure = _identifier().classify(line["text"][:LANGUAGE_CHARS])
    return str(language) if sure >= SURE else UNSURE


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
