"""A rationale after the answer: greedy tokens from the keys and values that scoring the document left behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import DynamicCache, GenerationConfig, PreTrainedModel

from pinpoint.engine.prefix_cache import Layers
from pinpoint.prompting.template import Piece

MOST_TOKENS = 96


def reason_opening() -> Iterator[Piece]:
    """What follows the answer so that the model goes on to give its reason."""
    yield Piece("\nReason:", True)


@torch.inference_mode()
def continue_greedily(
    model: PreTrainedModel, prompt: Sequence[int], answer: Sequence[int], stop: int, layers: Sequence[Layers]
) -> list[int]:
    """Up to `MOST_TOKENS` token ids after prompt and answer, without the stop token.

    Args:
        model: the model that computed `layers`.
        prompt: token ids whose keys and values `layers` holds, span by span, from the root.
        answer: token ids that follow it; at least one.
        stop: id of the token that ends the turn.
        layers: of each span, of each layer, keys and values [G, n, D].
    """
    cache = DynamicCache()
    for layer in range(len(layers[0])):
        keys, values = (torch.cat([span[layer][i] for span in layers], dim=1)[None] for i in (0, 1))
        cache.update(keys, values, layer)
    ids = torch.tensor([[*prompt, *answer]], device=model.device)
    config = GenerationConfig(
        max_new_tokens=MOST_TOKENS, do_sample=False, eos_token_id=stop, pad_token_id=stop, bos_token_id=stop
    )
    with plain_attention(model):
        out = model.generate(ids, attention_mask=torch.ones_like(ids), past_key_values=cache, generation_config=config)
    tokens: list[int] = out[0, ids.shape[1] :].tolist()
    return tokens[: tokens.index(stop)] if stop in tokens else tokens


@contextmanager
def plain_attention(model: PreTrainedModel) -> Iterator[None]:
    """The model with transformers' own attention: it makes the masks that step-by-step generation needs."""
    before = model.config._attn_implementation
    model.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        model.set_attn_implementation(before)
