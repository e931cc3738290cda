"""16-bit checkpoints to quantise: the embedded model's, made of the stored 8-bit one, and other layouts of the same."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pinpoint.checkpoints.sources import embedded_folder

COPIED = ("tokenizer*", "*.jinja")


def save_embedded(folder: Path) -> Path:
    """The embedded model in bfloat16, experts fused as transformers 5 names them.

    Quantising it gives the stored integers and scales again, exactly. A row's largest weight m is a bfloat16 number and
    its scale is m/127 in float32; 127 times that is m to within a float32 rounding, so bfloat16 gives m back and with
    it the scale. Any other weight, i scales with i up to 127, is rounded to bfloat16 with an error of at most i/512
    scales, a quarter of a scale, and quantising rounds it back to i.
    """
    folder.mkdir(parents=True)
    for path in (path for pattern in COPIED for path in embedded_folder().glob(pattern)):
        shutil.copy(path, folder)
    config = json.loads((embedded_folder() / "config.json").read_text())
    del config["quantization_config"]
    (folder / "config.json").write_text(json.dumps(config))
    stored = load_file(embedded_folder() / "model.safetensors")
    tensors: dict[str, Tensor] = {}
    for name, value in stored.items():
        if name.endswith("scale"):
            continue
        if value.dtype == torch.int8:
            scale = f"{name}_scale" if f"{name}_scale" in stored else name.removesuffix("weight") + "scale"
            value = (value.float() * stored[scale].unsqueeze(-1)).bfloat16()
        tensors[name] = value
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def fuse_mixtral(source: Path, folder: Path) -> Path:
    """The same weights with each layer's experts in two tensors, as transformers 5 holds them."""
    shutil.copytree(source, folder)
    tensors = load_file(source / "model.safetensors")
    marked = ".block_sparse_moe.experts."
    fused = {name.replace(".block_sparse_moe.", ".mlp."): tensors[name] for name in tensors if marked not in name}
    for place in {name.split(marked)[0] for name in tensors if marked in name}:
        count = len({name.split(marked)[1].split(".")[0] for name in tensors if name.startswith(place + marked)})
        parts = {
            part: torch.stack([tensors[f"{place}{marked}{expert}.{part}.weight"] for expert in range(count)])
            for part in ("w1", "w2", "w3")
        }
        fused[f"{place}.mlp.experts.gate_up_proj"] = torch.cat([parts["w1"], parts["w3"]], dim=1)
        fused[f"{place}.mlp.experts.down_proj"] = parts["w2"]
    save_file(fused, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def shard(source: Path, folder: Path, files: int) -> Path:
    """The same tensors spread over several files, with an index."""
    shutil.copytree(source, folder)
    (folder / "model.safetensors").unlink()
    tensors = load_file(source / "model.safetensors")
    placed: dict[str, str] = {}
    for number in range(files):
        name = f"model-{number + 1:05d}-of-{files:05d}.safetensors"
        share = dict(sorted(tensors.items())[number::files])
        save_file(share, folder / name, metadata={"format": "pt"})
        placed |= dict.fromkeys(share, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    return folder


def cast(source: Path, folder: Path, dtype: torch.dtype) -> Path:
    """The same checkpoint in another dtype, with weights that bfloat16 cannot hold."""
    shutil.copytree(source, folder)
    generator = torch.Generator().manual_seed(1)
    tensors = load_file(source / "model.safetensors")
    finer = {
        name: (value.float() * (1 + 2**-9 * torch.rand(value.shape, generator=generator))).to(dtype)
        for name, value in tensors.items()
    }
    save_file(finer, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
