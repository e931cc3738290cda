"""From disk to a model that answers: `python bench/cold_start.py [--gb 1.5] [--parts reads,loads,first,starts]`.

A checkpoint of random weights is written, in the project's own 8 bits and in 16 bits as the Hub has it, and read in
several ways in turn, its files dropped from the page cache before each cold round: a plain parallel read into buffers
that are used again and again, which is the ceiling, and ways to tensors on the device, ours and those of libraries that
are installed. Then the product's own load, the first ones of a process, and whole starts, with and without reading
ahead. What a virtual machine's host keeps of its disk is out of reach, for all sides alike.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import typer
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import MixtralConfig

from bench.gpu_loading import drop_from_cache
from bench.gpu_model import mixtral_8x7b, random_model
from bench.report import write
from pinpoint.checkpoints.weight_files import stored_bytes
from pinpoint.engine.loading import load as loading
from pinpoint.engine.loading.load import embedded_folder
from pinpoint.engine.loading.ring import Ring
from pinpoint.engine.weights.int8 import Int8Config
from pinpoint.settings import Settings

THREADS, BLOCK_BYTES = 8, 1 << 24
LIBRARIES = ("safetensors", "fastsafetensors", "runai-model-streamer", "instanttensor")
START = """
import logging, sys
logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
logging.getLogger("pinpoint").setLevel("INFO")
from pinpoint.serving import model
from pinpoint.settings import read_settings
settings = read_settings()
if "--no-read-ahead" in sys.argv:
    model.read_ahead = lambda settings: None
model.read_ahead(settings)
if "--ring" in sys.argv:
    plain = model.make_scorer
    def make_scorer(*given):
        from pinpoint.engine.transformers_import import import_without_scipy
        import_without_scipy()
        from pinpoint.engine.loading import load
        load.BY_RING = ("cpu", "cuda")
        return plain(*given)
    model.make_scorer = make_scorer
