"""The prompt, version 1: which text stands where, and which of it comes from outside.

A prompt is a chat turn of the user, made of four parts::

    root       what is asked of the model; the same for every job
    question   one question, with the labels on offer, one a line
    document   the document between two lines that name it
    ending     the word after which the answer stands, and the chat template's own end of turn

and laid in one of two orders, so that what many prompts share comes first and is computed once:

* `labels_first`:   root, question, document, ending. Many documents share the question.
* `document_first`: root, document, question, ending. Many questions share the document.

The order is a function of the two lengths alone (`document_first`), so the answer to a question about a document never
depends on what else is in the job.

A `Piece` carries whether its text is ours or came from outside. Text from outside is encoded apart from ours, with
special-token splitting, so that `</s>` or `[/INST]` in a document or in a label stays plain text.

Any change of a word here is a new `PROMPT_VERSION`: calibrations and the embedded model hang on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pinpoint.prompting.taxonomy import Label, Task

PROMPT_VERSION = 1

YES = "yes"
NO = "no"

# With one question and many documents, document-first repeats the question once a document. At eight times the
# question's length that costs at most an eighth; in return, many questions about one document share the document.
DOCUMENT_TO_QUESTION_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of prompt text and whether it is the template's own (`trusted`) or came with the job."""

    text: str
    trusted: bool


def root() -> Iterator[Piece]:
    """The opening that all prompts share."""
    yield Piece("Answer the question about the document with one of the given labels and nothing else.\n", True)


def choice_question(task: Task) -> Iterator[Piece]:
    """The question of a task of which exactly one label is the answer."""
    yield from _question("Which label fits the document best?", task)
    yield Piece("Labels:\n", True)
    for label in task.labels:
        yield from _label_line(label)


def yes_no_opening(task: Task) -> Iterator[Piece]:
    """What the questions of a `multi_label` task have in common before the label."""
    yield from _question("Does this label fit the document?", task)


def yes_no_question(task: Task, label: Label) -> Iterator[Piece]:
    """The question whether one label of a `multi_label` task holds; answered by `YES` or `NO`."""
    yield from yes_no_opening(task)
    yield from _label_line(label)
    yield Piece("Labels:\n", True)
    for answer, criterion in zip((YES, NO), task.criteria, strict=True):
        yield from _label_line(Label(answer, answer, criterion))


def document(text: str) -> Iterator[Piece]:
    """The document itself, fenced by two lines of ours."""
    yield Piece("Document:\n", True)
    yield Piece(text, False)
    yield Piece("\nEnd of document.\n", True)


def ending() -> Iterator[Piece]:
    """What stands right before the answer."""
    yield Piece("Label:", True)


def document_first(document_tokens: int, question_tokens: int) -> bool:
    """Whether the document precedes the question in the prompt."""
    return document_tokens >= DOCUMENT_TO_QUESTION_TOKENS * question_tokens


def _question(default: str, task: Task) -> Iterator[Piece]:
    yield Piece(f"Question: {default}", True)
    if task.instructions:
        yield Piece(f" {task.instructions}", False)
    yield Piece("\n", True)


def _label_line(label: Label) -> Iterator[Piece]:
    yield Piece("-", True)
    yield Piece(f" {label.name}", False)
    # White space before the line break would be one token with it here and another behind the next line's first word.
    description = (label.description or "").rstrip()
    if description:
        yield Piece(":", True)
        yield Piece(f" {description}", False)
    yield Piece("\n", True)
