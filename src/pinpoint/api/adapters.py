"""The shape of the Hugging Face zero-shot pipeline, in both directions.

    {"inputs": str | [str], "parameters": {"candidate_labels": [...], "multi_label"?, "hypothesis_template"?}}
    {"sequence": str, "labels": [str], "scores": [float]}      or a list of them, when `inputs` was a list

That pipeline has no `warnings`; they are there only where something was cut or removed, so that nobody who never has
any needs to know them.

A text that cannot be answered is ``{"sequence", "error": {code, message, field}}`` in a list. Alone it is the error
envelope: the platform takes a top-level ``error`` for itself and wants a string there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pinpoint.api.answer import round_scores
from pinpoint.api.build import build_document, build_task, refuse_nothing
from pinpoint.api.limits import Limits, join
from pinpoint.api.response import DocumentFailure, DocumentResult, error_envelope, error_to_wire
from pinpoint.api.schema import LabelFields, TaskFields, ZeroShotFields
from pinpoint.api.validation import validate
from pinpoint.documents.text import Document, RejectedDocument, has_surrogate
from pinpoint.errors import RequestError
from pinpoint.prompting.taxonomy import Task

ZERO_SHOT_TASK = "category"
_PLACE_OF_LABEL = "{}"


@dataclass(frozen=True, slots=True)
class ZeroShot:
    """A zero-shot request; `single` when `inputs` was one text, `sequences` what the answer will repeat."""

    documents: tuple[Document | RejectedDocument, ...]
    task: Task
    single: bool
    sequences: tuple[str, ...]
    warnings: tuple[str, ...]


def parse_zero_shot(raw: dict[str, object], limits: Limits) -> ZeroShot:
    """Return the documents and the one task of a request in the zero-shot shape. Raises RequestError."""
    _check_label_string(raw.get("parameters"), limits)
    fields = validate(ZeroShotFields, raw)
    single = isinstance(raw["inputs"], str)
    documents = _documents(fields.inputs, single, limits)
    refuse_nothing(documents)
    names = fields.parameters.candidate_labels
    task, warnings = build_task(
        ZERO_SHOT_TASK,
        TaskFields(
            labels=[LabelFields(name=name) for name in names],
            # As in that pipeline: one label alone is asked about, yes or no, for there is nothing to choose.
            multi_label=fields.parameters.multi_label or len(names) == 1,
            instructions=_instructions(fields.parameters.hypothesis_template),
        ),
        limits,
        at_least=1,
        parent="parameters",
        labels_field="candidate_labels",
        instructions_field="hypothesis_template",
    )
    sequences = tuple(_encodable(text) for text in fields.inputs)
    return ZeroShot(documents, task, single, sequences, tuple(warnings))


def _check_label_string(parameters: object, limits: Limits) -> None:
    """One string becomes as many values as it has commas: they count before it is split. Raises RequestError."""
    labels = parameters.get("candidate_labels") if isinstance(parameters, dict) else None
    if isinstance(labels, str) and (count := labels.count(",") + 1) > limits.max_values:
        raise RequestError(
            "too_large",
            f"{count} values between its commas, at most {limits.max_values} in a request",
            "parameters.candidate_labels",
        )


def zero_shot_answer(
    sequences: Sequence[str], results: Sequence[DocumentResult | DocumentFailure], single: bool
) -> dict[str, object] | list[dict[str, object]]:
    """Return the results, one for each sequence and in the same order, in that pipeline's shape."""
    if single and isinstance(results[0], DocumentFailure):
        return error_envelope(results[0].error)
    answers = [_answer(sequence, result) for sequence, result in zip(sequences, results, strict=True)]
    return answers[0] if single else answers


def _answer(sequence: str, result: DocumentResult | DocumentFailure) -> dict[str, object]:
    if isinstance(result, DocumentFailure):
        return {"sequence": sequence, "error": error_to_wire(result.error)}
    answer = result.answers[ZERO_SHOT_TASK]
    wire: dict[str, object] = {
        "sequence": sequence,
        "labels": list(answer.labels),
        "scores": round_scores(answer.scores),
    }
    if result.warnings:
        wire["warnings"] = list(result.warnings)
    return wire


def _documents(inputs: Sequence[str], single: bool, limits: Limits) -> tuple[Document | RejectedDocument, ...]:
    if not inputs:
        raise RequestError("missing_field", "the list is empty; send at least one text", "inputs")
    if len(inputs) > limits.max_documents:
        raise RequestError("too_large", f"{len(inputs)} texts, at most {limits.max_documents}", "inputs")
    echo_bytes = sum(len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")) for text in inputs)
    if echo_bytes > limits.max_echo_bytes:
        raise RequestError(
            "too_large",
            f"the answer would repeat {echo_bytes} bytes of text, at most {limits.max_echo_bytes}; send `documents` "
            "and `labels` instead, whose answer repeats none",
            "inputs",
        )
    return tuple(
        build_document(str(index), index, text, "inputs" if single else join("inputs", index))
        for index, text in enumerate(inputs)
    )


def _instructions(template: str | None) -> str | None:
    if template is None:
        return None
    if _PLACE_OF_LABEL not in template:
        raise RequestError("invalid_request", "must contain {} where the label goes", "parameters.hypothesis_template")
    return f'The right label makes this sentence true: "{template.replace(_PLACE_OF_LABEL, "<label>")}"'


def _encodable(text: str) -> str:
    """Show what cannot be encoded as U+FFFD: a rejected text is repeated too."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if has_surrogate(text) else text
