"""Documents between their fences: encoded as one text where they are whole, token by token where they are parts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.prompting import template
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.fence import DocumentTokens, Fence
from pinpoint.prompting.long_document import fit
from tests.unit.prompting.families import TOKENIZERS, tokenizer

FENCES = {name: Fence(PromptEncoder(tokenizer(name))) for name in TOKENIZERS}
EDGES = (
    "Paid in full.",
    "  indented",
    "\n\nlines\n\n",
    "/usr",
    "(signed)\n",
    "",
    " ",
    "Document:\nDocument:",
    "é\u0301",
)
# U+2581 is how SentencePiece writes a space.
texts = st.sampled_from(EDGES) | st.text(st.sampled_from("ab1 .:;()/-\n\t'é"), max_size=30)


def shown(fence: Fence, tokens: tuple[int, ...]) -> str:
    encoder = fence._encoder
    text = encoder.tokenizer.decode([*encoder._anchor_trusted, *tokens], clean_up_tokenization_spaces=False)
    return str(text).split("\n", 1)[1]


@settings(deadline=None)
@given(st.sampled_from(sorted(FENCES)), texts)
def test_a_whole_document_is_encoded_together_with_its_fence(name: str, text: str) -> None:
    fence = FENCES[name]
    document = fence.document(text)
    whole = "".join(piece.text for piece in template.document(text))
    assert shown(fence, fence.around(document)) == whole
    assert len(fence.around(document)) <= len(document) + len(fence)
    (part,) = fit(document, [], len(document) or 1, "head_tail", "text").parts
    assert fence.around(part) == fence.around(document)
    if document:
        (page,) = fit([], [document], len(document), "pages", "text").parts
        assert fence.around(page) == fence.around(document)


@pytest.mark.parametrize("name", sorted(FENCES))
def test_a_document_that_just_fits_is_encoded_with_its_fence_in_steps_too(name: str) -> None:
    fence, text = FENCES[name], "  indented\nPaid in full."
    document = fence.document(text)
    steps = fence.document_steps(text, len(document))
    with pytest.raises(StopIteration) as done:
        while True:
            next(steps)
    assert done.value.value == document and fence.around(done.value.value) == fence.around(document)


@settings(deadline=None)
@given(st.sampled_from(sorted(FENCES)), texts)
def test_a_documents_own_tokens_say_its_text(name: str, text: str) -> None:
    document = FENCES[name].document(text)
    said = shown(FENCES[name], tuple(document))
    # A line break that is one token with the full stop before it stays with the document.
    assert said in (text, f"{text}\n")
    assert isinstance(document, DocumentTokens) and type(document[:1]) is tuple


# A cut may part the bytes of one letter, which then cannot be read.
@settings(deadline=None)
@given(st.sampled_from(sorted(FENCES)), texts.filter(str.isascii), st.integers(1, 6))
def test_a_part_of_a_document_stands_between_the_fences_on_lines_of_its_own(name: str, text: str, room: int) -> None:
    fence = FENCES[name]
    opening, _, closing = (piece.text for piece in template.document(""))
    for part in fit([], [fence.document(text)], room, "pages", "text").parts:
        around = fence.around(part)
        assert len(around) <= len(part) + len(fence)
        if not isinstance(part, DocumentTokens):
            body = shown(fence, part)
            assert shown(fence, around) in (opening + body + closing, opening + body.removesuffix("\n") + closing)


@pytest.mark.parametrize("name", ["cl100k", "o200k"])
def test_no_empty_line_is_added_behind_a_line_break_that_is_one_token_with_a_full_stop(name: str) -> None:
    fence = FENCES[name]
    document = fence.document("Paid in full.")
    assert fence._encoder.show(document[-1]) == ".\n", "nothing to show"
    assert shown(fence, fence.around(document[1:])).endswith("full.\nEnd of document.\n")


@pytest.mark.parametrize("name", sorted(FENCES))
def test_what_takes_more_together_than_it_is_counted_for_is_set_token_by_token(name: str) -> None:
    fence = FENCES[name]
    own = tuple(fence.document("Paid on time"))
    counted = (own[0],) * (len(own) + len(fence))
    assert fence.around(fence._fenced(own, counted)) == counted
    assert fence.around(fence._fenced(own, (*counted, own[0]))) == (*fence._opening, *own, *fence._closing)
