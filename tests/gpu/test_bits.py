"""A document's scores on a card, equal to the bit alone, among 200 others, and with its beginning kept or not."""

from collections.abc import Iterator

import pytest
import torch

from bench import bits
from pinpoint.engine import gpu
from pinpoint.engine.scorer import Scorer


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    """Two full-size layers in 8 bits, activations in 16."""
    made = next(iter(bits.on_cuda(2)))[1]
    yield made
    del made
    gpu.release()


@pytest.mark.parametrize("tokens", [1, 61, 300, 1000])
def test_a_documents_scores_are_the_same_to_the_bit_in_any_company(scorer: Scorer, tokens: int) -> None:
    others = bits.documents(200, 1, 400)
    found = bits.compare(scorer, bits.words(tokens), others)
    print(*found, sep="\n")
    assert [one for one in found if not one.same] == []
    torch.cuda.synchronize()


def test_without_asking_for_them_the_bits_differ_so_that_the_test_can_fail(scorer: Scorer) -> None:
    found = bits.compare(scorer, bits.words(300), bits.documents(50, 1, 400), same_bits=False)
    assert not all(one.same for one in found)
    assert all(one.module for one in found if not one.same)
