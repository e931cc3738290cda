"""A long text encoded a stretch at a time has the tokens of the same text encoded at once."""

import random
from array import array
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pinpoint.prompting import long_text
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.long_text import AHEAD_CHARS, stretches, text_steps
from pinpoint.prompting.openings import Front
from tests.fakes import CORPUS, chatml_tokenizer, mixtral_tokenizer

STRETCH = 600
DIGITS_BY_THREE = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def embedded() -> Any:
    """NFKD, accents stripped, lower case, bytes."""
    return AutoTokenizer.from_pretrained(Path(long_text.__file__).parents[1] / "embedded")


def trained(tokenizer: Tokenizer, trainer: Any) -> Any:
    tokenizer.train_from_iterator([CORPUS, "1234567 2025 '' ... --- it's they'll\n\n\n    x\n\t\ty"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>")


def by_three() -> Any:
    """The split of newer vocabularies, with digits in groups of three, which start anew at every run."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(DIGITS_BY_THREE), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return trained(
        tokenizer,
        trainers.BpeTrainer(
            vocab_size=900, special_tokens=["</s>", "<unk>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )  # fmt: skip


@cache
def encoder_of(name: str) -> PromptEncoder:
    kinds: dict[str, Callable[[], Any]] = {
        "chatml": chatml_tokenizer, "embedded": embedded, "by three": by_three,
        "mixtral": lambda: mixtral_tokenizer(Path(mkdtemp())),
    }  # fmt: skip
    return PromptEncoder(kinds[name]())


def encode_with(name: str) -> Callable[[str], list[int]]:
    return partial(encoder_of(name).text, trusted=False)


KINDS = pytest.mark.parametrize("name", ["chatml", "embedded", "by three", "mixtral"])

runs = st.builds(
    lambda unit, times: unit * times,
    st.sampled_from(["a", "ab", "the contract ", "Invoice\n", " ", "\n", "\n\n", ".", "-", "1", "1234", "'", "it's ",
                     "they'll", "é", "e\u0301", "\u0301", "漢字", "\uac00", "\u1100\u1161", "\ufdfa",
                     "\U0001f469\u200d\U0001f467",
                     "</s>", "[INST]", "\t", "\xa0", "Ab", "aB", "\u3000", "\r\n", "x" * 40 + " "])
    | st.text(min_size=1, max_size=30),
    st.integers(1, 400),
)  # fmt: skip
texts = st.lists(runs, min_size=1, max_size=12).map(lambda parts: "".join(parts)[:6_000])


@KINDS
@settings(deadline=None, max_examples=25)
@given(texts)
# Of a group of ones none merge, so its edges do not show; the last group does.
@example("a" * 511 + "1" * 344 + "234")
@example("x" + "1" * 597 + "a" + "1" * 700 + "234 and more")
def test_a_long_text_has_the_tokens_that_it_has_at_once(name: str, text: str) -> None:
    encode = encode_with(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_text, "STRETCH_CHARS", STRETCH)
        read = list(stretches(encode, text, encoder_of(name).unknown))
    assert [token for _, tokens in read for token in tokens] == encode(text)
    assert sum(chars for chars, _ in read) >= len(text)


@KINDS
def test_questions_that_begin_alike_have_the_tokens_of_each_encoded_whole(name: str) -> None:
    encoder = encoder_of(name)
    front = Front(encoder, begin := "What is said of it? " * 30 + "  ")
    for after in ("1 a", " 1 a", "- a", " - b", "1 b"):
        steps = front.parts(begin + after)
        with pytest.raises(StopIteration) as done:
            while True:
                next(steps)
        assert [token for part in done.value.value for token in part] == encoder.text(begin + after, trusted=False)


@KINDS
@pytest.mark.parametrize("kind", ["prose", "one word", "one letter", "without spaces", "digits", "ideographs", "lines"])
def test_no_stretch_is_much_longer_than_it_should_be(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_text, "STRETCH_CHARS", STRETCH)
    dice = random.Random(1)
    text = {
        "prose": CORPUS * 8,
        "one word": "".join(dice.choice("abcdefgh") for _ in range(9_000)),
        "one letter": "a" * 9_000,
        "without spaces": CORPUS.replace(" ", "").replace("\n", "") * 8,
        "digits": "".join(dice.choice("0123456789") for _ in range(9_000)),
        "ideographs": "".join(chr(dice.randrange(0x4E00, 0x9FA5)) for _ in range(9_000)),
        "lines": "a\n" * 4_500,
    }[kind]
    encode = encode_with(name)
    longest, tokens = 0, list[int]()

    def measured(text: str) -> list[int]:
        nonlocal longest
        longest = max(longest, len(text))
        return encode(text)

    for _, found in stretches(measured, text):
        tokens += found
    assert tokens == encode(text)
    assert longest <= STRETCH + AHEAD_CHARS


def test_a_tokenizer_of_another_kind_is_given_the_text_at_once() -> None:
    assert encoder_of("mixtral").is_byte_pair and encoder_of("embedded").is_byte_pair
    encoder, text, tokens = PromptEncoder(chatml_tokenizer()), CORPUS * 30, array("i")
    encoder.is_byte_pair = False
    assert list(text_steps(encoder, text, tokens)) == [len(text)]
    assert tokens.tolist() == encoder.text(text, trusted=False)
