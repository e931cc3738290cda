"""The embedded model, which is shipped in 8 bits, as a folder of 16-bit weights that any precision can be made of."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from pinpoint.engine.loading.load import embedded_folder, load
from pinpoint.engine.weights.int8 import SCALE
from pinpoint.settings import Settings
from training.real_models import cache_folder


def embedded_16_bits() -> Path:
    """Its folder, made if it is not there. A weight is its integer times its scale, rounded to bfloat16."""
    source = embedded_folder()
    into = cache_folder() / f"embedded-{hashlib.sha256((source / 'SHA256SUMS').read_bytes()).hexdigest()[:12]}"
    if (into / "config.json").is_file():
        return into
    integers = load(Settings.model_validate({"device": "cpu"})).model.state_dict()
    plain_config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    del plain_config["quantization_config"]
    config = AutoConfig.for_model(**plain_config)
    with torch.device("meta"):
        plain: Any = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict({name: _widened(name, integers) for name in plain.state_dict()}, assign=True)
    plain.tie_weights()
    partial = into.with_name(into.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for pattern in ("tokenizer*", "*.jinja"):
        for file in source.glob(pattern):
            shutil.copy(file, partial)
    plain.save_pretrained(partial)
    partial.replace(into)
    return into


def _widened(name: str, kept: dict[str, Tensor]) -> Tensor:
    scale = kept.get(f"{name.removesuffix('weight')}{SCALE}" if name.endswith("weight") else f"{name}_{SCALE}")
    weight = kept[name].float()
    return (weight if scale is None else weight * scale.unsqueeze(-1)).to(torch.bfloat16)
