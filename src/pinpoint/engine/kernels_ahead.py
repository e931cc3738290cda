"""Kernels compiled without a card, from a list of those that a start on one asked for.

Which kernels a start needs depends on the model's sizes, its precision and the card, so they are not guessed: a start
on a card leaves a list of what it asked of Triton, and wherever the same Triton and the same source are, in an image's
build say, that is compiled into the cache in which the next start looks. What a start does not find there it compiles.

Sources: `JITFunction.preload` and `triton.compile` of triton 3.6, whose cache key holds the source, what the arguments
are, the options and the target, and nothing of the machine.
"""

from __future__ import annotations

import importlib
import json
import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from pinpoint.errors import ModelError

log = logging.getLogger("pinpoint")

OWN = "pinpoint."
LIST = "pinpoint-kernels.json"  # in Triton's cache directory
# Functions that make kernels when they are first called, where a module does not have them by name.
MAKERS = ("_kernel", "_kernels")
HOPPER = 90


@dataclass(slots=True)
class Asked:
    """What was asked of Triton.

    Attributes:
        triton: its version.
        target: the card's, 90 for Hopper.
        kernels: by module, in Triton's own words for what was asked.
        compile_s: that compiling took, of those which were not in the cache.
    """

    triton: str
    target: int
    kernels: list[dict[str, str]] = field(default_factory=list)
    compile_s: float = 0.0

    def write(self, path: Path) -> None:
        """As `read` takes it."""
        kernels = sorted(self.kernels, key=lambda one: one["data"])
        path.write_text(
            json.dumps({"triton": self.triton, "target": self.target, "kernels": kernels}, indent=1), "utf-8"
        )


@dataclass(frozen=True, slots=True)
class Compiled:
    """What came of a list.

    Attributes:
        kernels: that are in the cache now.
        failed: the others, with the reason.
        seconds: that it took.
    """

    kernels: int
    failed: tuple[str, ...]
    seconds: float


def note() -> Asked | None:
    """What is asked of Triton from now on, on the current card; None where there is no card, no Triton, or an
    older one.
    """
    import torch

    try:
        import triton

        major, minor = torch.cuda.get_device_capability()
        runtime, compilation = triton.knobs.runtime, triton.knobs.compilation
    except (ImportError, RuntimeError, AssertionError, AttributeError):
        return None
    asked = Asked(triton.__version__, 10 * major + minor)

    def first_use(*, fn: Any, compile: dict[str, Any], **_: Any) -> bool:
        if fn.module.startswith(OWN):
            asked.kernels.append({"module": fn.module, "data": compile["specialization_data"]})
        return False  # go on

    def made(*, times: Any, cache_hit: bool, **_: Any) -> None:
        asked.compile_s += 0.0 if cache_hit else times.total / 1e6

    runtime.jit_cache_hook, compilation.listener = first_use, made
    return asked


def leave(asked: Asked) -> None:
    """Leave the list beside the kernels, for the build of an image, and say what compiling took."""
    path = Path(os.environ.get("TRITON_CACHE_DIR") or Path.home() / ".triton" / "cache") / LIST
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        asked.write(part)
        part.replace(path)
    except OSError as error:
        log.info("the list of kernels is not kept: %s", error.strerror)
    log.info("kernels: asked=%d compile_s=%.2f list=%s", len(asked.kernels), asked.compile_s, path)


def read(path: Path) -> Asked:
    """A list that `Asked.write` wrote.

    Raises:
        ModelError: it is no such list, or of another version of Triton, or there is none here.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        asked = Asked(str(found["triton"]), int(found["target"]))
        asked.kernels = [{"module": str(one["module"]), "data": str(one["data"])} for one in found["kernels"]]
        if not all(one["module"].startswith(OWN) for one in asked.kernels):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            "kernels_unreadable", f"{path} is not a list of kernels ({type(error).__name__})", "LIST"
        ) from None
    try:
        import triton
    except ImportError:
        raise ModelError(
            "kernels_unreadable",
            "there is no Triton here: it comes with torch's CUDA builds; run this in the worker's image",
            "LIST",
        ) from None
    if asked.triton != triton.__version__:
        raise ModelError(
            "kernels_unreadable",
            f"{path} is of triton {asked.triton}, and here is {triton.__version__}, which would not find them; take a "
            "list that a worker of this version wrote",
            "LIST",
        )
    return asked


def compile_all(asked: Asked, processes: int) -> Compiled:
    """Compile what was asked for into Triton's cache directory; on Hopper `grouped.cu`, too. No card is needed.

    Args:
        processes: at a time.
    """
    began = time.monotonic()
    for module in {one["module"] for one in asked.kernels}:
        with suppress(ImportError):  # said of each of its kernels
            importlib.import_module(module)  # once, before there are several processes
    work: list[Callable[[], str]] = [partial(_compile, one, asked.target) for one in asked.kernels]
    if asked.target == HOPPER:
        work += [partial(_compile_grouped, *kind) for kind in product((0, 1), repeat=3)]
    if processes == 1:
        done = [_called(each) for each in work]
    else:
        with multiprocessing.get_context("fork").Pool(processes) as pool:
            done = pool.map(_called, work, chunksize=1)
    failed = tuple(sorted(each for each in done if each))
    return Compiled(len(done) - len(failed), failed, time.monotonic() - began)


def kernels_of(module: str) -> dict[str, Any]:
    """The kernels of one of our modules, by Triton's names for them."""
    from triton.runtime.jit import JITFunction

    found = importlib.import_module(module)
    values = list(vars(found).values())
    for maker in MAKERS:
        made = getattr(found, maker)() if callable(getattr(found, maker, None)) else ()
        values += list(made.values()) if isinstance(made, dict) else made if isinstance(made, Sequence) else [made]
    return {each._fn_name: each for each in values if isinstance(each, JITFunction)}


def _called(work: Callable[[], str]) -> str:
    return work()


def _compile(one: dict[str, str], target: int) -> str:
    """Compile a kernel; why not, or nothing."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.runtime.jit import convert_to_tuple_if_list

    name = one["module"]
    try:
        data = json.loads(one["data"])
        name = data["name"]
        constants = dict(zip(map(tuple, data["constant_keys"]), map(_constant, data["constant_vals"]), strict=True))
        attributes = dict(zip(map(tuple, data["attrs_keys"]), data["attrs_vals"], strict=True))
        signature = {key: convert_to_tuple_if_list(value) for key, value in data["signature"].items()}
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in data["options"].items()}
        for told in ("arch", "backend_name"):  # by the target
            options.pop(told, None)
        source = ASTSource(kernels_of(one["module"])[name], signature, constants, attributes)
        triton.compile(source, target=GPUTarget("cuda", target, 32), options=options)
    except Exception as error:  # of a list that is older than the source, or a compiler's own
        return f"{name}: {type(error).__name__}"
    return ""


def _compile_grouped(whole: int, gated: int, half: int) -> str:
    from pinpoint.engine.weights import cuda_grouped

    try:
        cuda_grouped.compiled(whole, gated, half)
    except (cuda_grouped.Unmade, OSError, AttributeError) as error:
        return f"grouped.cu: {type(error).__name__}"
    return ""


def _constant(value: Any) -> Any:
    import triton.language as tl

    if tl.dtype.is_dtype(value):
        return tl.dtype(value)
    return tl.constexpr(value["constexpr"]) if isinstance(value, dict) and "constexpr" in value else value
