"""Fitting documents: what fits stays whole, the rest is cut or parted as the mode says, nothing is lost unsaid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.errors import DocumentError
from pinpoint.prompting.long_document import HEAD_SHARE, Mode, fit

lengths = st.integers(0, 60)
rooms = st.integers(1, 40)


@given(lengths, st.integers(0, 20), st.sampled_from(["head_tail", "error"]))
def test_a_document_that_fits_is_shown_whole(length: int, spare: int, mode: Mode) -> None:
    fitted = fit(range(length), [], max(1, length + spare), mode, "documents[0]")
    assert fitted.parts == (tuple(range(length)),)
    assert (fitted.pages, fitted.dropped, fitted.tokens) == ((0,), 0, length)


@given(rooms, st.integers(1, 60))
def test_head_and_tail_fill_the_room_and_leave_out_one_run_of_the_middle(room: int, over: int) -> None:
    length = room + over
    fitted = fit(range(length), [], room, "head_tail", "documents[0]")
    (shown,) = fitted.parts
    assert (fitted.tokens, fitted.dropped) == (room, over)
    head = round(room * HEAD_SHARE)
    assert shown == (*range(head), *range(length - (room - head), length))


@given(rooms, st.integers(1, 60))
def test_a_document_that_must_not_be_cut_is_refused_with_both_lengths(room: int, over: int) -> None:
    with pytest.raises(DocumentError) as caught:
        fit(range(room + over), [], room, "error", "documents[3]")
    assert (caught.value.code, caught.value.field) == ("document_too_long", "documents[3]")
    assert f"{room + over} tokens and {room} fit" in caught.value.message


@given(st.lists(lengths, max_size=6), rooms)
def test_pages_are_parted_without_loss_and_no_part_mixes_two_pages(page_lengths: list[int], room: int) -> None:
    pages = [[(page, token) for token in range(length)] for page, length in enumerate(page_lengths)]
    numbered = [[1000 * page + token for page, token in tokens] for tokens in pages]
    fitted = fit([], numbered, room, "pages", "documents[0]")
    assert [token for part in fitted.parts for token in part] == [token for tokens in numbered for token in tokens]
    assert fitted.dropped == 0
    for page, part in zip(fitted.pages, fitted.parts, strict=True):
        assert 0 < len(part) <= room
        assert {token // 1000 for token in part} == {page}
    # No more parts than needed.
    assert len(fitted.parts) == sum(-(-length // room) for length in page_lengths)