if "--load" in sys.argv:
    from pinpoint.engine.transformers_import import import_without_scipy
    import_without_scipy()
    from pinpoint.engine.loading.load import load
    from pinpoint.engine.readings import process_age_s
    loaded = load(settings)
    for tensor in loaded.model.state_dict().values():  # each page of it
        tensor.view(-1)[:: 4096 // tensor.element_size()].float().sum().item()
    print(f"started: loaded and touched, total_s={process_age_s():.2f}", file=sys.stderr)
else:
    model.get_scorer(settings)
"""

LOADS = """
import json, sys, time
import torch
from pinpoint.engine.loading.load import load
from pinpoint.engine.readings import Laps
from pinpoint.settings import read_settings
if torch.cuda.is_available():
    torch.zeros(1, device="cuda")  # the driver's first word is no part of it
for _ in range(int(sys.argv[1])):
    laps, began = Laps(), time.perf_counter()
    loaded = load(read_settings(), laps)
    if loaded.device.type == "cuda":
        torch.cuda.synchronize()
    print(json.dumps({"seconds": round(time.perf_counter() - began, 3), **laps.told()}))
    del loaded
    torch.cuda.empty_cache()
"""


def make(folder: Path, gigabytes: float, *, quantised: bool, small: bool) -> Path:
    """A checkpoint of about so many GB, a file for each layer; the layers hold the same numbers."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    state = _one_layer(_config(1, small), device)
    if not quantised:
        state = dict(_in_16_bits(state))
    first = "model.layers.0."
    layer = {name.removeprefix(first): value for name, value in state.items() if name.startswith(first)}
    outside = {name: value for name, value in state.items() if not name.startswith(first)}
    size = sum(value.nbytes for value in layer.values())
    layers = max(1, round((gigabytes * 1e9 - sum(value.nbytes for value in outside.values())) / size))
    placed = dict.fromkeys(outside, "model-outside.safetensors")
    save_file(outside, folder / "model-outside.safetensors", metadata={"format": "pt"})
    for number in range(layers):
        named = {f"model.layers.{number}.{name}": value for name, value in layer.items()}
        save_file(named, folder / f"model-{number:02}.safetensors", metadata={"format": "pt"})
        placed |= dict.fromkeys(named, f"model-{number:02}.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}), "utf-8")
    config = _config(layers, small).to_dict() | {"architectures": ["MixtralForCausalLM"], "dtype": "bfloat16"}
    more = {"quantization_config": Int8Config().to_dict()} if quantised else {}
    (folder / "config.json").write_text(json.dumps(config | more, indent=2), "utf-8")
    for file in embedded_folder().iterdir():
        if file.name.startswith(("tokenizer", "chat_template")):
            shutil.copyfile(file, folder / file.name)
    os.sync()
    return folder


def _config(layers: int, small: bool) -> Any:
    if not small:
        return mixtral_8x7b(layers)
    return MixtralConfig(
        vocab_size=32000, hidden_size=2048, intermediate_size=5632, num_hidden_layers=layers, num_attention_heads=16,
        num_key_value_heads=8, num_local_experts=4, num_experts_per_tok=2, max_position_embeddings=32768,
        sliding_window=None,
    )  # fmt: skip


def _one_layer(config: Any, device: torch.device) -> dict[str, Tensor]:
    model = random_model(config, device)
    state = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    del model
    _forget()
    return state


def _in_16_bits(state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The same sizes as the Hub has them: experts one by one, no scales."""
    for name, value in state.items():
        if name.endswith("scale"):
            continue
        wide = value.to(torch.bfloat16) / 4096 if value.dtype == torch.int8 else value
        experts = re.fullmatch(r"(.*)mlp\.experts\.(gate_up|down)_proj", name)
        if experts is None:
            yield name.replace("mlp.gate.", "block_sparse_moe.gate."), wide.contiguous()
            continue
        for number, expert in enumerate(wide):
            parts = {"w2": expert} if experts[2] == "down" else dict(zip(("w1", "w3"), expert.chunk(2), strict=True))
            for part, weight in parts.items():
                yield f"{experts[1]}block_sparse_moe.experts.{number}.{part}.weight", weight.clone()


def blocks(files: list[Path]) -> list[tuple[Path, int]]:
    """All blocks of the files."""
    return [(file, offset) for file in files for offset in range(0, file.stat().st_size, BLOCK_BYTES)]


def plain(files: list[Path], *, direct: bool = False) -> None:
    """A parallel read of the files, each thread into one buffer; `direct` past the page cache."""
    opened = {file: os.open(file, os.O_RDONLY | (os.O_DIRECT if direct else 0)) for file in files}
    work = iter(blocks(files))

    def read() -> None:
        with mmap.mmap(-1, BLOCK_BYTES) as buffer:  # aligned to pages, as O_DIRECT wants it
            view = memoryview(buffer)
            while (block := next(work, None)) is not None:
                os.preadv(opened[block[0]], [view], block[1])
            view.release()

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(read) for _ in range(THREADS)]:
            done.result()
    for descriptor in opened.values():
        os.close(descriptor)


def by_ring(files: list[Path], device: torch.device) -> None:
    """Ours, as the loader has it: four ask, eight read."""
    ring = Ring(device)
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(ring.read, stored_bytes(files[0].parent).values()))
    ring.close()
    _settle(device, kept)


def by_safetensors(files: list[Path], device: torch.device) -> None:
    """Its own mapping; on a CPU, tensors are copied, since until then nothing is read."""
    kept = [tensor for file in files for tensor in load_file(file, device=str(device)).values()]
    if device.type == "cpu":
        kept = [tensor.clone() for tensor in kept]
    _settle(device, kept)


def by_fastsafetensors(files: list[Path], device: torch.device) -> None:
    """Without GPUDirect, which needs a driver of its own."""
    from fastsafetensors import SafeTensorsFileLoader, SingleGroup  # type: ignore[import-not-found]

    loader = SafeTensorsFileLoader(SingleGroup(), str(device), nogds=True)
    loader.add_filenames({0: [str(file) for file in files]})
    held = loader.copy_files_to_device()
    _settle(device, [held.get_tensor(key) for key in loader.get_keys()])
    held.close()
    loader.close()


def by_runai(files: list[Path], device: torch.device) -> None:
    """As its own example has it."""
    from runai_model_streamer import SafetensorsStreamer  # type: ignore[import-not-found]

    with SafetensorsStreamer() as streamer:
        streamer.stream_files([str(file) for file in files])
        copied = (tensor.clone() if device.type == "cpu" else tensor.to(device) for _, tensor in streamer.get_tensors())
        _settle(device, list(copied))


def by_instanttensor(files: list[Path], device: torch.device) -> None:
    """For CUDA alone."""
    from instanttensor import safe_open  # type: ignore[import-not-found]

    with safe_open([str(file) for file in files], framework="pt", device=device) as opened:
        _settle(device, [tensor.clone() for _, tensor in opened.tensors()])


def _settle(device: torch.device, kept: list[Tensor]) -> None:
    assert kept and all(tensor.device.type == device.type for tensor in kept)
    if device.type == "cuda":
        torch.cuda.synchronize(device)


WAYS: dict[str, Callable[[list[Path], torch.device], None]] = {
    "ring": by_ring,
    "safetensors": by_safetensors,
    "fastsafetensors": by_fastsafetensors,
    "runai-model-streamer": by_runai,
    "instanttensor": by_instanttensor,
}


def reads(folder: Path, rounds: int) -> dict[str, Any]:
    """Seconds of each way, from disk and from the page cache, in turn, and what share of the plain read it reaches."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sides: dict[str, Callable[[list[Path]], None]] = {"plain": plain, "plain, O_DIRECT": partial(plain, direct=True)}
    sides |= {name: partial(_to, way, device) for name, way in WAYS.items()}
    return _measured(folder, sides, rounds)


def _to(device_way: Callable[[list[Path], torch.device], None], device: torch.device, files: list[Path]) -> None:
    device_way(files, device)


def loads(folder: Path, rounds: int) -> dict[str, Any]:
    """The product's own load, beside the plain read."""
    name = "cuda" if torch.cuda.is_available() else "cpu"

    def load(by_ring: bool) -> None:
        loading.BY_RING = ("cpu", "cuda") if by_ring else ()
        dtype = "bfloat16" if name == "cpu" else "auto"
        loaded = loading.load(Settings(model_name=str(folder), device=name, compute_dtype=dtype))  # type: ignore[arg-type]
        if name == "cuda":
            torch.cuda.synchronize()
        del loaded

    sides: dict[str, Callable[[list[Path]], None]] = {
        "plain": plain,
        "load, as transformers reads": lambda _: load(False),
        "load, by ring": lambda _: load(True),
    }
    return _measured(folder, sides, rounds)


def _measured(folder: Path, sides: dict[str, Callable[[list[Path]], None]], rounds: int) -> dict[str, Any]:
    files = sorted(folder.glob("*.safetensors"))
    size = sum(file.stat().st_size for file in files)
    found: dict[str, Any] = {"bytes": size, "files": len(files)}
    sides = {name: side for name, side in sides.items() if _works(name, side, files, found)}
    for state in ("from disk", "from the page cache"):
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in sides.items():
                if state == "from disk":
                    drop_from_cache(files)
                else:
                    plain(files)
                began = time.perf_counter()
                side(files)
                seconds[name].append(time.perf_counter() - began)
                _forget()
        found[state] = {
            name: {
                "seconds": round(median(taken), 3),
                "gb_per_s": round(size / median(taken) / 1e9, 2),
                "share_of_plain": round(median(a / b for a, b in zip(seconds["plain"], taken, strict=True)), 3),
            }
            for name, taken in seconds.items()
        }
    return found


def _works(name: str, side: Callable[[list[Path]], None], files: list[Path], found: dict[str, Any]) -> bool:
    try:
        side(files)
    except Exception as error:  # a library that is not there, or not for this device
        found.setdefault("not measured", {})[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
        return False
    return True


def first(folder: Path, rounds: int) -> dict[str, Any]:
    """Seconds of a process's first two loads from the page cache, and of its first from disk, each beside a plain read
    just before it; where they went.
    """
    files, found = sorted(folder.glob("*.safetensors")), dict[str, Any]()
    plain(files)
    for state, loads in (("from the page cache", 2), ("from disk", 1)):
        for _ in range(rounds):
            _forget_files(files, state)
            began = time.perf_counter()
            plain(files)
            read_s = round(time.perf_counter() - began, 3)
            _forget_files(files, state)
            done = subprocess.run(
                [sys.executable, "-c", LOADS, str(loads)], env=_environment(folder), capture_output=True, text=True,
                check=True,
            )  # fmt: skip
            told = [json.loads(line) for line in done.stdout.splitlines()]
            shares = [round(read_s / one["seconds"], 3) for one in told]
            found.setdefault(state, []).append({"plain": read_s, "loads": told, "share_of_plain": shares})
    return found


def _forget_files(files: list[Path], state: str) -> None:
    if state == "from disk":
        drop_from_cache(files)


def _environment(folder: Path) -> dict[str, str]:
    """Of a process that loads a checkpoint."""
    name = "cuda" if torch.cuda.is_available() else "cpu"
    more = {} if name == "cuda" else {"PINPOINT_COMPUTE_DTYPE": "bfloat16"}
    return {**os.environ, "MODEL_NAME": str(folder), "PINPOINT_DEVICE": name, **more}


def starts(folder: Path, rounds: int, ways: dict[str, list[str]]) -> dict[str, Any]:
    """Seconds of a process that begins, loads the model from disk, and can take jobs; and its own account of them."""
    files, found = sorted(folder.glob("*.safetensors")), dict[str, Any]()
    for _ in range(rounds):
        for way, words in ways.items():
            drop_from_cache(files)
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", START, *words], env=_environment(folder), capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            took = time.perf_counter() - began
            lines = [line for line in done.stderr.splitlines() if "started:" in line or "read ahead:" in line]
            lines += [line for line in done.stderr.splitlines() if "token budget:" in line or "warm-up:" in line]
            entry = found.setdefault(way, {"seconds": [], "said": []})
            entry["seconds"].append(round(took, 2))
            entry["said"].append(lines if not done.returncode else done.stderr[-2000:])
    return found


def _forget() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def versions() -> dict[str, str]:
    """Of the libraries that are compared."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def main(
    gb: Annotated[float, typer.Option(help="Size of each checkpoint.")] = 1.5,
    parts: Annotated[str, typer.Option(help="Of reads, loads, first and starts, by commas.")] = "reads,loads,starts",
    rounds: Annotated[int, typer.Option(help="Of each way.")] = 3,
    kinds: Annotated[str, typer.Option(help="Of int8 and bf16, by commas.")] = "int8,bf16",
    small: Annotated[bool, typer.Option(help="Layers of 0.2 GB in place of Mixtral 8x7B's.")] = True,
    folder: Annotated[Path | None, typer.Option(help="Where checkpoints are written; they are removed.")] = None,
    name: Annotated[str, typer.Option(help="Of the file in bench/results.")] = "cold_start",
) -> None:
    """Measure, print and write bench/results/NAME.json."""
    place = folder or Path(tempfile.mkdtemp())
    found: dict[str, Any] = {"threads": torch.get_num_threads(), "libraries": versions()}
    ways = {"without": ["--no-read-ahead"], "read ahead": [], "read ahead, by ring": ["--ring"]}
    if not torch.cuda.is_available():  # there a proof of so large a model takes longer than all else
        ways = {"every page of the weights in memory, without": ["--load", "--no-read-ahead"]}
        ways["every page of the weights in memory, read ahead"] = ["--load"]
    for kind in kinds.split(","):
        made = make(place / kind, gb, quantised=kind == "int8", small=small)
        try:
            if "reads" in parts:
                found[f"{kind}: reads"] = reads(made, rounds)
            if "loads" in parts:
                found[f"{kind}: loads"] = loads(made, rounds)
            if "first" in parts:
                found[f"{kind}: first"] = first(made, rounds)
            if "starts" in parts:
                found[f"{kind}: starts"] = starts(made, rounds, ways)
        finally:
            shutil.rmtree(made)
    print(json.dumps(found, indent=1))
    print(write(name, found))


if __name__ == "__main__":
    typer.run(main)
