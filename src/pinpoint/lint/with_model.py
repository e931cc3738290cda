"""Checks of a taxonomy with a model: its tokens, the room in its context, and what the order of labels moves.

For the order, each label's own words (an example, else its description) are read as a document, with the labels of its
question in their order and in reverse. A model that answers differently has not understood the labels, or cannot tell
them apart; which ones it takes for each other is told as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pinpoint.api.request import Options, Request
from pinpoint.api.response import DocumentFailure
from pinpoint.documents.text import Document
from pinpoint.errors import RequestError
from pinpoint.lint.findings import TOP_NAME, Finding, QuestionCost, is_choice, questions
from pinpoint.pipeline.classify import classify
from pinpoint.pipeline.engine_protocol import Engine
from pinpoint.pipeline.room import room_beside
from pinpoint.prompting.prompt import Question
from pinpoint.prompting.taxonomy import Label, Task

MOST_MOVED = 0.25  # of the answers, by the order of the labels alone
MOST_OF_CONTEXT = 0.5  # that a question may take: a document gets the rest
SHARED_BY = 3  # labels with one first token: two happen everywhere
SAMPLE = 8  # labels of a question that are tried


def check_tokens(task: Task, engine: Engine) -> tuple[list[Finding], list[QuestionCost]]:
    """Findings by the model's tokenizer, and what each question costs."""
    try:
        encoded = engine.prompts.questions(task)
    except RequestError as error:
        return [Finding("error", error.code, error.field or "", error.message, "reword it")], []
    found, costs = list[Finding](), list[QuestionCost]()
    asked = list(questions(task))
    if task.multi_label:  # a question for each label, and the longest says what a document gets
        asked, encoded = [(TOP_NAME, task)], (max(encoded, key=lambda question: question.row_tokens),)
    for (where, choice), question in zip(asked, encoded, strict=True):
        costs.append(QuestionCost(where, len(choice.labels), question.length, len(question.trie.tokens)))
        found += _too_long(where, question, engine)
        if not task.multi_label:
            found += _shared_tokens(where, choice, question, engine)
    return found, costs


def _too_long(where: str, question: Question, engine: Engine) -> Iterator[Finding]:
    prompts, room = engine.prompts, engine.read_tokens
    left = room_beside(prompts.overhead([question]), prompts.row_overhead([question]), Options(), engine)
    taken = room - left
    if left < 1:
        yield Finding(
            "error", "labels_too_long", where, f"its prompt takes {taken} tokens and {room} can be read",
            "shorten descriptions, or put its labels into groups",
        )  # fmt: skip
    elif taken > MOST_OF_CONTEXT * room:
        yield Finding(
            "warning", "little_room", where, f"its prompt takes {taken} of {room} tokens; long documents are cut",
            "shorten descriptions, or put its labels into groups",
        )  # fmt: skip


def _shared_tokens(where: str, choice: Task, question: Question, engine: Engine) -> Iterator[Finding]:
    answers = engine.prompts.answers(choice)
    if answers != [label.name for label in choice.labels]:
        return  # letters share nothing
    tokens = question.trie.labels
    firsts = Counter(label[0] for label in tokens)
    for token, count in firsts.items():
        if count >= SHARED_BY:
            named = [label.id for label, own in zip(choice.labels, tokens, strict=True) if own[0] == token]
            yield Finding(
                "note", "shared_first_token", ", ".join(named),
                f"{count} labels of {where} begin with {engine.prompts.encoder.show(token)!r}: the model chooses among "
                "them by what follows alone",
                "begin each with what tells it apart",
            )  # fmt: skip
    for label, own in zip(choice.labels, tokens, strict=True):
        for other, longer in zip(choice.labels, tokens, strict=True):
            if len(own) < len(longer) and longer[: len(own)] == own:
                yield Finding(
                    "note", "begins_another", f"{label.id}, {other.id}", f"one label of {where} begins the other",
                    "fine where both are meant so; they are told apart by where the answer ends",
                )  # fmt: skip


def check_order(task: Task, engine: Engine, sample: int = SAMPLE, *, weak: bool = False) -> list[Finding]:
    """Findings of what the model makes of each label's own words, with the labels in two orders.

    What a `weak` model finds hard tells little of the one that will serve, and is a note.
    """
    found = list[Finding]()
    if not is_choice(task):
        return found
    for where, choice in questions(task):
        tried = _spread([label for label in choice.labels if _own_words(label)], sample)
        if not tried:
            continue
        first, again = _answers(choice, [_own_words(label) for label in tried], engine)
        moved = [label for label, a, b in zip(tried, first, again, strict=True) if a != b]
        if len(moved) > MOST_MOVED * len(tried):
            what = f"{len(moved)} of {len(tried)} answers about labels' own words change when the labels are reversed"
            remedy = "tell the labels apart by their descriptions, split the group, or use a stronger model"
            if weak:
                remedy = "see what the model makes of it that will serve: --model"
            found.append(Finding("note" if weak else "warning", "order_sensitive", where, what, remedy))
        for label, a, b in zip(tried, first, again, strict=True):
            if a == b != label.id:
                what = "the words of the one are answered by the other, in both orders"
                remedy = "say in both descriptions what is only in the one"
                found.append(Finding("note", "taken_for_another", f"{label.id}, {a}", what, remedy))
    return found


def _own_words(label: Label) -> str:
    return label.examples[0] if label.examples else label.description or ""


def _spread(labels: Sequence[Label], most: int) -> list[Label]:
    """So many of them, evenly over the list."""
    return list(labels) if len(labels) <= most else [labels[k * len(labels) // most] for k in range(most)]


def _answers(choice: Task, texts: Sequence[str], engine: Engine) -> tuple[list[str], list[str]]:
    """The best label of each text, with the labels in their order and in reverse; all of them, masked or not.

    Raises PinpointError where a text cannot be read.
    """
    choice = replace(choice, mask=frozenset(), prior=None)
    tasks = (replace(choice, name="in order"), replace(choice, name="reversed", labels=choice.labels[::-1]))
    documents = tuple(Document(str(k), k, (text,), "text") for k, text in enumerate(texts))
    response, _ = classify(Request(documents, tasks, Options(deterministic=True)), engine)
    best = {task.name: list[str]() for task in tasks}
    for result in response.results:
        if isinstance(result, DocumentFailure):
            raise result.error
        for name, answers in best.items():
            answers.append(result.answers[name].labels[0])
    return best["in order"], best["reversed"]
