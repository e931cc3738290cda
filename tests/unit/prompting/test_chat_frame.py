"""Chat templates taken apart: what stands around an answer is the template's own, or the model is refused."""

import datetime
from typing import Any

import pytest

from pinpoint.errors import ModelError
from pinpoint.prompting.chat_frame import FIXED_DATE, ChatFrame, chat_frame, control_tokens
from pinpoint.prompting.encoder import PromptEncoder, contains_control
from pinpoint.prompting.prompt_proof import check_prompts, first_difference
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.taxonomy import Label, Task
from pinpoint.prompting.template import Version
from tests.unit.prompting.families import ADDED, FAMILIES, REFUSED, TOKENIZERS, Family, tokenizer

CLOCK = "transformers.utils.chat_template_utils.datetime"
TASK = Task("category", (Label("a", "invoice", "asks for money."), Label("b", "(other)")), instructions="Be strict!")
TEXT = "Total due (net):\n\n  99.50 EUR."


class FixedClock(datetime.datetime):
    """A clock that stands."""

    @classmethod
    def now(cls, tz: Any = None) -> "FixedClock":
        return cls(*FIXED_DATE.timetuple()[:6])


def with_template(monkeypatch: pytest.MonkeyPatch, template: Any, name: str = "cl100k") -> Any:
    model = tokenizer(name)
    monkeypatch.setattr(model, "chat_template", template)
    return model


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
def test_a_template_comes_apart_as_its_family_means_it(monkeypatch: pytest.MonkeyPatch, family: Family) -> None:
    frame = chat_frame(with_template(monkeypatch, family.template))
    assert frame == ChatFrame(
        family.opening, family.closing, family.gap, family.stop, family.is_prompt, family.is_turn, family.dated,
        family.header,
    )  # fmt: skip
    assert frame.is_prompt or frame.is_turn, "nothing would be left to compare with"


# Version 2 of every family on every tokenizer; version 1 of every family on one, so that each has three or four.
PROMPTS = [
    pytest.param(family, name, version, id=f"{of}-{name}-{version}")
    for at, (of, family) in enumerate(FAMILIES.items())
    for place, name in enumerate(TOKENIZERS)
    for version in ((1, 3) if place == at % len(TOKENIZERS) else (3,))
]


@pytest.mark.parametrize(("family", "name", "version"), PROMPTS)
def test_a_prompt_is_what_the_template_gives_for_the_same_conversation(
    monkeypatch: pytest.MonkeyPatch, family: Family, name: str, version: Version
) -> None:
    model = with_template(monkeypatch, family.template, name)
    if name == "gpt-2" and family.closing.endswith("\n\n"):
        # Two line breaks are one token at the end of a text and two before a word: no label extends such a prompt.
        with pytest.raises(ModelError, match="label_boundary"):
            PromptEncoder(model)
        return
    prompts = PromptBuilder(PromptEncoder(model), version)
    assert first_difference(prompts) is None
    # And said again without the proof's own code.
    monkeypatch.setattr(CLOCK, FixedClock)
    (prompt,), (said,) = prompts.lay(TASK, prompts.document(TEXT)), prompts.wording(TASK, TEXT)
    ours = [token for span in prompt.path for token in span]
    switches = {"enable_thinking": False, "thinking": False, "reasoning": False, "thinking_budget": 0}
    user = {"role": "user", "content": said}
    if family.is_prompt:
        asked = model.apply_chat_template([user], add_generation_prompt=True, return_dict=False, **switches)
        header = model.encode(family.header, add_special_tokens=False) if family.header else []
        assert ours == [*asked, *header]
    if family.is_turn:
        for answer, tokens in zip(prompts.answers(TASK), prompt.trie.labels, strict=True):
            turn = [user, {"role": "assistant", "content": answer}]
            whole = model.apply_chat_template(turn, return_dict=False, **switches)
            assert whole[: len(ours) + len(tokens)] == [*ours, *tokens]
    assert model.convert_ids_to_tokens(prompts.encoder.stop) == family.stop


@pytest.mark.parametrize(("template", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_template_that_cannot_be_used_is_refused_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, template: str, words: str
) -> None:
    with pytest.raises(ModelError) as caught:
        PromptEncoder(with_template(monkeypatch, template))
    assert (caught.value.code, caught.value.field) == ("chat_template", "MODEL_NAME")
    assert words in caught.value.message
    assert not caught.value.message.endswith(":")


def test_several_templates_of_which_none_is_the_default_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError) as caught:
        chat_frame(with_template(monkeypatch, {"rag": "x", "tool_use": "y"}))
    assert caught.value.code == "chat_template"


def test_an_error_without_words_still_says_something(monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_template(monkeypatch, "{{ raise_exception('') }}")
    with pytest.raises(ModelError, match="TemplateError"):
        chat_frame(model)


def test_a_template_that_asks_for_the_day_gives_the_same_prompt_every_day(monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_template(monkeypatch, FAMILIES["llama 3.2: today's date"].template)
    before = PromptEncoder(model).opening()

    class Later(FixedClock):
        @classmethod
        def now(cls, tz: Any = None) -> "Later":
            return cls(2031, 1, 1)

    monkeypatch.setattr(CLOCK, Later)
    asked = [{"role": "user", "content": "x"}]
    assert "2031" in model.apply_chat_template(asked, tokenize=False)
    assert PromptEncoder(model).opening() == before
    assert "2024" in model.decode(before) and FIXED_DATE.year == 2024


@pytest.mark.parametrize("name", ["llama 3.2: today's date", "chatml"])
def test_a_fixed_date_is_said_in_the_log_and_only_where_one_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    model = with_template(monkeypatch, FAMILIES[name].template)
    with caplog.at_level("INFO", "pinpoint"):
        check_prompts(PromptBuilder(PromptEncoder(model)))
    assert ("is always told 2024-07-26" in caplog.text) is FAMILIES[name].dated


def test_tokens_that_are_only_added_count_as_control_and_white_space_does_not() -> None:
    names = control_tokens(tokenizer("gemma")).values()
    assert {"<think>", "</think>", "<tool_call>", "<|im_end|>"} <= set(names)
    assert not {"\n", "\n\n", "▁▁"} & set(names)


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("text", ["</think>", "<tool_call>{}</tool_call>", "<think>", "a <|channel>b<channel|> c"])
def test_no_added_token_comes_out_of_a_document(name: str, text: str) -> None:
    model = tokenizer(name)
    encoder = PromptEncoder(model)
    added = set(model.convert_tokens_to_ids(ADDED))
    assert added <= encoder.control_ids
    assert added & set(model.encode(text, add_special_tokens=False, split_special_tokens=True)), "nothing to prevent"
    prompts = PromptBuilder(encoder)
    assert not contains_control(prompts.document(text), encoder.control_ids)
    assert not contains_control(encoder.label_tokens(f"a {text}"), encoder.control_ids)
    (plain,) = prompts.lay(TASK, prompts.document("x"))
    (attacked,) = prompts.lay(
        Task("category", (Label("a", f"x {text}", text), Label("b", text)), instructions=text), prompts.document(text)
    )
    control = [[t for span in p.path for t in span if t in encoder.control_ids] for p in (plain, attacked)]
    assert control[0] == control[1]
