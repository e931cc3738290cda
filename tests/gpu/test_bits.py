"""A document's scores on a card, equal to the bit alone, among 200 others, and with its beginning kept or not."""

from collections.abc import Iterator

import pytest
import torch

from bench import bits
from pinpoint.engine import gpu
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.prefill import Prefill
from pinpoint.prompting.span_tree import Forest


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


def in_chunks(scorer: Scorer, document: list[int], chunk_tokens: int, others: list[list[int]]) -> list[float]:
    """Log-probabilities of two labels behind a document that is read in chunks, others asked in each of the passes."""
    prefill = Prefill((tuple(document),))
    while True:
        forest = Forest(same_bits=True)
        for other in others[::2]:
            scorer.prompts.add(forest, bits.ASKED, other)
        if not prefill.left:
            break
        forest.read(prefill, chunk_tokens)
        with scorer.run(forest):
            pass
    read = forest.add(document, begun=prefill)
    forest.give(read, prefill)
    ask = forest.ask(forest.add(bits.words(9), read), build_trie([(1000,), (1001, 1002)], 0))
    for other in others[1::2]:
        scorer.prompts.add(forest, bits.ASKED, other)
    with scorer.run(forest) as done:
        return list(done.scores[ask].log_probs)


def test_a_document_that_is_read_in_chunks_of_one_size_has_the_same_bits_in_any_company(scorer: Scorer) -> None:
    document = bits.words(1300)
    alone = in_chunks(scorer, document, 512, [])
    assert in_chunks(scorer, document, 512, bits.documents(60, 1, 60)) == alone
    assert in_chunks(scorer, document, 512, bits.documents(3, 2, 400)) == alone


def test_without_asking_for_them_the_bits_differ_so_that_the_test_can_fail(scorer: Scorer) -> None:
    found = bits.compare(scorer, bits.words(300), bits.documents(50, 1, 400), same_bits=False)
    assert not all(one.same for one in found)
    assert all(one.module for one in found if not one.same)
