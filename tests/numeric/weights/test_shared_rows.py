"""States are quantised once for all products that read them, and no product takes rows that are not its own.

No card is here: the kernels are stood in for by what a CPU computes. tests/gpu/test_shared_rows.py has the card's.
"""

import gc
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, MixtralConfig, PreTrainedModel

from pinpoint.engine.forward import last_layer, norms
from pinpoint.engine.loading.activations import set_activations
from pinpoint.engine.weights import int8, int8_activations, shared_rows, triton_eight, triton_norm
from pinpoint.engine.weights.int8 import Int8Linear
from pinpoint.engine.weights.triton_eight import Rows

SIZES: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
TOKENS = 9


def rows_of(x: Tensor, dtype: torch.dtype = torch.int8) -> Rows:
    values, scales = int8_activations.quantise_rows(x)
    return Rows(values.to(dtype), scales[:, 0])


def test_rows_are_found_with_that_very_tensor_and_no_other() -> None:
    with torch.inference_mode():
        x = torch.randn(1, 5, 8)
        rows = rows_of(x)
        shared_rows.keep(x, rows)
        assert shared_rows.found(x, torch.int8) is rows
        assert shared_rows.found(x, torch.float8_e4m3fn) is None
        for other in (x.view(5, 8), x[:, :3], x.clone(), x.index_select(1, torch.tensor([0, 2])), x + 0):
            assert shared_rows.found(other, torch.int8) is None


def test_rows_of_a_tensor_that_was_written_to_are_not_found() -> None:
    x = torch.randn(2, 8)
    shared_rows.keep(x, rows_of(x))
    assert shared_rows.found(x, torch.int8) is not None
    x += 1
    assert shared_rows.found(x, torch.int8) is None


def test_rows_go_when_their_tensor_goes() -> None:
    x = torch.randn(2, 8)
    shared_rows.keep(x, rows_of(x))
    found = shared_rows.found(x, torch.int8)
    assert found is not None
    alive = weakref.ref(found.values)
    del found
    assert alive() is not None
    del x
    assert alive() is None  # without waiting for the collector of cycles


def test_nothing_is_kept_where_it_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 8)
    monkeypatch.setattr(shared_rows, "KEEP", False)
    shared_rows.keep(x, rows_of(x))
    monkeypatch.setattr(shared_rows, "KEEP", True)
    assert shared_rows.found(x, torch.int8) is None


