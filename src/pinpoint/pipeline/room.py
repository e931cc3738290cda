"""How many tokens a task's prompt leaves for a document, and what leaves none."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pinpoint.api.request import Options
from pinpoint.errors import ModelError, RequestError
from pinpoint.pipeline.engine_protocol import Engine
from pinpoint.pipeline.second_reading import AGAIN
from pinpoint.prompting.prompt import Question
from pinpoint.prompting.prompts import SHORT_FORM_TASK
from pinpoint.prompting.taxonomy import Label, Task

ROOM_STEP_TOKENS = 128
# The shortest question that is worth asking, and as many tokens as its document has.
LEAST_TASK = Task(SHORT_FORM_TASK, (Label("yes", "yes"), Label("no", "no")))
LEAST_DOCUMENT_TOKENS = 8
REASON_TOKENS = 128  # room for a reason and its opening, where one is asked for


def room_beside(prompt_tokens: int, row_tokens: int, options: Options, engine: Engine) -> int:
    """Tokens that are left for a document, by the lengths of a task's prompts and rows without one; none below 1.

    It is what the longest prompt leaves of what can be read, in chunks where that is more than a pass; without chunks,
    and of pages that are read apart, no more than a pass leaves beside a row. A row has to fit a pass in any case.
    """
    room = engine.read_tokens - prompt_tokens
    beside_row = engine.row_budget - row_tokens
    if beside_row < 1 or engine.read_tokens <= engine.row_budget or options.long_document == "pages":
        room = min(room, beside_row)
    return room - (REASON_TOKENS if options.explain else 0)


def refuse_beyond(task: Task, options: Options, engine: Engine, prompt_tokens: int, row_tokens: int) -> None:
    """Refuse a task whose prompts and rows have at least so many tokens, where no document has room beside them."""
    room = room_beside(prompt_tokens, row_tokens, options, engine)
    if room < 1:
        raise _too_long(task, f"at least {engine.read_tokens - room}", engine)


def room_of(task: Task, asking: Sequence[Question], options: Options, engine: Engine) -> int:
    """Tokens that a task's prompt leaves for a document.

    It depends on the task alone, so that an answer never depends on what else is asked; in steps, so that tasks of
    about the same length cut a long document alike and can share it.
    """
    prompts = engine.prompts
    room = room_beside(prompts.overhead(asking), prompts.row_overhead(asking), options, engine)
    taken = engine.read_tokens - room
    if room < 1:
        raise _too_long(task, str(taken), engine)
    stepped = engine.read_tokens - math.ceil(taken / ROOM_STEP_TOKENS) * ROOM_STEP_TOKENS
    return stepped if stepped > 0 else room


def refuse_without_room(engine: Engine) -> None:
    """Refuse a model whose every job would be refused: nothing has room in what it reads.

    Raises:
        ModelError: `context_too_short`, with both numbers.
    """
    room = room_beside(
        engine.prompts.overhead(asking := engine.prompts.questions(LEAST_TASK)),
        engine.prompts.row_overhead(asking), Options(), engine,
    )  # fmt: skip
    if room < LEAST_DOCUMENT_TOKENS:
        raise ModelError(
            "context_too_short",
            f"a question with two labels about a document of {LEAST_DOCUMENT_TOKENS} tokens takes "
            f"{engine.read_tokens - room + LEAST_DOCUMENT_TOKENS}, and {engine.read_tokens} can be read of "
            f"{engine.context_tokens} that the model knows, so that every job would fail; use another model",
            "MODEL_NAME",
        )


def told(engine: Engine) -> dict[str, int]:
    """What a worker says of the prompts that it reads."""
    return {
        "pass_tokens": engine.token_budget,
        "prompt_tokens": engine.read_tokens,
        "context_tokens": engine.context_tokens,
    }


def short_of_context(engine: Engine) -> str:
    """To be added where a document was cut though the model could read more of it: how much memory has room for."""
    if engine.read_tokens >= engine.context_tokens:
        return ""
    return (
        f"; the card has room for prompts of {engine.read_tokens} tokens, of the {engine.context_tokens} that the "
        "model can read"
    )


def _too_long(task: Task, taken: str, engine: Engine) -> RequestError:
    name = task.name.removeprefix(AGAIN)
    return RequestError(
        "labels_too_long",
        f"the prompt takes {taken} tokens with its labels and without a document, and {engine.read_tokens} can "
        "be read; shorten or split the list of labels",
        "labels" if name == SHORT_FORM_TASK else f"tasks.{name}.labels",
    )
