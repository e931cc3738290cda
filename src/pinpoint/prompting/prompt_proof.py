"""Whether the prompts of a model are token for token those of its own chat template.

The reference is `apply_chat_template` of the model's tokenizer over the whole conversation, encoded at once; ours are
encoded span by span. Both are compared on conversations that try the seams: text that begins and ends with
punctuation, line breaks and spaces, in both orders of question and document.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pinpoint.errors import ModelError, RequestError
from pinpoint.prompting.chat_frame import FIXED_DATE, ChatFrame, render
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.taxonomy import Label, Task

log = logging.getLogger("pinpoint")

_LABELS = (
    Label("0", "invoice", "a request for payment (net 30)."),
    Label("1", "Purchase order"),
    Label("2", "none of the above!"),
    Label("3", "(other)", "“anything else”"),
    Label("4", "42"),
)
# With these a list is long enough for its labels to be written, in every version of the prompt.
_MORE_LABELS = tuple(Label(str(place), name) for place, name in enumerate(("Gutschrift", "a b", "x1", "A"), 5))
_TASKS = (
    Task("category", _LABELS[:2]),
    Task("category", _LABELS, instructions="Look at the totals (all of them)."),
    Task("category", (*_LABELS, *_MORE_LABELS)),
    Task("category", _LABELS, labels_first=True),
    Task("flags", _LABELS[:4], multi_label=True, instructions="- Be strict"),
    Task("paid", (Label("yes", "Is it paid (in full)?"),), multi_label=True, criteria=("a stamp.", "(anything else)")),
)
_DOCUMENTS = (
    "Total due: 99.50 EUR",
    "Paid in full.\n\nThank you!",
    "   An indented line\nand another.\t",
    "\n\n(1) lines before and behind…\n\n",
    "/usr/bin; straße, 請求書, счёт 4711/2025:",
    "- a list\n- of things\n",
    "\u0301 begins with a mark that combines \U0001f9fe",
    # What a template may take for markup, or for a word to itself.
    '<b>Müller & Sohn</b> said "no": it\'s 5 < 6, {{ x }} {% y %} [z] /think, or /no_think at 100 %',
    "Total due: 99.50 EUR, payable within 30 days.\n" * 40,
)

_ANSWER = "PINPOINTMODELTURN"


@dataclass(frozen=True, slots=True)
class Compared:
    """What was the template's, token for token.

    Attributes:
        prompts: up to where the model begins to write.
        turns: with an answer.
        tokens: of all of these.
    """

    prompts: int
    turns: int
    tokens: int


def check_prompts(prompts: PromptBuilder) -> Compared:
    """Refuse a model whose prompts are not those of its chat template.

    Says in the log where the template is told a fixed date.

    Raises:
        ModelError: `chat_template`, with the first difference; `label_boundary`: the tokenizer has no tokens for
            ordinary labels, or the same ones.
    """
    try:
        found = _compared(prompts)
    except RequestError as error:
        raise ModelError(
            "label_boundary",
            f"this model's tokenizer does not tell ordinary labels apart ({error.message.partition(';')[0]}); use "
            "another model",
            "MODEL_NAME",
        ) from None
    if isinstance(found, str):
        raise ModelError(
            "chat_template",
            f"prompts for this model are not those of its own chat template: {found}; use another model",
            "MODEL_NAME",
        )
    _check_stop(prompts)
    if prompts.encoder.frame.dated:
        log.info("chat template: it asks for today's date and is always told %s", FIXED_DATE.date().isoformat())
    return found


def _check_stop(prompts: PromptBuilder) -> None:
    """Refuse an end of the turn that is not the first control token behind an answer, where the template has one."""
    encoder = prompts.encoder
    if not encoder.tokenizer.chat_template:
        return
    beginning = {encoder.tokenizer.bos_token_id} - {encoder.tokenizer.eos_token_id}
    turn = _answered(encoder.tokenizer, encoder.frame, "Which?", _ANSWER)
    # From the end, the first tokens that hold all of the answer.
    behind = next(
        (turn[at:] for at in reversed(range(len(turn))) if _ANSWER in encoder.tokenizer.decode(turn[at:])), []
    )
    ends = [token for token in behind if token in encoder.control_ids - beginning]
    if ends and ends[0] != encoder.stop:
        one, other = encoder.tokenizer.convert_ids_to_tokens([encoder.stop, ends[0]])
        raise ModelError(
            "chat_template",
            f"a turn of this model would end with {one!r}, and its chat template ends it with {other!r}; use another "
            "model",
            "MODEL_NAME",
        )


def first_difference(prompts: PromptBuilder) -> str | None:
    """The first token of a probe that differs from `apply_chat_template`'s, in words; None where none does."""
    found = _compared(prompts)
    return found if isinstance(found, str) else None


