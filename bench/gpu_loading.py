"""Loading from disk: the quantised checkpoint against a plain read of its files, a 16-bit one by its peak, and beside
it the usual recipe.

Files are dropped from the page cache before each cold round; what the host of a virtual machine keeps of its disk is
out of reach, for both sides alike, which take turns.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from bench.gpu_model import mixtral_8x7b, random_model
from bench.gpu_rows import Row, at_least, at_most
from pinpoint.engine.loading.load import embedded_folder, load
from pinpoint.engine.weights.int8 import Int8Config
from pinpoint.planning.cards import GB
from pinpoint.settings import Settings

PART = "loading"
DEVICE = "cuda:0"
BLOCK_BYTES = 1 << 24
WRITE_SECONDS = 75.0  # writing stops after so long, and the model has as many layers as are there
SPARE_DISK_BYTES = 4 * 10**9
FEW_LAYERS = 2


def quantised(scratch: Path, layers: int, rounds: int = 2) -> list[Row]:
    """The quantised checkpoint, loaded and plainly read in turn, from disk and from the page cache."""
    folder = scratch / "int8"
    began = time.monotonic()
    written_layers = write_quantised(folder, layers)
    wrote_s = time.monotonic() - began
    files = sorted(folder.glob("*.safetensors"))
    size = sum(file.stat().st_size for file in files)
    rows = [
        Row(PART, "quantised checkpoint, layers", written_layers),
        Row(PART, "quantised checkpoint, GB", round(size / GB, 2)),
        Row(PART, "written in, s", round(wrote_s, 1)),
    ]
    for state in ("from disk", "from the page cache"):
        reads, loads = list[float](), list[float]()
        for _ in range(rounds):
            for side, seconds in ((read_plainly, reads), (load_quantised, loads)):
                if state == "from disk":
                    drop_from_cache(files)
                seconds.append(side(folder))
        share = median(a / b for a, b in zip(reads, loads, strict=True))
        rows += [
            Row(PART, f"plain read {state}, GB/s", round(size / median(reads) / GB, 2)),
            Row(PART, f"load {state}, GB/s", round(size / median(loads) / GB, 2)),
            Row(PART, f"load {state}, s", round(median(loads), 1)),
            at_least(PART, f"load {state}, share of the plain read", round(share, 3), 0.85)
            if state == "from disk"
            else Row(PART, f"load {state}, share of the plain read", round(share, 3)),
        ]
    shutil.rmtree(folder)
    return rows


def read_plainly(folder: Path) -> float:
    """Seconds of one sequential read of all weight files, block by block."""
    buffer = bytearray(BLOCK_BYTES)
    began = time.perf_counter()
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass
    return time.perf_counter() - began


def load_quantised(folder: Path) -> float:
    """Seconds of the product's own load, tokenizer, plan, checks and all."""
    began = time.perf_counter()
    loaded = load(Settings(model_name=str(folder), device="cuda"))
    torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    del loaded
    _forget()
    return seconds


