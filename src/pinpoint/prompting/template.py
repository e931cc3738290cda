"""The prompt: which text stands where, what the model is to write, and which text comes from outside.

A prompt is a chat turn of the user, made of four parts::

    root       what is asked of the model; the same for every job
    question   one question, with the labels on offer, one a line
    document   the document between two lines that name it
    ending     the word after which the answer stands, and the chat template's own end of turn

There are two versions, which differ in the questions and in where they stand (measured: docs/quality.md):

* 3: the document comes first, since models choose better among labels that they read after it. A list of up to
  `MOST_LETTERED` labels is lettered, and the letter is what the model writes; of a longer one, the label itself. What
  is to be written for yes and no is said before what is asked, so that the questions about a document share it.
  A task may have its labels read first all the same (`Task.labels_first`): no list is lettered then.
* 1: what a model is asked in that was trained on it and says so in its configuration (`VERSION_KEY`). The model writes
  the label. The question comes first where the document is not much longer, so that many documents share it, and
  always where the task says so.

Version 2, in which nothing is asked any more, was version 3 with the questions of yes or no of version 1.

The order and the form are functions of the two lengths and of the task alone, so the answer to a question about a
document never depends on what else is in the job.

A `Piece` carries whether its text is ours or came from outside. Text from outside is encoded apart from ours, with
special-token splitting, so that `</s>` or `[/INST]` in a document or in a label stays plain text.

Any change of a word here is a new `PROMPT_VERSION`: calibrations and trained models hang on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Literal, cast, get_args

from pinpoint.errors import ModelError
from pinpoint.prompting.taxonomy import Label, Task

Version = Literal[1, 3]
PROMPT_VERSION: Version = 3
# Under this key a checkpoint's configuration names the version that the model was trained on.
VERSION_KEY = "pinpoint_prompt_version"

# Letters are chosen better on lists of 4 and 5; from 6 on the labels' own text is as good or better (docs/quality.md).
MOST_LETTERED = 5

YES = "yes"
NO = "no"

# Of version 1. With one question and many documents, document-first repeats the question once a document. At eight
# times the question's length that costs at most an eighth; in return, many questions about one document share it.
DOCUMENT_TO_QUESTION_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of prompt text and whether it is the template's own (`trusted`) or came with the job."""

    text: str
    trusted: bool


def answer_ids(task: Task) -> list[str]:
    """What answers to a task are called, in the order of its log-probabilities."""
    return [YES, NO] if task.kind == "yes_no" else [label.id for label in task.labels]


def known_version(version: object) -> Version:
    """The version that a checkpoint's configuration names.

    Raises:
        ModelError: `prompt_version`: there is none such.
    """
    if type(version) is not int or version not in get_args(Version):
        raise ModelError(
            "prompt_version",
            f"the checkpoint's configuration names prompt version {version!r} in {VERSION_KEY}, and this worker knows "
            f"{' and '.join(map(str, get_args(Version)))}; use the worker that the model was made for",
            "MODEL_NAME",
        )
    return cast(Version, version)


def root() -> Iterator[Piece]:
    """The opening that all prompts share."""
    yield Piece("Answer the question about the document with one of the given labels and nothing else.\n", True)


def choice_opening(task: Task) -> Iterator[Piece]:
    """What a question of a task of which exactly one label is the answer says before its labels."""
    yield from _question("Which label fits the document best?", task)
    yield Piece("Labels:\n", True)


def choice_question(task: Task, version: Version = PROMPT_VERSION) -> Iterator[Piece]:
    """The question of a task of which exactly one label is the answer; answered by one of `choice_answers`."""
    yield from choice_opening(task)
    letters = _letters(task, version)
    for place, label in enumerate(task.labels):
        yield from _label_line(label, f"{letters[place]}." if letters else "-")
    if letters:
        yield Piece("Answer with the letter of the label only.\n", True)


def choice_answers(task: Task, version: Version = PROMPT_VERSION) -> list[str]:
    """What the model writes for each label of a task of which exactly one is the answer."""
    return list(_letters(task, version)) or [label.name for label in task.labels]


def choice_in_words(task: Task, place: int, version: Version = PROMPT_VERSION) -> str:
    """A label as the model would write it where more is to follow: its name, behind its letter if it has one."""
    letters = _letters(task, version)
    return f"{letters[place]}. {task.labels[place].name}" if letters else task.labels[place].name


def yes_no_opening(task: Task, version: Version = PROMPT_VERSION) -> Iterator[Piece]:
    """What the questions of a `multi_label` task have in common before the label."""
    if version == 1:
        yield from _question("Does this label fit the document?", task)
        return
    yield Piece("Question: Does this fit the document? Answer with Yes or No only.\n", True)
    if task.instructions:
        yield Piece(f"{task.instructions}", False)
        yield Piece("\n", True)


def yes_no_question(task: Task, label: Label, version: Version = PROMPT_VERSION) -> Iterator[Piece]:
    """The question whether one label of a `multi_label` task holds; answered by one of `yes_no_answers`."""
    yield from yes_no_opening(task, version)
    yield from _label_line(label, "-")
    if version == 1:
        yield Piece("Labels:\n", True)
    for answer, criterion in zip(yes_no_answers(version), task.criteria, strict=True):
        if version == 1 or criterion:
            yield from _label_line(Label(answer, answer, criterion), "-")


def yes_no_answers(version: Version = PROMPT_VERSION) -> list[str]:
    """What the model writes for yes and for no."""
    return [YES, NO] if version == 1 else [YES.title(), NO.title()]


def document(text: str) -> Iterator[Piece]:
    """The document itself, fenced by two lines of ours."""
    yield Piece("Document:\n", True)
    yield Piece(text, False)
    yield Piece("\nEnd of document.\n", True)


def ending() -> Iterator[Piece]:
    """What stands right before the answer."""
    yield Piece("Label:", True)


def document_first(document_tokens: int, question_tokens: int, version: Version = PROMPT_VERSION) -> bool:
    """Whether the document precedes the question of a choice."""
    return version > 1 or document_tokens >= DOCUMENT_TO_QUESTION_TOKENS * question_tokens


def _question(default: str, task: Task) -> Iterator[Piece]:
    yield Piece(f"Question: {default}", True)
    if task.instructions:
        yield Piece(f" {task.instructions}", False)
    if task.within:
        yield Piece(" The document belongs to:", True)
        yield Piece(f" {' > '.join(task.within)}", False)
    yield Piece("\n", True)


def _letters(task: Task, version: Version) -> str:
    """The letters of a task's labels; none where they have none."""
    lettered = version > 1 and not (task.multi_label or task.labels_first) and len(task.labels) <= MOST_LETTERED
    return ascii_uppercase[: len(task.labels)] if lettered else ""


def _label_line(label: Label, mark: str) -> Iterator[Piece]:
    yield Piece(mark, True)
    yield Piece(f" {label.name}", False)
    # White space before the line break would be one token with it here and another behind the next line's first word.
    description = (label.description or "").rstrip()
    if description:
        yield Piece(":", True)
        yield Piece(f" {description}", False)
    yield Piece("\n", True)
    for example in label.examples:
        yield Piece("  Example:", True)
        yield Piece(f" {example}", False)
        yield Piece("\n", True)
