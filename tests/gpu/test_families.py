"""Many architectures on CUDA: the proof at load, spans through the variable-length kernel, against the plain way."""

import pytest
import torch

from pinpoint.engine.forward import attention, varlen
from pinpoint.engine.forward.forced import ATTENDED
from pinpoint.engine.loading.load import LoadedModel, context_tokens
from pinpoint.engine.proof import compare
from pinpoint.engine.proof_parts import Part
from pinpoint.engine.scorer import Scorer
from tests.fakes import chatml_tokenizer
from tests.numeric.forward import families
from tests.numeric.forward.families import configuration
from tests.numeric.forward.test_families import EXACT, in_bfloat16


def scorer_on_cuda(family: str) -> Scorer:
    attention.register()
    config = configuration(family)
    cuda = torch.device("cuda", 0)
    loaded = LoadedModel(
        model=in_bfloat16(families.random_model(config)).to(cuda), tokenizer=chatml_tokenizer(), device=cuda,
        compute_dtype=torch.bfloat16, name="small", revision="0", precision="bf16",
        context_tokens=context_tokens(config), weight_bytes=0, seconds=0.0,
    )  # fmt: skip
    return Scorer(loaded, 1000, 10**8)


def shown(parts: tuple[Part, ...]) -> str:
    return ", ".join(f"{part.stage} {part.apart:.1e} of {part.tolerance:g}" for part in parts)


@pytest.mark.parametrize("family", EXACT)
def test_the_proof_holds_on_cuda(family: str) -> None:
    """Windows, sinks, caps and widths included."""
    found = compare(scorer_on_cuda(family))
    print(f"{family}: {found.seconds:.2f} s, {shown(found.parts)}")
    assert found.wrong is None, shown(found.parts)


@pytest.mark.parametrize("family", ["gpt_oss", "granite_swa"])
def test_the_proof_notices_a_sink_that_the_kernel_is_not_given(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = scorer_on_cuda(family)
    attend = varlen.attend
    monkeypatch.setattr(varlen, "attend", lambda *given: attend(*given[:5]))
    wrong = compare(scorer).wrong
    assert wrong is not None and wrong.stage == ATTENDED
    print(f"{family}: {wrong.apart:.2g} of {wrong.tolerance:g}")
