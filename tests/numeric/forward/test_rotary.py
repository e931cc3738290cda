"""Functions of transformers that are given another by their name: on a CPU they compute what they did before. What the
kernel computes is tested in tests/gpu/test_recorded.py.
"""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.llama import modeling_llama

from pinpoint.engine.forward import rotary

NAME = "apply_rotary_pos_emb"
SIZES = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128,
}  # fmt: skip


@pytest.mark.parametrize(("kind", "modules"), [("llama", 1), ("mixtral", 1), ("qwen3", 1), ("glm4", 0)])
def test_a_fused_model_computes_on_a_cpu_what_it_did(kind: str, modules: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = importlib.import_module(f"transformers.models.{kind}.modeling_{kind}")
    own = getattr(getattr(module, NAME), "own", getattr(module, NAME))
    monkeypatch.setattr(module, NAME, own)
    more = {"head_dim": 8, "pad_token_id": 0} if kind == "glm4" else {}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SIZES, **more)).eval()
    ids = torch.arange(3, 20)[None]
    with torch.inference_mode():
        before = model(ids).logits
        assert [rotary.fuse(model) for _ in range(2)] == [modules, modules]
        assert torch.equal(model(ids).logits, before)
    assert (getattr(module, NAME) is not own) == bool(modules)
    assert not modules or getattr(module, NAME).own is own  # once, however often


def test_what_is_no_plain_function_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a package of kernels stands in for it: of two such nothing says that they do the same."""
    glm: Any = importlib.import_module("transformers.models.glm4.modeling_glm4")
    for module in (modeling_llama, glm):
        for name in (NAME, "rotate_half"):
            monkeypatch.setattr(module, name, partial(getattr(module, name)))
    assert not rotary._is_usual(glm)


@pytest.mark.parametrize("tokens", [7, 8, 9, 30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_parts_are_rotated_to_the_same_bits(tokens: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotary, "CPU_ROWS", 8)
    made, sizes = torch.Generator().manual_seed(tokens), list[int]()
    q, k = (torch.randn(1, tokens, n, 16, generator=made).to(dtype).transpose(1, 2) for n in (4, 2))
    cos, sin = (torch.randn(1, tokens, 16, generator=made).to(dtype) for _ in range(2))
    whole: Any = getattr(modeling_llama.apply_rotary_pos_emb, "own", modeling_llama.apply_rotary_pos_emb)

    def noting(q: torch.Tensor, *rest: Any) -> Any:
        sizes.append(q.shape[2])
        return whole(q, *rest)

    with torch.inference_mode():
        ours, theirs = rotary._either(noting)(q, k, cos, sin), whole(q, k, cos, sin)
    assert all(torch.equal(a, b) and a.stride() == b.stride() for a, b in zip(ours, theirs, strict=True))
    assert sum(sizes) == tokens
    assert max(sizes) <= 8


@pytest.mark.parametrize(
    ("q", "k", "cos", "taken"),
    [
        ((1, 4, 6, 8), (1, 2, 6, 8), (1, 6, 8), True),
        ((2, 4, 6, 8), (2, 2, 6, 8), (2, 6, 8), False),
        ((1, 4, 6, 8), (1, 2, 6, 8), (1, 6, 4), False),
        ((1, 4, 6, 8), (1, 2, 6, 8), (6, 8), False),
    ],
)
def test_the_kernel_takes_whole_heads_of_one_row(
    q: tuple[int, ...], k: tuple[int, ...], cos: tuple[int, ...], taken: bool
) -> None:
    assert rotary._takes(torch.zeros(q), torch.zeros(k), torch.zeros(cos)) is taken


def test_heads_in_another_dtype_or_order_are_left_to_the_model() -> None:
    q, k, cos = torch.zeros(1, 4, 6, 8), torch.zeros(1, 2, 6, 8), torch.zeros(1, 6, 8)
    assert not rotary._takes(q.bfloat16(), k, cos.bfloat16())
    assert not rotary._takes(q.transpose(2, 3).contiguous().transpose(2, 3), k, cos)
