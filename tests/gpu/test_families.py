"""Many architectures on CUDA: spans through the variable-length kernel against transformers' own pass in float32."""

import pytest
import torch

from pinpoint.engine.forward import attention
from pinpoint.engine.loading.load import LoadedModel, context_tokens
from pinpoint.engine.scorer import Scorer
from tests.fakes import chatml_tokenizer
from tests.numeric.forward import families
from tests.numeric.forward.families import configuration
from tests.numeric.forward.test_families import (
    BFLOAT16_MORE,
    BFLOAT16_TIMES,
    EXACT,
    documents,
    plain_scores,
    scores_of,
    usually_apart,
    with_our_attention,
)  # fmt: skip


@pytest.mark.parametrize("family", EXACT)
def test_a_family_is_as_exact_on_cuda_as_sixteen_bits_are(family: str) -> None:
    """Windows, sinks, caps and widths included; the yardstick is transformers' own bfloat16."""
    attention.register()
    config = configuration(family)
    plain = families.random_model(config)
    forest = documents(5, 30, 60)
    exact = plain_scores(plain, forest)
    sixteen = plain.bfloat16()
    theirs = usually_apart(plain_scores(with_our_attention(sixteen, "eager"), forest), exact)
    cuda = torch.device("cuda", 0)
    model = with_our_attention(sixteen).to(cuda)
    loaded = LoadedModel(
        model=model, tokenizer=chatml_tokenizer(), device=cuda, compute_dtype=torch.bfloat16, name="small",
        revision="0", precision="bf16", context_tokens=context_tokens(config), weight_bytes=0, seconds=0.0,
    )  # fmt: skip
    ours = usually_apart(scores_of(Scorer(loaded, 1000, 0), forest), exact)
    print(f"{family}: {ours:.4f} from float32, transformers' own bfloat16 {theirs:.4f}")
    assert ours < BFLOAT16_TIMES * theirs + BFLOAT16_MORE
