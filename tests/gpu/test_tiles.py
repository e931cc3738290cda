"""The kernel of tiles on a card against its slow twin, and that a row's bits hang on nothing beside it."""

import random

import pytest
import torch
from torch import Tensor

from bench.gpu_checks import random_row
from pinpoint.engine.forward import tiles
from pinpoint.engine.forward.packing import PackedRow, pack
from pinpoint.engine.forward.runs import NEVER, split
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.span_tree import Forest
from tests.reference.tiles import slow_attend

CUDA = torch.device("cuda", 0)
HEADS = [(4, 4, 64), (4, 2, 128), (14, 2, 80), (12, 1, 96), (8, 4, 256), (40, 2, 16)]
ASKED = ["nothing", "a window", "sinks", "a cap", "all of it"]
CASES = [*((32, 8, 128, asked) for asked in ASKED), *((*heads, "all of it") for heads in HEADS)]


def states(row: PackedRow, heads: int, groups: int, size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Query [H, T, D], key and value [G, P + T, D] as layers hand them: a token's heads side by side."""
    generator = torch.Generator(CUDA).manual_seed(0)
    tokens = len(row.tokens)
    query = torch.randn(tokens, heads, size, device=CUDA, generator=generator) * 2
    key, value = (torch.randn(row.kept_tokens + tokens, groups, size, device=CUDA, generator=generator) for _ in "kv")
    one, two, three = (x.to(dtype).transpose(0, 1) for x in (query, key, value))
    return one, two, three


def made(
    row: PackedRow, given: tuple[Tensor, ...], window: int | None = None, same_bits: bool = False,
    sinks: Tensor | None = None, softcap: float | None = None,
) -> Tensor:  # fmt: skip
    """[T, H, D] of a row whose spans are all narrow."""
    query, key, value = given
    _, groups = split(row, window, same_bits, NEVER)
    cut = tiles.make_tiles(row, groups, tiles.tile_tokens(len(query), len(key)), CUDA, window)
    out = torch.full((query.shape[1], len(query), query.shape[2]), torch.nan, dtype=query.dtype, device=CUDA)
    tiles.attend(query, key, value, query.shape[2] ** -0.5, cut, out, sinks, softcap)
    return out


@pytest.mark.parametrize(("heads", "groups", "size", "asked"), CASES)
def test_tiles_are_those_of_the_twin(heads: int, groups: int, size: int, asked: str) -> None:
    dtype = torch.float16 if size == 80 else torch.bfloat16
    rng = random.Random(heads)
    generator = torch.Generator(CUDA).manual_seed(1)
    sinks = torch.randn(heads, device=CUDA, generator=generator) if asked in ("sinks", "all of it") else None
    window, softcap = (
        7 if asked in ("a window", "all of it") else None,
        2.0 if asked in ("a cap", "all of it") else None,
    )
    for longest in (3, 40):
        row = random_row(rng, longest)
        given = states(row, heads, groups, size, dtype)
        out = made(row, given, window, False, sinks, softcap)
        cut = tiles.make_tiles(row, split(row, window, False, NEVER)[1], 5, torch.device("cpu"), window)
        expected = torch.full(out.shape, torch.nan)
        query, key, value = (x.cpu().float() for x in given)
        slow_attend(query, key, value, size**-0.5, cut, expected, None if sinks is None else sinks.cpu(), softcap)
        apart = (out.cpu().float() - expected).norm() / expected.norm()
        assert apart < 4 * torch.finfo(dtype).eps, (longest, float(apart))


@pytest.mark.parametrize("window", [None, 50])
def test_a_row_has_the_same_bits_beside_others(window: int | None) -> None:
    """A question about a document, alone and among other documents and other questions about the same one."""
    rng, trie = random.Random(2), build_trie([(1,), (2, 3), (2, 4, 5), (6,)], 0)
    document, question = ([rng.randint(10, 99) for _ in range(length)] for length in (333, 21))

    def forest(before: int, beside: int) -> tuple[PackedRow, slice]:
        made = Forest()
        for _ in range(before):
            made.ask(made.add([rng.randint(10, 99) for _ in range(rng.randint(1, 300))]), trie)
        span = made.add(document)
        for _ in range(beside):
            made.ask(made.add([rng.randint(10, 99) for _ in range(rng.randint(1, 30))], span), trie)
        asked = made.add(question, span)
        made.ask(asked, trie)
        row = pack(made)
        return row, slice(row.span_starts[asked], row.tries[-1][1])

    alone, where = forest(0, 0)
    ids = torch.randn(100, 8, 3, 128, device=CUDA, generator=torch.Generator(CUDA).manual_seed(3)).bfloat16()

    def given(row: PackedRow) -> tuple[Tensor, Tensor, Tensor]:
        of = ids[torch.from_numpy(row.tokens).to(CUDA)]  # a token's states are the same wherever it stands
        return of[:, :, 0].transpose(0, 1), of[:, :2, 1].transpose(0, 1), of[:, :2, 2].transpose(0, 1)

    expected = made(alone, given(alone), window, same_bits=True)[where]
    for before, beside in ((0, 3), (5, 0), (7, 9)):
        row, here = forest(before, beside)
        assert torch.equal(made(row, given(row), window, same_bits=True)[here], expected)
