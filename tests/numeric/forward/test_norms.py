"""Fused norms are the model's own, but for where they round."""

import copy

import pytest
import torch
import torch.nn.functional as F

from pinpoint.engine.forward import norms
from pinpoint.engine.forward.norms import fuse
from tests.numeric.conftest import Pair
from tests.reference import norms as twin


def test_fused_norms_are_the_models_own(pair: Pair) -> None:
    plain, fused = copy.deepcopy(pair[1]), copy.deepcopy(pair[1])
    norms = [name for name, module in fused.named_modules() if type(module).__name__.endswith("RMSNorm")]
    assert fuse(fused) == len(norms) > 0
    generator = torch.Generator().manual_seed(0)
    for name in norms:
        ours, theirs = fused.get_submodule(name), plain.get_submodule(name)
        torch.nn.init.normal_(ours.weight, generator=generator)
        theirs.weight.data.copy_(ours.weight)
        x = torch.randn(7, len(ours.weight), generator=generator) * 3
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-6, atol=1e-6)
        half = x.bfloat16()
        ours, theirs = copy.deepcopy(ours).bfloat16(), copy.deepcopy(theirs).bfloat16()
        apart = (ours(half).float() - theirs(half).float()).abs()
        # Twice rounded against once: at most one step of bfloat16 each.
        assert bool((apart <= 2**-7 * theirs(half).float().abs()).all())


def test_the_twin_of_the_kernel_is_the_same_norm() -> None:
    """By whatever number of warps it sums; how many shows in the sum's last bits alone."""
    generator = torch.Generator().manual_seed(0)
    for hidden in (4, 132, 200, 1024):
        x, weight = (torch.randn(rows, hidden, generator=generator).bfloat16() * 3 for rows in (3, 1))
        wanted = F.rms_norm(x.double(), (hidden,), weight[0].double(), 1e-5)
        for warps in (1, 4, 16):
            found = twin.norm(x.float(), weight[0].float(), 1e-5, warps)
            torch.testing.assert_close(found.double(), wanted, rtol=1e-6, atol=0)
    rows = (torch.randn(16, 1024, generator=generator) * 3).numpy()
    sums = [[twin.squares(list(row), warps) for row in rows] for warps in (1, 4, 16)]
    assert sums[0] != sums[1] != sums[2]


def test_the_whole_model_says_the_same(pair: Pair) -> None:
    _, plain = pair
    fused = copy.deepcopy(plain)
    fuse(fused)
    ids = torch.arange(3, 40)[None]
    with torch.inference_mode():
        torch.testing.assert_close(fused(input_ids=ids).logits, plain(input_ids=ids).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("rows", "width"), [(2049, 256), (5, 67), (4, 64)])
@torch.inference_mode()
def test_parts_of_a_norm_are_torchs_own_to_the_bit(rows: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if rows < 2049:
        monkeypatch.setattr(norms, "CPU_ROWS", 2)
    generator = torch.Generator().manual_seed(rows)
    x, weight = torch.randn(1, rows, width, generator=generator), torch.randn(width, generator=generator)
    x[0, 1], x[0, 2, 3], x[0, 3, 0] = 0, torch.nan, torch.inf
    expected = F.rms_norm(x, (width,), weight, 1e-5)
    assert torch.equal(norms.in_parts(x, weight, 1e-5).nan_to_num(nan=7), expected.nan_to_num(nan=7))
