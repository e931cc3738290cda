"""The embedded model as plain functions, made to train fast on a CPU, and its export to transformers' Mixtral.

The architecture is Mixtral's, exactly: RMSNorm, rotary positions, grouped-query attention, a softmax router of which
the two best experts count, SwiGLU experts, tied embeddings. What differs is how it is computed: all experts of a layer
as one dense product whose unchosen parts are multiplied by zero. For four small experts that is twice the arithmetic
and a third of the time, since nothing is gathered or scattered.

Axes: B rows, T tokens of a row, H hidden, E experts, F expert width, N lookups.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor
from transformers import MixtralConfig, MixtralForCausalLM

from pinpoint.prompting.template import VERSION_KEY, Version

Params = dict[str, Tensor]

LAYERS, HIDDEN, HEADS, KV_HEADS, EXPERTS, WIDTH, CHOSEN = 6, 256, 4, 2, 4, 384, 2
HEAD_DIM = HIDDEN // HEADS
GROUPS = HEADS // KV_HEADS
THETA, EPS = 10_000.0, 1e-5
# The version in which the model writes the label itself: to copy is what its weights are set out for.
PROMPT_VERSION: Version = 1
COPY_GAIN = 0.06  # a head then adds about half of an embedding's length to the stream


def config(vocabulary: int, context: int, bos: int, eos: int, pad: int) -> MixtralConfig:
    """The transformers configuration of the same model."""
    return MixtralConfig(
        vocab_size=vocabulary, hidden_size=HIDDEN, intermediate_size=WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, num_local_experts=EXPERTS, num_experts_per_tok=CHOSEN,
        max_position_embeddings=context, rope_parameters={"rope_type": "default", "rope_theta": THETA},
        rms_norm_eps=EPS, tie_word_embeddings=True, sliding_window=None,
        bos_token_id=bos, eos_token_id=eos, pad_token_id=pad, **{VERSION_KEY: PROMPT_VERSION},
    )  # fmt: skip


def init(vocabulary: int, seed: int, device: torch.device) -> Params:
    """Fresh float32 weights, set so that copying is near at hand.

    A model that chooses among given labels must compare tokens and copy one of them. Every head's output projection
    starts as the transpose of its values' (attending to a token then raises that token's logit), every second head's
    queries start as its keys (tokens attend to their like), and the experts start silent, so that the embeddings reach
    the end of the network. The idea is mimetic initialisation (Trockman & Kolter, 2023); with a plain start the model
    had not begun to copy after 900,000 tokens.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, std: float) -> Tensor:
        return torch.randn(*shape, generator=generator) * std

    def orthonormal() -> Tensor:
        q: Tensor = torch.linalg.qr(normal(HIDDEN, HEAD_DIM, std=1.0)).Q
        return q.T.contiguous()  # [HEAD_DIM, HIDDEN]

    params = {"emb": normal(vocabulary, HIDDEN, std=0.06), "norm": torch.ones(HIDDEN)}
    for i in range(LAYERS):
        keys = [orthonormal() for _ in range(KV_HEADS)]
        values = [orthonormal() for _ in range(KV_HEADS)]
        queries = [
            0.7 * keys[head // GROUPS] if head % 2 == 0 else normal(HEAD_DIM, HIDDEN, std=HIDDEN**-0.5)
            for head in range(HEADS)
        ]
        params |= {
            f"{i}.qkv": torch.cat([*queries, *keys, *values]),
            f"{i}.o": torch.cat([values[head // GROUPS].T for head in range(HEADS)], dim=1) * COPY_GAIN,
            f"{i}.gate": normal(EXPERTS, HIDDEN, std=0.03),
            f"{i}.up": normal(EXPERTS * 2 * WIDTH, HIDDEN, std=HIDDEN**-0.5),
            f"{i}.down": torch.zeros(HIDDEN, EXPERTS * WIDTH),
            f"{i}.n1": torch.ones(HIDDEN),
            f"{i}.n2": torch.ones(HIDDEN),
        }
    return {name: value.to(device).requires_grad_() for name, value in params.items()}


def rotary(positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines, [B, T, 1, HEAD_DIM / 2], of positions [B, T]."""
    frequencies = THETA ** (torch.arange(0, HEAD_DIM, 2, device=positions.device) / HEAD_DIM)
    angles = positions[..., None].float() / frequencies
    return angles.cos()[:, :, None].to(dtype), angles.sin()[:, :, None].to(dtype)


def visibility(spans: Tensor, above: Tensor) -> Tensor:
    """[B, 1, 1, T, T] float32: 0 where token i sees token j and −inf elsewhere.

    Args:
        spans: [B, T] the span of each token; spans are numbered in the row's order.
        above: [B, S, S] bool: whether the second span is the first itself or one of its ancestors.
    """
    row = torch.arange(len(spans), device=spans.device)[:, None, None]
    seen = above[
        row, spans[:, :, None], spans[:, None, :]
    ].tril()  # ancestors come first, so causality is all that is left
    return torch.zeros(seen.shape, device=spans.device).masked_fill_(~seen, -torch.inf)[:, None, None]


def loss(
    p: Params, ids: Tensor, positions: Tensor, bias: Tensor, rows: Tensor, targets: Tensor,
    *, layer: Callable[..., tuple[Tensor, Tensor]], dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Cross-entropies [N] at the flat `rows` [N] against `targets` [N], and the router's balance loss.

    Args:
        p: float32 weights.
        ids: [B, T].
        positions: [B, T].
        bias: [B, 1, 1, T, T] as `visibility` gives it.
        rows: [N] indices into the B · T tokens.
        targets: [N] token ids.
        layer: `transformer_layer`, compiled or not.
        dtype: to compute in.
    """
    cos, sin = rotary(positions, dtype)
    x = F.embedding(ids, p["emb"]).to(dtype)
    balance = torch.zeros((), device=ids.device)
    for i in range(LAYERS):
        x, share = layer(x, cos, sin, bias, *(p[f"{i}.{n}"] for n in ("qkv", "o", "gate", "up", "down", "n1", "n2")))
        balance = balance + share
    x = _norm(x.flatten(0, 1)[rows], p["norm"].to(dtype))
    logits = F.linear(x, p["emb"].to(dtype)).float()
    return F.cross_entropy(logits, targets, reduction="none"), balance / LAYERS


def export(p: Params, cfg: MixtralConfig, folder: Path) -> None:
    """Write the weights as a 16-bit transformers checkpoint."""
    model = MixtralForCausalLM(cfg)
    state = {"model.embed_tokens.weight": p["emb"], "lm_head.weight": p["emb"], "model.norm.weight": p["norm"]}
    for i in range(LAYERS):
        at = f"model.layers.{i}"
        q, k, v = torch.split(p[f"{i}.qkv"], [HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM])
        state |= {
            f"{at}.self_attn.q_proj.weight": q,
            f"{at}.self_attn.k_proj.weight": k,
            f"{at}.self_attn.v_proj.weight": v,
            f"{at}.self_attn.o_proj.weight": p[f"{i}.o"],
            f"{at}.mlp.gate.weight": p[f"{i}.gate"],
            f"{at}.mlp.experts.gate_up_proj": p[f"{i}.up"].view(EXPERTS, 2 * WIDTH, HIDDEN),
            f"{at}.mlp.experts.down_proj": p[f"{i}.down"].view(HIDDEN, EXPERTS, WIDTH).transpose(0, 1),
            f"{at}.input_layernorm.weight": p[f"{i}.n1"],
            f"{at}.post_attention_layernorm.weight": p[f"{i}.n2"],
        }
    model.load_state_dict({name: value.detach().clone().contiguous() for name, value in state.items()}, strict=True)
    model.to(torch.bfloat16).save_pretrained(folder)


def take_up(p: Params, folder: Path) -> None:
    """Set the weights to those of one of Pinpoint's own 8-bit checkpoints of the same architecture."""
    stored: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        stored |= load_file(path)

    def weight(name: str) -> Tensor:
        scales = (f"{name}_scale", name.removesuffix("weight") + "scale")
        scale = next((stored[other] for other in scales if other in stored), None)
        return stored[name].float() * (1.0 if scale is None else scale.unsqueeze(-1))

    values = {"emb": weight("model.embed_tokens.weight"), "norm": weight("model.norm.weight")}
    for i in range(LAYERS):
        at = f"model.layers.{i}"
        values |= {
            f"{i}.qkv": torch.cat([weight(f"{at}.self_attn.{one}_proj.weight") for one in "qkv"]),
            f"{i}.o": weight(f"{at}.self_attn.o_proj.weight"),
            f"{i}.gate": weight(f"{at}.mlp.gate.weight"),
            f"{i}.up": weight(f"{at}.mlp.experts.gate_up_proj").reshape(EXPERTS * 2 * WIDTH, HIDDEN),
            f"{i}.down": weight(f"{at}.mlp.experts.down_proj").transpose(0, 1).reshape(HIDDEN, EXPERTS * WIDTH),
            f"{i}.n1": weight(f"{at}.input_layernorm.weight"),
            f"{i}.n2": weight(f"{at}.post_attention_layernorm.weight"),
        }
    with torch.no_grad():
        for name, value in values.items():
            p[name].copy_(value)


def _norm(x: Tensor, weight: Tensor) -> Tensor:
    wide = x.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + EPS)).to(x.dtype) * weight


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def transformer_layer(
    x: Tensor, cos: Tensor, sin: Tensor, bias: Tensor,
    qkv: Tensor, o: Tensor, gate: Tensor, up: Tensor, down: Tensor, n1: Tensor, n2: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """One layer, x [B, T, H] → [B, T, H], in the dtype of x, and its balance loss. The unit that is compiled."""
    qkv, o, gate, up, down, n1, n2 = (weight.to(x.dtype) for weight in (qkv, o, gate, up, down, n1, n2))
    b, t, _ = x.shape
    q, k, v = torch.split(F.linear(_norm(x, n1), qkv), [HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM], -1)
    q = _turn(q.view(b, t, HEADS, HEAD_DIM), cos, sin).transpose(1, 2).reshape(b, KV_HEADS, GROUPS * t, HEAD_DIM)
    k = _turn(k.view(b, t, KV_HEADS, HEAD_DIM), cos, sin).transpose(1, 2)
    v = v.view(b, t, KV_HEADS, HEAD_DIM).transpose(1, 2)
    scores = torch.matmul(q, k.transpose(-1, -2)) * HEAD_DIM**-0.5
    attention = (scores.view(b, KV_HEADS, GROUPS, t, t).float() + bias).softmax(-1).to(x.dtype)
    z = torch.matmul(attention.view(b, KV_HEADS, GROUPS * t, t), v).view(b, HEADS, t, HEAD_DIM).transpose(1, 2)
    x = x + F.linear(z.reshape(b, t, HIDDEN), o)
    y = _norm(x, n2)
    routes = F.linear(y, gate).float().softmax(-1)
    chosen = routes >= routes.topk(CHOSEN, -1).values[..., -1:]
    weights = torch.where(chosen, routes, 0.0)
    weights = (weights / weights.sum(-1, keepdim=True)).to(x.dtype)
    wide = F.linear(y, up).view(b, t, EXPERTS, 2, WIDTH)
    out = F.silu(wide[..., 0, :]) * wide[..., 1, :] * weights[..., None]
    # Switch-style balance: 1 when every expert is chosen equally often and with equal probability.
    share = EXPERTS / CHOSEN * (chosen.float().mean((0, 1)) * routes.mean((0, 1))).sum()
    return x + F.linear(out.reshape(b, t, EXPERTS * WIDTH), down), share
