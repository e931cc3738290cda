"""The plain way, recorded: transformers' own forward pass over one prompt at a time, and what each layer made of it.

The weights are those that are loaded and the modules those that hold them; all else is transformers' own, in the same
dtype: its masks, its order of calls, its norms, its attention. Of the latter, the function that each model's own file
has beside its layers ("eager") is called on float32 copies of the queries, keys and values that the layer made, so that
what it gives is the layer's attention and not one more way of rounding it; in parts of so many rows, for their memory.

Sequences that begin alike are recorded as a tree: a token in its place is a *node*, and has a row in each record.

Axes: N nodes, n tokens of a sequence, H query heads, G key-value heads, D head size, E that of values, V vocabulary.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from pinpoint.engine.forward import frequencies, norms
from pinpoint.engine.forward.blocks import SCORES
from pinpoint.engine.forward.head import text_decoder
from pinpoint.engine.forward.rules import unsupported

PLAIN = "pinpoint_plain"
# What precedes the first token: prompts of one length may be read with other frequencies than those of another.
NOWHERE, SHORT_ROOT, LONG_ROOT = -1, -2, -3
# Of weights. With the embedded model's 17 MB, on two cores that were busy, the proof at load took 4.7 to 9.6 s in two
# threads, and 0.6 to 1.0 in one.
SMALL_MODEL_BYTES = 1_000_000_000


@dataclass(slots=True)
class Layer:
    """What one layer was given and made of it: tensors [N, …] once all sequences are there.

    Attributes:
        inputs: hidden states, of the layer's size.
        queries, keys, values: of all heads, as attention takes them.
        attended: of all heads, as attention gives it.
    """

    inputs: list[Tensor] = field(default_factory=list)
    queries: list[Tensor] = field(default_factory=list)
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    attended: list[Tensor] = field(default_factory=list)


class Plain:
    """Sequences that were read the plain way.

    Attributes:
        layers: what each layer made of every node.
        outputs: of the last layer, before the last norm.
        states: the hidden states that the head takes.
        log_probs: [V] float32 of what comes after a node, where it was wanted.
        sequences, tokens: that went through the model.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.layers = [Layer() for _ in decoder_layers(model)]
        self.outputs: list[Tensor] = []
        self.states: list[Tensor] = []
        self.log_probs: dict[int, Tensor] = {}
        self.sequences = self.tokens = 0
        self._short_tokens = frequencies.short_tokens(model)
        self._nodes: dict[tuple[int, int], int] = {}
        self._calls = 0
        self._fresh = 0  # where the sequence that is being read leaves those before it
        self._shared = torch.empty(0, dtype=torch.int64)  # the nodes before that

    def root(self, tokens: int) -> int:
        """The root under which a sequence of so many tokens stands."""
        return LONG_ROOT if self._short_tokens is not None and tokens > self._short_tokens else SHORT_ROOT

    def child(self, node: int, token: int) -> int:
        """The node of a token after another; `NOWHERE` where no sequence has it there."""
        return self._nodes.get((node, token), NOWHERE)

    @torch.inference_mode()
    def read(self, tokens: Sequence[int], wanted: int) -> None:
        """Read a sequence, and keep what comes after each of its last `wanted` tokens."""
        node, path = self.root(len(tokens)), list[int]()
        known = len(self._nodes)
        for token in tokens:
            node = self._nodes.setdefault((node, token), len(self._nodes))
            path.append(node)
        self._fresh, self._calls = sum(each < known for each in path), 0
        self._shared = torch.tensor(path[: self._fresh], device=self.model.device)
        ids = torch.tensor([list(tokens)], device=self.model.device)
        with own_way(self.model), self._looking_on():
            # Layers that see others' keys (Gemma 4) leave out what is not asked for, and all of it is looked at here.
            shares = getattr(self.model.config.get_text_config(), "num_kv_shared_layers", 0)
            kept = 0 if shares else wanted
            logits = self.model(input_ids=ids, use_cache=False, logits_to_keep=kept).logits[0, -wanted:]
        if self._calls != len(self.layers):
            raise unsupported(f"{self._calls} of {len(self.layers)} layers attend to the tokens as others do")
        for node, row in zip(path[-wanted:], torch.log_softmax(logits.float(), dim=-1), strict=True):
            self.log_probs[node] = row
        self.sequences, self.tokens = self.sequences + 1, self.tokens + len(tokens)

    def led(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [1, G, n, …] of the layer whose turn it is; those of earlier sequences as recorded there.

        In 16 bits a product of another length rounds otherwise, which grows with every layer. What is recorded of a
        node must have been made of what is recorded of the nodes before it.
        """
        if not self._fresh or self._calls >= len(self.layers):
            return key, value
        layer, made = self.layers[self._calls], []
        for record, tensor in ((layer.keys, key), (layer.values, value)):
            before = torch.cat(record)[self._shared].transpose(0, 1)[None]
            made.append(torch.cat([before, tensor[:, :, self._fresh :]], dim=2))
        return made[0], made[1]

    def attended(self, query: Tensor, key: Tensor, value: Tensor, out: Tensor) -> None:
        """A layer attended: query [1, H, n, D], key [1, G, n, D] and value [1, G, n, E] gave out [1, n, H, E]."""
        layer = self.layers[self._calls] if self._calls < len(self.layers) else Layer()
        self._calls += 1
        for record, tensor in ((layer.queries, query), (layer.keys, key), (layer.values, value)):
            record.append(tensor[0, :, self._fresh :].transpose(0, 1).clone())
        layer.attended.append(out[0, self._fresh :].clone())

    def log_prob(self, prompt: Sequence[int], answer: Sequence[int], tokens: int) -> float:
        """log p(answer | prompt) of what was read, the prompt being of a length that is counted as `tokens`."""
        node, total = self.root(tokens), 0.0
        for token in prompt:
            node = self.child(node, token)
        for token in answer:
            total += float(self.log_probs[node][token])
            node = self.child(node, token)
        return total

    @property
    def nodes(self) -> int:
        """Tokens in their places, each once."""
        return len(self._nodes)

    @property
    def node_bytes(self) -> float:
        """What one of them takes in all records, those of log-probabilities aside."""
        records = [self.outputs, self.states]
        for one in self.layers:
            records += [one.inputs, one.queries, one.keys, one.values, one.attended]
        return sum(tensor.nbytes for record in records for tensor in record) / max(1, self.nodes)

    @contextmanager
    def _looking_on(self) -> Iterator[None]:
        last = text_decoder(self.model)

        def keep(record: list[Tensor], states: Tensor) -> None:
            record.append(states[0, self._fresh :].clone())

        token = _recorder.set(self)
        with ExitStack() as stack:
            stack.callback(_recorder.reset, token)
            layers = decoder_layers(self.model)
            for number, module in enumerate(layers):
                record = self.layers[number].inputs
                handle = module.register_forward_pre_hook(
                    lambda _, args, kwargs, record=record: keep(record, layer_input(args, kwargs)), with_kwargs=True
                )
                stack.callback(handle.remove)
            for module, record, find in (
                (layers[-1], self.outputs, layer_output),
                (last, self.states, lambda out: out.last_hidden_state),
            ):
                handle = module.register_forward_hook(
                    lambda _, __, out, record=record, find=find: keep(record, find(out))
                )
                stack.callback(handle.remove)
            yield


_recorder: ContextVar[Plain | None] = ContextVar("who records the plain way", default=None)


def decoder_layers(model: PreTrainedModel) -> list[nn.Module]:
    """The decoder's layers in their order, whatever a family calls the list of them.

    Raises:
        ModelError: there is none.
    """
    count = model.config.get_text_config().num_hidden_layers
    for module in text_decoder(model).modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return list(module)
    raise unsupported("its layers are not kept in one list")


def layer_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The hidden states that a layer was called with."""
    states: Tensor = args[0] if args else kwargs["hidden_states"]
    return states


def layer_output(out: Any) -> Tensor:
    """The hidden states that a layer returned."""
    states: Tensor = out[0] if isinstance(out, tuple) else out
    return states


def own_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **given: Any
) -> tuple[Tensor, None]:
    """query [1, H, n, D], key [1, G, n, D] and value [1, G, n, E] → [1, n, H, E]: the model's own, in float32."""
    eager = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    if eager is None:
        raise unsupported("it has none that stands beside its layers")
    recorder = _recorder.get()
    if recorder is not None:
        key, value = recorder.led(key, value)
    wide = [tensor.float() for tensor in (query, key, value)]
    heads, rows, keys = query.shape[1], query.shape[2], key.shape[2]
    step = rows if attention_mask is None else max(1, SCORES // (heads * keys))
    parts = []
    for start in range(0, rows, step):
        part = slice(start, min(start + step, rows))
        mask = None if attention_mask is None else attention_mask[:, :, part].float()
        parts.append(eager(module, wide[0][:, :, part], wide[1], wide[2], mask, **given)[0])
    out = torch.cat(parts, dim=1).to(query.dtype)
    if recorder is not None:
        recorder.attended(query, key, value, out)
    return out, None


@contextmanager
def own_way(model: PreTrainedModel) -> Iterator[None]:
    """Within the block, the model computes as transformers has it."""
    if PLAIN not in ALL_ATTENTION_FUNCTIONS:
        AttentionInterface.register(PLAIN, own_attention)
    if PLAIN not in ALL_MASK_ATTENTION_FUNCTIONS:
        AttentionMaskInterface.register(PLAIN, eager_mask)
    before = model.config._attn_implementation
    model.set_attn_implementation(PLAIN)
    try:
        with norms.own(model):
            yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def one_thread(model: PreTrainedModel) -> Iterator[None]:
    """Within the block, products of a small model on a CPU are computed by one thread.

    They are too short to share: where the machine is busy, waiting for another takes far longer than they do.
    """
    threads = torch.get_num_threads()
    if model.device.type == "cpu" and sum(tensor.nbytes for tensor in model.parameters()) <= SMALL_MODEL_BYTES:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
