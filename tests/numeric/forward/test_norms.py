"""Fused norms are the model's own, but for where they round."""

import copy

import torch

from pinpoint.engine.forward.norms import fuse
from tests.numeric.conftest import Pair


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


def test_the_whole_model_says_the_same(pair: Pair) -> None:
    _, plain = pair
    fused = copy.deepcopy(plain)
    fuse(fused)
    ids = torch.arange(3, 40)[None]
    with torch.inference_mode():
        torch.testing.assert_close(fused(input_ids=ids).logits, plain(input_ids=ids).logits, rtol=1e-4, atol=1e-4)
