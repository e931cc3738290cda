"""What a model's chat template puts around a question and its answer, taken apart once, at load.

Two renderings tell: one of a user's turn with the generation prompt, one of the same turn and the model's answer::

    ‹opening› question ‹closing›                      what apply_chat_template(add_generation_prompt=True) gives
    ‹opening› question ‹closing› ‹gap› answer ‹stop›  what a finished turn looks like

All that stands between question and answer is ours, control tokens included, whichever rendering shows it: channels
(GPT-OSS), the answer's header where the template has no generation prompt, an empty thinking block (Qwen 3). Only
spaces right before the answer belong to its first token, since that is how tokenizers join them.

Switches for thinking are off: a label is an answer, not the beginning of a thought. A thinking block that stays open
all the same is refused, and so is a generation prompt that no finished turn has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pinpoint.errors import ModelError

# Stand in for the turns when a template is taken apart; plain enough that no tokenizer treats them specially.
_USER_MARK = "PINPOINTUSERTURN"
_MODEL_MARK = "PINPOINTMODELTURN"
_NEXT_MARK = "PINPOINTNEXTTURN"
# The same answer on every day and on every worker: the date that Llama 3's own templates fall back to.
FIXED_DATE = datetime(2024, 7, 26)
_ANOTHER_DATE = datetime(2031, 11, 3, 17, 45, 56)  # differs in every part
_DATE_CODES = (
    *(f"%-{letter}" for letter in "dmHIMSjy"), *(f"%{letter}" for letter in "aAbBcdDeFfGhHIjmMpSTuUVwWxXyYzZ%")
)  # fmt: skip
# As the families call them: Qwen 3, GLM, SmolLM 3, Nemotron and Gemma 4; DeepSeek and Granite; Command; Seed-OSS.
THINKING_OFF: Mapping[str, Any] = {
    "enable_thinking": False, "thinking": False, "reasoning": False, "thinking_budget": 0,
}  # fmt: skip
_THINKING = re.compile(r"<[^<>\n]*(?:think|thought|reason)[^<>\n]*>|\[/?(?:think|thought|reason)\w*\]", re.IGNORECASE)
_MARKUP = re.compile(r"<[^<>\n]+>|\[/?[A-Z_]+\]")
_WORDS_CHARS = 300  # of a template's own words in an error

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChatFrame:
    """What the chat template puts around the user's text and around the answer.

    Attributes:
        opening: text before the user's content, with the start-of-text token where the template has one.
        closing: text from the end of the user's content to where the model begins to write.
        gap: text between that point and the answer's first character, often one space or nothing.
        stop: the control token that ends the model's turn; empty where nothing does.
        header: the end of `closing`, where it is what finished turns have before an answer and the generation prompt,
            which ends with a closed block that they do not have, leaves to the model (Command).
        is_prompt: whether opening, content and closing, but for `header`, are what the template gives with its
            generation prompt.
        is_turn: whether opening, content, closing, gap and answer are how a finished turn begins.
        dated: whether the template asks for today's date; it is given `FIXED_DATE`.
    """

    opening: str
    closing: str
    gap: str
    stop: str
    is_prompt: bool = True
    is_turn: bool = True
    dated: bool = False
    header: str = ""


def chat_frame(tokenizer: Any) -> ChatFrame:
    """Take a tokenizer's chat template apart; a tokenizer without one gets a plain frame.

    Raises:
        ModelError: `chat_template`, with the template's own words where it has any.
    """
    if not getattr(tokenizer, "chat_template", None):
        return ChatFrame(tokenizer.bos_token or "", "", " ", tokenizer.eos_token or "")
    user: list[Message] = [{"role": "user", "content": _USER_MARK}]
    turn = [*user, {"role": "assistant", "content": _MODEL_MARK}]
    prompt = _shown(tokenizer, user, [_USER_MARK], generation_prompt=True)
    whole = _shown(tokenizer, turn, [_USER_MARK, _MODEL_MARK], generation_prompt=False)
    opening, _, asked = prompt.partition(_USER_MARK)
    before, _, answered = whole.partition(_USER_MARK)
    between, _, after = answered.partition(_MODEL_MARK)
    closing, gap, header = _apart(asked, between)
    return ChatFrame(
        opening,
        closing,
        gap,
        _stop(tokenizer, turn, after),
        is_prompt=closing == asked + header,
        is_turn=before == opening and between == closing + gap,
        dated=prompt != render(tokenizer, user, generation_prompt=True, day=_ANOTHER_DATE),
        header=header,
    )


def render(
    tokenizer: Any, messages: Sequence[Message], *, generation_prompt: bool, tokenize: bool = False,
    day: datetime = FIXED_DATE,
) -> Any:  # fmt: skip
    """What the chat template makes of a conversation, as text or as token ids: `apply_chat_template`, on a fixed day
    and without thinking.

    Raises:
        ModelError: `chat_template`: the template raises.
    """
    try:
        return tokenizer.apply_chat_template(
            list(messages),
            chat_template=_on(day, tokenizer.get_chat_template()),
            tokenize=tokenize,
            add_generation_prompt=generation_prompt,
            **({"return_dict": False} if tokenize else {}),
            **THINKING_OFF,
        )
    except Exception as error:  # a template is a program of the checkpoint's: it may raise anything
        words = " ".join(str(error).split())[:_WORDS_CHARS] or type(error).__name__
        raise ModelError(
            "chat_template", f"the model's chat template cannot be used; it says: {words}", "MODEL_NAME"
        ) from None


def control_tokens(tokenizer: Any) -> dict[int, str]:
    """Ids and texts of all tokens that stand outside a tokenizer's vocabulary of text, special or not.

    Added tokens of white space alone are text: Gemma's line breaks and the runs of spaces of code models.
    """
    added = {int(index): token.content for index, token in tokenizer.added_tokens_decoder.items()}
    special = dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))
    return {index: text for index, text in {**added, **special}.items() if text.strip(" \t\r\n\u2581")}


def _on(day: datetime, source: str) -> str:
    """The template with a macro of ours in the place of the clock: a function cannot be handed in, only data."""
    if "strftime_now" not in source:
        return source
    # Longer directives first: %-d is not a %- and a d. What is left of a format is words.
    parts = ((code, day.strftime(code)) for code in _DATE_CODES)
    known = "".join(f" | replace({code!r}, {text!r})" for code, text in parts if code != text)
    # The line break is taken by the block before it; so the template still begins a line, where spaces are trimmed.
    return "{%- macro strftime_now(format) -%}{{ format" + known + " }}{%- endmacro %}\n" + source


def _shown(tokenizer: Any, messages: Sequence[Message], marks: Sequence[str], *, generation_prompt: bool) -> str:
    """The rendered conversation, in which each mark must stand once, in order."""
    refused = None
    try:
        text: str = render(tokenizer, messages, generation_prompt=generation_prompt)
        places = [text.find(mark) for mark in marks]
        if -1 not in places and places == sorted(places) and all(text.count(mark) == 1 for mark in marks):
            return text
    except ModelError as error:
        refused = error
    if _takes_parts(tokenizer, messages, marks, generation_prompt=generation_prompt):
        raise _refusal("needs its content in typed parts, as models for images do")
    if refused is not None:
        raise refused
    if marks[0] not in text:
        raise _refusal("does not show the user's turn as it was said")
    if marks[-1] not in text:
        raise _refusal("has no turn of the assistant, or does not show it as it was said")
    raise _refusal("does not show each turn once and in order")


def _takes_parts(tokenizer: Any, messages: Sequence[Message], marks: Sequence[str], *, generation_prompt: bool) -> bool:
    parts = [{**message, "content": [{"type": "text", "text": message["content"]}]} for message in messages]
    try:
        text: str = render(tokenizer, parts, generation_prompt=generation_prompt)
    except ModelError:
        return False
    # A template that prints what it is given shows the part's brackets, too.
    return all(mark in text for mark in marks) and "'type'" not in text


def _apart(asked: str, between: str) -> tuple[str, str, str]:
    """Closing, gap and header, from what follows the question in the prompt and what precedes the answer in a finished
    turn.
    """
    header = ""
    closes_it = _thinks(asked) and not _thinks(between) and between.startswith(asked.rstrip())
    if between.startswith(asked) or closes_it:
        closing = between
    else:
        common = _common(asked, between)
        extra, rest = asked[common:], between[common:]
        if extra.strip() and not _is_closed_block(extra):
            problem = "leaves a thinking block open before the answer" if _thinks(extra) else "begins the answer"
            raise _refusal(f"{problem} with {extra.strip()[:80]!r}, which no finished turn of it has")
        if extra.strip() and _MARKUP.search(rest) and not _THINKING.search(rest):
            header = rest.rstrip(" ")
        closing = asked + header + rest[len(header) :] if header else asked
    if _thinks(closing):
        raise _refusal("leaves a thinking block open before the answer")
    bare = closing.rstrip(" ")
    return bare, closing[len(bare) :], header


def _common(one: str, other: str) -> int:
    """How long two texts are the same, up to the beginning of markup that differs."""
    pairs = enumerate(zip(one, other, strict=False))
    common = next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
    begun = one.rfind("<", 0, common)
    return begun if begun >= 0 and ">" not in one[begun:common] else common


def _thinks(text: str) -> bool:
    """Whether the last thinking mark of a text opens a block."""
    marks: list[str] = _THINKING.findall(text)
    return bool(marks) and not _closes(marks[-1])


def _is_closed_block(text: str) -> bool:
    """Whether a text is a block of markup that ends closed: `<think></think>`, `<|channel>thought<channel|>`."""
    marks = _MARKUP.findall(text)
    return len(marks) > 0 and _closes(marks[-1]) and text.rstrip().endswith(marks[-1])


def _closes(mark: str) -> bool:
    name = mark.strip("<>[]|\uff5c").lower()
    return name.startswith(("/", "end")) or (mark.endswith("|>") and not mark.startswith("<|"))


def _stop(tokenizer: Any, turn: Sequence[Message], after: str) -> str:
    """The control token that really ends a turn: what the template puts after one, else before the next."""
    names = set(control_tokens(tokenizer).values())
    if tokenizer.bos_token != tokenizer.eos_token:
        names.discard(tokenizer.bos_token)
    found = _first_of(names, after)
    if found is None:
        try:
            more = [*turn, {"role": "user", "content": _NEXT_MARK}]
            text: str = render(tokenizer, more, generation_prompt=False)
        except ModelError:  # a template that takes one turn only
            text = ""
        found = _first_of(names, text.partition(_MODEL_MARK)[2].partition(_NEXT_MARK)[0])
    return found or tokenizer.eos_token or ""


def _first_of(names: Iterable[str], text: str) -> str | None:
    """The name that stands first in a text; of two at one place the longer."""
    places = [(text.find(name), -len(name), name) for name in names if name in text]
    return min(places)[2] if places else None


def _refusal(what: str) -> ModelError:
    return ModelError("chat_template", f"the model's chat template {what}; use another model", "MODEL_NAME")
