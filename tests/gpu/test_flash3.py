"""FlashAttention 3 on a card against the slow twin of torch's kernel, and that a row's bits hang on nothing else."""

import random
from importlib.util import find_spec
from itertools import accumulate
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from pinpoint.engine.forward import flash3
from pinpoint.engine.forward.runs import Run
from pinpoint.engine.forward.varlen import make_call, varlen_partial
from tests.reference.varlen import slow_kernel

CUDA = torch.device("cuda", 0)
HEADS = [(4, 4, 64), (8, 2, 128), (14, 2, 96), (12, 1, 80), (4, 4, 256)]
# Queries of a run, and keys before its first.
COMPANY = [(70, 20), (1, 0), (130, 0), (5, 300), (64, 64), (1, 129), (257, 3)]

pytestmark = pytest.mark.skipif(
    find_spec(flash3.PACKAGE) is None
    or not torch.cuda.is_available()
    or torch.cuda.get_device_capability(CUDA) != flash3.CAPABILITY,
    reason="FlashAttention 3 (requirements-hopper.txt) is not installed, or this card is not of the Hopper generation",
)


def pairs_of(company: list[tuple[int, int]]) -> list[tuple[Run, tuple[Run, ...]]]:
    """Runs one behind the other, each behind its own keys."""
    ends = list(accumulate((tokens for tokens, _ in company), initial=0))
    keys = list(accumulate((tokens + above for tokens, above in company), initial=0))
    return [(Run(ends[place], ends[place + 1]), (Run(keys[place], keys[place + 1]),)) for place in range(len(company))]


def states(tokens: int, heads: int, size: int, seed: int) -> Tensor:
    generator = torch.Generator(CUDA).manual_seed(seed)
    return torch.randn(tokens, heads, size, device=CUDA, dtype=torch.bfloat16, generator=generator)


@pytest.mark.parametrize(("heads", "groups", "size"), HEADS)
def test_it_computes_what_the_slow_twin_does(heads: int, groups: int, size: int) -> None:
    pairs = pairs_of(COMPANY)
    query = states(pairs[-1][0].stop, heads, size, 1)
    key, value = (states(pairs[-1][1][-1].stop, groups, size, seed) for seed in (2, 3))
    call = make_call(pairs, CUDA)
    assert flash3.takes(query, None)
    out, lse = varlen_partial(query, key, value, call, size**-0.5, causal=True)
    slow, slow_lse = slow_kernel(
        query.cpu().float(), key.cpu().float(), value.cpu().float(), call.query_offsets.cpu(), call.key_offsets.cpu(),
        call.longest_queries, call.longest_keys, return_aux=SimpleNamespace(lse=True), scale=size**-0.5,
        window_size=(-1, 0), enable_gqa=True, num_splits=1,
    )  # fmt: skip
    torch.testing.assert_close(out.cpu().float(), slow, rtol=0.02, atol=0.02)
    torch.testing.assert_close(lse.cpu(), slow_lse.T, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("heads", "groups", "size"), HEADS[:3])
def test_a_runs_bits_are_the_same_alone_and_in_any_company(heads: int, groups: int, size: int) -> None:
    rng = random.Random(0)
    for _ in range(4):
        company = [*COMPANY, *((rng.randint(1, 400), rng.randint(0, 400)) for _ in range(rng.randint(0, 60)))]
        rng.shuffle(company)
        pairs = pairs_of(company)
        query = states(pairs[-1][0].stop, heads, size, 1)
        key, value = (states(pairs[-1][1][-1].stop, groups, size, seed) for seed in (2, 3))
        out, lse = varlen_partial(query, key, value, make_call(pairs, CUDA), size**-0.5, causal=True)
        for run, seen in pairs:
            own = slice(run.start, run.stop)
            keys = slice(seen[0].start, seen[0].stop)
            call = make_call([(Run(0, run.tokens), (Run(0, seen[0].tokens),))], CUDA)
            alone, alone_lse = varlen_partial(query[own], key[keys], value[keys], call, size**-0.5, causal=True)
            assert torch.equal(alone, out[own]) and torch.equal(alone_lse, lse[own])
