"""Prompts against `apply_chat_template`: on the makers' own tokenizers, and with a seam where tokenizers do merge."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pinpoint.checkpoints.sources import embedded_folder
from pinpoint.errors import ModelError, RequestError
from pinpoint.prompting import template
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.prompt_proof import check_prompts, first_difference
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.taxonomy import Label, Task
from pinpoint.prompting.template import Piece, Version
from tests.fakes import mixtral_tokenizer
from tests.unit.prompting.families import (
    TOKENIZERS,
    collapsing,
    mistral_tokenizer,
    of_words,
    tekken_tokenizer,
    tokenizer,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokenizers")


def embedded(folder: Path) -> Any:
    from transformers import AutoTokenizer  # imports torch

    return AutoTokenizer.from_pretrained(embedded_folder())


MAKERS = {
    "mixtral": mixtral_tokenizer, "mistral v3": mistral_tokenizer, "tekken": tekken_tokenizer, "embedded": embedded,
}  # fmt: skip


@pytest.mark.parametrize("name", MAKERS)
def test_prompts_of_real_tokenizers_are_those_of_their_templates(name: str, folder: Path) -> None:
    prompts = PromptBuilder(PromptEncoder(MAKERS[name](folder / name)))
    check_prompts(prompts)
    # Not vacuous: another first word would be noticed.
    prompts._root = (*prompts._root[:-2], prompts._root[-1])
    with pytest.raises(ModelError, match="chat_template"):
        check_prompts(prompts)


@pytest.mark.parametrize("name", ["mixtral", "mistral v3"])
def test_the_first_word_is_the_one_the_model_was_trained_to_see(name: str, folder: Path) -> None:
    prompts = PromptBuilder(PromptEncoder(MAKERS[name](folder / name)))
    words = prompts.encoder.tokenizer.convert_ids_to_tokens(prompts._root)
    assert words[words.index("]" if name == "mixtral" else "[INST]") + 1] == "▁Answer"


def test_mistrals_own_encoder_agrees(folder: Path) -> None:
    from mistral_common.protocol.instruct.messages import UserMessage
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    task = Task("category", (Label("a", "invoice"), Label("b", "receipt", "paid (at once).")))
    for name, makers in (("mixtral", MistralTokenizer.v1()), ("mistral v3", MistralTokenizer.v3())):
        prompts = PromptBuilder(PromptEncoder(MAKERS[name](folder / name)))
        for text in ("Total due: 99.50 EUR.", "(1) lines\n\nand signs…"):
            (prompt,), (said,) = prompts.lay(task, prompts.document(text)), prompts.wording(task, text)
            request = ChatCompletionRequest(messages=[UserMessage(content=said)])
            assert [t for span in prompt.path for t in span] == makers.encode_chat_completion(request).tokens


outside = st.text(st.sampled_from("ab1 .:;()/-\n\t'é́🧾請▁"), min_size=1, max_size=24)
name = outside.map(str.strip).filter(lambda name: name and "\n" not in name)
names = st.lists(name, min_size=2, max_size=4, unique=True)


@settings(deadline=None, max_examples=40)
@example("cl100k", ["1", ":"], "\n", None, "1", False)  # a line break from outside beside one of ours
@example("o200k", ["1", ":"], None, "(a)\n", "1", True)
@given(st.sampled_from(sorted(TOKENIZERS)), names, st.none() | outside, st.none() | outside, outside, st.booleans())
def test_any_words_without_control_tokens_are_encoded_as_in_one_text(
    name: str, labels: list[str], described: str | None, instructions: str | None, text: str, multi_label: bool
) -> None:
    prompts = PromptBuilder(PromptEncoder(tokenizer(name)))
    task = Task(
        "category",
        tuple(Label(label, label, described) for label in labels if prompts.encoder.label_tokens(label)),
        multi_label,
        instructions,
    )
    try:
        laid = prompts.lay(task, prompts.document(text))
    except Exception as error:  # two labels with the same tokens, or none left
        assert getattr(error, "code", "") in ("duplicate_label", ""), error
        return
    for prompt, said in zip(laid, prompts.wording(task, text), strict=True):
        chat = [{"role": "user", "content": said}]
        whole = prompts.encoder.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        assert [token for span in prompt.path for token in span] == whole


def test_a_tokenizer_that_leaves_no_seam_is_refused() -> None:
    model = collapsing()
    model.chat_template = "{% for m in messages %}{{ m['content'] }}</s>{% endfor %}"
    with pytest.raises(ModelError, match=r"(?s)chat_template: .*token \d+ is .* and the template has .*use another"):
        check_prompts(PromptBuilder(PromptEncoder(model)))


def test_a_vocabulary_of_words_that_lacks_the_labels_is_refused_as_such() -> None:
    model = of_words()
    with pytest.raises(ModelError, match=r"label_boundary: .* does not tell ordinary labels apart") as caught:
        check_prompts(PromptBuilder(PromptEncoder(model)))
    assert caught.value.field == "MODEL_NAME"


def test_merges_that_training_leaves_out_at_random_are_made() -> None:
    model = copy.deepcopy(tokenizer("cl100k"))
    model.backend_tokenizer.model.dropout = 0.5
    check_prompts(PromptBuilder(PromptEncoder(model)))
    assert model.backend_tokenizer.model.dropout is None


def test_a_template_that_changes_what_is_said_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tokenizer("gpt-2")
    changed = model.chat_template.replace("m['content']", "(m['content'] | replace('invoice', 'bill'))")
    monkeypatch.setattr(model, "chat_template", changed)
    assert "'Ġbill'" in str(first_difference(PromptBuilder(PromptEncoder(model))))


def test_a_seam_behind_a_colon_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the proof is for: a wording whose parts merge with one another."""
    monkeypatch.setattr(template, "root", lambda: iter([Piece("Answer the question (in one word).", True)]))
    monkeypatch.setattr(template, "_question", lambda default, task: iter([Piece(f"\nQuestion: {default}\n", True)]))
    prompts = PromptBuilder(PromptEncoder(tokenizer("cl100k")), 1)
    assert first_difference(prompts) is not None


def test_a_label_that_merges_with_the_prompt_is_refused_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tokenizer("o200k")
    monkeypatch.setattr(
        model, "chat_template", "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] }}\n(:\n"
        "{% else %}{{ m['content'] }}</s>{% endif %}{% endfor %}"
    )  # fmt: skip
    task = Task("kind", (Label("a", "invoice"), Label("b", "/etc/passwd")))
    version: Version
    for version in (1, 3):
        prompts = PromptBuilder(PromptEncoder(model), version)
        assert first_difference(prompts) is None
        if version == 1:
            with pytest.raises(RequestError, match=r"invalid_label: .* \(tasks.kind.labels\[1\]\)"):
                prompts.questions(task)
        else:
            assert prompts.answers(task) == ["A", "B"], "its letter merges with nothing"
            assert prompts.questions(task)


def test_an_end_of_the_turn_that_the_template_has_not_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = tokenizer("cl100k")
    prompts = PromptBuilder(PromptEncoder(chosen))
    check_prompts(prompts)
    monkeypatch.setattr(prompts.encoder, "stop", chosen.eos_token_id)
    with pytest.raises(ModelError, match=r"'<.endoftext.>', and its chat template ends it with '<.im_end.>'") as caught:
        check_prompts(prompts)
    assert caught.value.code == "chat_template"