class Counted:
    """What stands in for the kernels: who quantised how many rows."""

    def __init__(self) -> None:
        self.by_products: list[int] = []
        self.by_norms: list[int] = []
        self.fuse = True

    def quantize_rows(self, x: Tensor, dtype: torch.dtype, places: Tensor | None = None) -> Rows:
        self.by_products.append(len(x))
        return rows_of(x)

    def norm(self, x: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor | None:
        if not (self.fuse and shared_rows.KEEP):
            return None
        normed = F.rms_norm(x, weight.shape, weight, epsilon)
        self.by_norms.append(x.numel() // x.shape[-1])
        shared_rows.keep(normed, rows_of(normed))
        return normed


def product(x: Rows, weight: Tensor, scale: Tensor, starts: Tensor | None, dtype: torch.dtype) -> Tensor:
    room = int8_activations.Room(x.values, len(x.values))
    return int8_activations._scaled_by_row(x.values, x.scales[:, None], weight[0], room).mul_(scale[0]).to(dtype)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    made = Counted()
    monkeypatch.setattr(triton_eight, "quantize_rows", made.quantize_rows)
    monkeypatch.setattr(triton_eight, "product", product)
    monkeypatch.setattr(int8_activations, "linear", triton_eight.linear)
    monkeypatch.setattr(triton_norm, "norm", made.norm)
    yield made


@pytest.fixture(scope="module")
def models() -> dict[str, PreTrainedModel]:
    return {
        "mixtral": quantised(MixtralConfig(**SIZES, num_local_experts=4, pad_token_id=0)),
        "llama": quantised(LlamaConfig(**SIZES, pad_token_id=0)),
    }


def quantised(config: Any) -> PreTrainedModel:
    """A small model whose linear layers are in 8 bits, their states as well, its norms fused."""
    torch.manual_seed(0)
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    model.load_state_dict(plain.state_dict())
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear and name != "lm_head":
                values, scale = int8.quantize(child.weight.data)
                made = Int8Linear(child.in_features, child.out_features, None)
                made.weight, made.scale = (torch.nn.Parameter(part, requires_grad=False) for part in (values, scale))
                setattr(module, name, made)
    norms.fuse(model)
    set_activations(model, "int8")
    return model


@torch.inference_mode()
def hidden(model: PreTrainedModel) -> Tensor:
    found: Tensor = model.model(input_ids=torch.arange(3, 3 + TOKENS)[None], use_cache=False).last_hidden_state
    return found


LAYERS = SIZES["num_hidden_layers"]


@pytest.mark.parametrize(("kind", "products"), [("mixtral", 1), ("llama", 3)])
@pytest.mark.parametrize("fuse", [False, True])
def test_a_pass_quantises_once_and_computes_the_same_bits(
    kind: str, products: int, fuse: bool, models: dict[str, PreTrainedModel], counted: Counted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Of attention the output alone is left to its product; of Llama's feed-forward part what is gated, too."""
    model = models[kind]
    monkeypatch.setattr(shared_rows, "KEEP", False)
    before = hidden(model)
    every = len(counted.by_products)
    assert every == LAYERS * {"mixtral": 4, "llama": 7}[kind]
    monkeypatch.setattr(shared_rows, "KEEP", True)
    counted.fuse = fuse
    counted.by_products.clear()
    assert torch.equal(hidden(model), before)
    normed = LAYERS * {"mixtral": 1, "llama": 2}[kind]
    alone = LAYERS * {"mixtral": 1, "llama": 2}[kind]
    assert len(counted.by_products) == alone + (0 if fuse else normed)
    assert counted.by_norms == ([TOKENS] * normed if fuse else [])


@pytest.mark.parametrize("fuse", [False, True])
def test_the_last_layers_queries_are_of_the_wanted_rows(
    fuse: bool, models: dict[str, PreTrainedModel], counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take other rows than keys and values, so they quantise their own."""
    counted.fuse = fuse
    model, wanted = models["mixtral"], torch.tensor([2, 7])

    def of_wanted() -> Tensor:
        with last_layer.only_rows(model, wanted):
            return hidden(model)[:, wanted]

    monkeypatch.setattr(shared_rows, "KEEP", False)
    before = of_wanted()
    monkeypatch.setattr(shared_rows, "KEEP", True)
    counted.by_products.clear()
    counted.by_norms.clear()
    assert torch.equal(of_wanted(), before)
    assert counted.by_products.count(len(wanted)) == 2
    assert len(counted.by_norms) == (LAYERS if fuse else 0)


def test_a_layer_that_is_kept_from_8_bits_reads_the_16_bits(
    models: dict[str, PreTrainedModel], counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models["mixtral"]
    attention = model.model.layers[1].self_attn
    norm = model.model.layers[1].input_layernorm
    assert norm.readers == (attention.q_proj, attention.k_proj, attention.v_proj)
    try:
        attention.q_proj.activations = attention.v_proj.activations = "compute"
        monkeypatch.setattr(shared_rows, "KEEP", False)
        before = hidden(model)
        monkeypatch.setattr(shared_rows, "KEEP", True)
        counted.by_norms.clear()
        assert torch.equal(hidden(model), before)
        assert len(counted.by_norms) == LAYERS
        attention.k_proj.activations = "compute"
        counted.by_norms.clear()
        hidden(model)
        assert len(counted.by_norms) == LAYERS - 1
    finally:
        set_activations(model, "int8")


def test_no_rows_outlive_their_layer(
    models: dict[str, PreTrainedModel], counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[Tensor]] = []
    keep: Callable[[Tensor, Rows], None] = shared_rows.keep

    def noted(x: Tensor, rows: Rows) -> None:
        assert sum(one() is not None for one in alive) <= 1, "those of the layer before it are still there"
        alive.append(weakref.ref(rows.values))
        keep(x, rows)

    monkeypatch.setattr(shared_rows, "keep", noted)
    gc.disable()
    try:
        hidden(models["llama"])
    finally:
        gc.enable()
    assert len(alive) > LAYERS
    assert not any(one() is not None for one in alive)


def test_what_is_not_for_the_kernel_is_told_without_a_card() -> None:
    def on_card(
        shape: tuple[int, int] = (3, 4096), dtype: torch.dtype = torch.bfloat16, address: int = 512, whole: bool = True,
        is_cuda: bool = True,
    ) -> Any:  # fmt: skip
        return SimpleNamespace(
            is_cuda=is_cuda, dtype=dtype, shape=shape, element_size=lambda: dtype.itemsize,
            numel=lambda: shape[0] * shape[1], is_contiguous=lambda: whole, data_ptr=lambda: address,
        )  # fmt: skip

    weight = on_card((1, 4096))
    assert triton_norm._takes(on_card(), weight)
    for other in (
        on_card(is_cuda=False), on_card(dtype=torch.float32), on_card(dtype=torch.float16), on_card((0, 4096)),
        on_card((3, 4098)), on_card((3, 1 << 15)), on_card(whole=False), on_card(address=514),
    ):  # fmt: skip
        assert not triton_norm._takes(other, weight), other
    assert not triton_norm._takes(on_card(dtype=torch.float32), on_card((1, 4096), torch.float32))