def _compared(prompts: PromptBuilder) -> Compared | str:
    counts, tokens = {"prompt": 0, "turn": 0}, 0
    for kind, where, ours, theirs in _comparisons(prompts):
        difference = _difference(prompts.encoder.tokenizer, ours, theirs)
        if difference is not None:
            return f"{difference} in {where}"
        counts[kind] += 1
        tokens += len(ours)
    return Compared(counts["prompt"], counts["turn"], tokens)


def _comparisons(prompts: PromptBuilder) -> Iterator[tuple[str, str, list[int], list[int]]]:
    """Of each probe: whether it is a prompt or a turn, in words as well, our tokens and those of the template."""
    tokenizer, frame = prompts.encoder.tokenizer, prompts.encoder.frame
    for task in (_scorable(prompts, task) for task in _TASKS):
        for text in _DOCUMENTS:
            laid = prompts.lay(task, prompts.document(text))
            for prompt, said in zip(laid, prompts.wording(task, text), strict=True):
                ours = [token for span in prompt.path for token in span]
                if frame.is_prompt:
                    asked = _asked(tokenizer, frame, said)
                    yield "prompt", "a prompt", ours[: len(asked)] if frame.header else ours, asked
                if not frame.is_turn:
                    continue
                for name, label in zip(prompts.answers(task), prompt.trie.labels, strict=True):
                    turn = _answered(tokenizer, frame, said, name)
                    answered = [*ours, *label]
                    yield "turn", f"a turn that answers {name!r}", answered, turn[: len(answered)]


def _scorable(prompts: PromptBuilder, task: Task) -> Task:
    """The task without labels that the tokenizer merges with the prompt: those are refused where they are asked for."""
    if task.multi_label:
        return task
    return replace(task, labels=tuple(label for label in task.labels if prompts.encoder.label_tokens(label.name)))


def _asked(tokenizer: Any, frame: ChatFrame, said: str) -> list[int]:
    if not tokenizer.chat_template:
        return _plain(tokenizer, frame.opening + said)
    ids: list[int] = render(tokenizer, [{"role": "user", "content": said}], generation_prompt=True, tokenize=True)
    return ids


def _answered(tokenizer: Any, frame: ChatFrame, said: str, answer: str) -> list[int]:
    if not tokenizer.chat_template:
        return _plain(tokenizer, frame.opening + said + frame.gap + answer)
    turn = [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
    ids: list[int] = render(tokenizer, turn, generation_prompt=False, tokenize=True)
    return ids


def _plain(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def _difference(tokenizer: Any, ours: Sequence[int], theirs: Sequence[int]) -> str | None:
    if list(ours) == list(theirs):
        return None
    pairs: Iterator[tuple[int, int]] = zip(ours, theirs, strict=False)
    place = next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(ours), len(theirs)))
    one, other = (
        tokenizer.convert_ids_to_tokens(ids[place]) if place < len(ids) else "the end" for ids in (ours, theirs)
    )
    return f"token {place} is {one!r} and the template has {other!r}"
