"""What all formats have in common: what of a source they quantise."""

import pytest
import torch

from pinpoint.engine.loading.checkpoint import FORMATS
from pinpoint.planning.activations import Precision


@pytest.mark.parametrize("precision", FORMATS)
def test_the_same_parts_come_of_a_weight_in_32_bits_and_in_16(precision: Precision) -> None:
    form = FORMATS[precision]
    quantizer = form.quantizer(form.config(), pre_quantized=False)
    weight = torch.randn(6, 128, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(weight.bfloat16().float(), weight)
    wide, half = (quantizer.linear_parts("layer.weight", one) for one in (weight, weight.bfloat16()))
    assert wide.keys() == half.keys()
    assert all(torch.equal(wide[name].view(torch.uint8), half[name].view(torch.uint8)) for name in wide)