def drop_from_cache(files: list[Path]) -> None:
    """Have the kernel forget what it keeps of the files."""
    for file in files:
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def write_quantised(folder: Path, layers: int) -> int:
    """A checkpoint of random 8-bit weights, a file for each layer; returns the layers that time and disk allowed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began, index, written = time.monotonic(), dict[str, str](), 0
    model = random_model(mixtral_8x7b(1), torch.device(DEVICE))
    state = {name: value.cpu() for name, value in model.state_dict().items()}
    del model
    _forget()
    first = "model.layers.0."
    outside = {name: value for name, value in state.items() if not name.startswith(first)}
    layer = {name.removeprefix(first): value for name, value in state.items() if name.startswith(first)}
    layer_bytes = sum(value.numel() * value.element_size() for value in layer.values())
    _save(folder / "model-outside.safetensors", outside, index)
    while written < layers and time.monotonic() - began < WRITE_SECONDS:
        if shutil.disk_usage(folder).free < layer_bytes + SPARE_DISK_BYTES:
            break
        # One layer's numbers serve for all: what is measured is bytes.
        named = {f"model.layers.{written}.{name}": value for name, value in layer.items()}
        _save(folder / f"model-layer-{written:02}.safetensors", named, index)
        written += 1
    _write_rest(folder, mixtral_8x7b(written), index, {"quantization_config": Int8Config().to_dict()})
    return written


def from_16_bits(scratch: Path) -> list[Row]:
    """A 16-bit checkpoint of a few layers: the most that is held while it is quantised, over the final size."""
    folder = write_16_bits(scratch / "bf16")
    config = mixtral_8x7b(FEW_LAYERS)
    expert_bytes = 2 * config.num_local_experts * 2 * config.intermediate_size * config.hidden_size
    _forget()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    loaded = load(Settings(model_name=str(folder), device="cuda", precision="int8"))
    seconds = time.perf_counter() - began
    peak, final = torch.cuda.max_memory_allocated() - before, torch.cuda.memory_allocated() - before
    rows = [
        Row(PART, f"16-bit checkpoint of {FEW_LAYERS} layers, GB", round(_folder_bytes(folder) / GB, 2)),
        Row(PART, "loaded in 8 bits, GB", round(final / GB, 3)),
        Row(PART, "its parameters and buffers, GB", round(loaded.weight_bytes / GB, 3)),
        Row(PART, "loaded in, s", round(seconds, 1)),
        Row(PART, "most held while loading, GB", round(peak / GB, 3)),
        Row(PART, "one fused expert tensor in 16 bits, GB", round(expert_bytes / GB, 3)),
        at_most(PART, "held above the final size, in such tensors", round((peak - final) / expert_bytes, 3), 1.0),
    ]
    del loaded
    _forget()
    return rows


def usual_recipe(scratch: Path) -> list[Row]:
    """`load_in_8bit=True, device_map={"": 0}, max_memory={0: …}` on the same checkpoint: promised and taken."""
    folder = write_16_bits(scratch / "bf16")
    in_16_bits = _folder_bytes(folder)
    promised = in_16_bits // 2 + 10**9  # what 8 bits would need, and a GB more
    _forget()
    before = torch.cuda.memory_allocated()
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        quantization_config=BitsAndBytesConfig(load_in_8bit=True),
        device_map={"": 0},
        max_memory={0: promised},
        dtype=torch.bfloat16,
        local_files_only=True,
    )
    taken = torch.cuda.memory_allocated() - before
    wide = sum(p.numel() for p in model.parameters() if p.dtype != torch.int8) / sum(
        p.numel() for p in model.parameters()
    )
    del model
    _forget()
    return [
        Row("usual", f"16-bit checkpoint of {FEW_LAYERS} layers, GB", round(in_16_bits / GB, 2)),
        Row("usual", "max_memory that the usual recipe was given, GB", round(promised / GB, 2)),
        Row("usual", "taken by the usual recipe, GB", round(taken / GB, 2)),
        Row("usual", "parameters that it left in 16 bits, %", round(100 * wide, 1)),
    ]


def write_16_bits(folder: Path) -> Path:
    """A bf16 checkpoint in the layout of the Hub, expert by expert, written once."""
    if (folder / "config.json").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config, index = mixtral_8x7b(FEW_LAYERS), dict[str, str]()
    hidden, width, vocabulary = config.hidden_size, config.intermediate_size, config.vocab_size
    _save(
        folder / "model-outside.safetensors",
        {
            "model.embed_tokens.weight": _random(vocabulary, hidden),
            "lm_head.weight": _random(vocabulary, hidden),
            "model.norm.weight": torch.ones(hidden, dtype=torch.bfloat16),
        },
        index,
    )
    for layer in range(FEW_LAYERS):
        named = {f"model.layers.{layer}.{name}": value for name, value in _layer(config, hidden, width)}
        _save(folder / f"model-layer-{layer:02}.safetensors", named, index)
    _write_rest(folder, config, index, {})
    return folder


def _layer(config: Any, hidden: int, width: int) -> Iterator[tuple[str, Tensor]]:
    kv = hidden // config.num_attention_heads * config.num_key_value_heads
    for name, outputs in (("q", hidden), ("k", kv), ("v", kv), ("o", hidden)):
        yield f"self_attn.{name}_proj.weight", _random(outputs, hidden)
    for name in ("input_layernorm", "post_attention_layernorm"):
        yield f"{name}.weight", torch.ones(hidden, dtype=torch.bfloat16)
    yield "block_sparse_moe.gate.weight", _random(config.num_local_experts, hidden)
    for expert in range(config.num_local_experts):
        for name, shape in (("w1", (width, hidden)), ("w3", (width, hidden)), ("w2", (hidden, width))):
            yield f"block_sparse_moe.experts.{expert}.{name}.weight", _random(*shape)


def _random(outputs: int, inputs: int) -> Tensor:
    weight = torch.randn(outputs, inputs, dtype=torch.bfloat16, device=DEVICE)
    return weight.mul_(inputs**-0.5).cpu()


def _save(file: Path, tensors: dict[str, Tensor], index: dict[str, str]) -> None:
    save_file(tensors, file, metadata={"format": "pt"})
    index.update(dict.fromkeys(tensors, file.name))


def _write_rest(folder: Path, config: Any, index: dict[str, str], more: dict[str, Any]) -> None:
    for file in embedded_folder().iterdir():
        if file.name.startswith(("tokenizer", "chat_template")):
            shutil.copyfile(file, folder / file.name)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": _folder_bytes(folder)}, "weight_map": index}), "utf-8"
    )
    values = config.to_dict() | {"architectures": ["MixtralForCausalLM"], "dtype": "bfloat16"} | more
    (folder / "config.json").write_text(json.dumps(values, indent=2), "utf-8")


def _folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def _forget() -> None:
    gc.collect()
    torch.cuda.empty_cache()
