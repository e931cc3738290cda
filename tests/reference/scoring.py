"""The slow, obviously right twin of `pinpoint.engine.forward.scoring`: one label, one document, one forward pass.

It shares no code with the fast path: the weights are dequantised into a plain transformers model with eager attention
and eager experts, the prompt is one list of tokens, and the log-probabilities are summed in float64.
"""

from collections.abc import Sequence

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel


def plain_model(quantised: PreTrainedModel) -> PreTrainedModel:
    """The same model with float32 weights, integers times scales, in transformers' own modules."""
    config = type(quantised.config).from_dict(
        {k: v for k, v in quantised.config.to_dict().items() if k != "quantization_config"}
    )
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    state = quantised.state_dict()
    weights = {}
    for name in plain.state_dict():
        value = state[name].float()
        scale = state.get(name.removesuffix("weight") + "scale", state.get(name + "_scale"))
        weights[name] = value if scale is None else value * scale.unsqueeze(-1)
    plain.load_state_dict(weights)
    return plain.eval()


@torch.inference_mode()
def label_log_prob(plain: PreTrainedModel, prompt: Sequence[int], label: Sequence[int], stop: int) -> float:
    """log p(label, STOP | prompt); STOP itself is not read, so that it lengthens no prompt."""
    answer = [*label, stop]
    ids = torch.tensor([[*prompt, *label]])
    log_probs = torch.log_softmax(plain(input_ids=ids, use_cache=False).logits[0].double(), dim=-1)
    return sum(float(log_probs[len(prompt) - 1 + step, token]) for step, token in enumerate(answer))
