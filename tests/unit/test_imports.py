"""Importing does nothing that anybody could notice: no torch outside the engine's tensor rooms, no output, no state."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# The rooms that compute with tensors; the rest of engine/ is arithmetic and packing.
TENSOR_MODULES = {
    "pinpoint.engine.forward.attention",
    "pinpoint.engine.forward.blocks",
    "pinpoint.engine.forward.frequencies",
    "pinpoint.engine.forward.head",
    "pinpoint.engine.forward.rules",
    "pinpoint.engine.forward.span_table",
    "pinpoint.engine.baseline",
    "pinpoint.engine.loading.architecture",
    "pinpoint.engine.loading.checkpoint",
    "pinpoint.engine.loading.checkpoint_writer",
    "pinpoint.engine.weights.experts",
    "pinpoint.engine.forward.generate",
    "pinpoint.engine.gpu",
    "pinpoint.engine.weights.int8",
    "pinpoint.engine.weights.int8_product",
    "pinpoint.engine.forward.last_layer",
    "pinpoint.engine.loading.load",
    "pinpoint.engine.weights.nf4",
    "pinpoint.engine.forward.norms",
    "pinpoint.engine.forward.prefix_cache",
    "pinpoint.engine.loading.measure",
    "pinpoint.engine.loading.pretrained",
    "pinpoint.engine.loading.quantize_job",
    "pinpoint.engine.weights.quantizer",
    "pinpoint.engine.scorer",
    "pinpoint.engine.forward.scoring",
    "pinpoint.engine.weights.triton_grouped",
    "pinpoint.engine.weights.triton_int8",
    "pinpoint.engine.weights.triton_pointwise",
    "pinpoint.engine.forward.varlen",
    "pinpoint.engine.warmup",
}

IMPORT_ALL = """
import importlib, json, pkgutil, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "transformers", "bitsandbytes"):
            raise ImportError("heavy: " + name)

sys.meta_path.insert(0, NoTorch())
import pinpoint

heavy, broken, names = {}, {}, []
for module in pkgutil.walk_packages(pinpoint.__path__, "pinpoint."):
    names.append(module.name)
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        (heavy if str(error).startswith("heavy: ") else broken)[module.name] = str(error)
print(json.dumps({"names": names, "heavy": heavy, "broken": broken}))
"""

IMPORT_HANDLER = """
import json, logging, sys, threading
before = threading.active_count()
import handler
model = sys.modules.get("pinpoint.serving.model")
print(json.dumps({
    "heavy": [name for name in ("torch", "transformers", "runpod") if name in sys.modules],
    "loaded": model is not None and model._scorer is not None,
    "root handlers": len(logging.getLogger().handlers),
    "log level": logging.getLogger("pinpoint").level,
    "worker made": "worker" in vars(handler.handler),
    "new threads": threading.active_count() - before,
}))
"""


@cache
def outcome(script: str) -> tuple[dict[str, Any], str, str]:
    """What the script reports on its last line, what else was printed, and what was complained about."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = ['src', '.']\n{script}"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *printed, last = done.stdout.splitlines()
    return json.loads(last), "\n".join(printed), done.stderr


def test_every_module_can_be_imported() -> None:
    found, _, _ = outcome(IMPORT_ALL)
    assert found["broken"] == {}
    assert set(found["names"]) >= TENSOR_MODULES | {"pinpoint.planning.memory_plan", "pinpoint.serving.worker"}


def test_torch_is_imported_by_the_rooms_that_compute_with_tensors_and_no_other() -> None:
    found, _, _ = outcome(IMPORT_ALL)
    # At least these, too: else the script blocks nothing.
    assert set(found["heavy"]) == TENSOR_MODULES


def test_importing_any_module_prints_nothing() -> None:
    _, printed, complaints = outcome(IMPORT_ALL)
    assert (printed, complaints) == ("", "")


def test_importing_the_handler_starts_nothing() -> None:
    found, printed, complaints = outcome(IMPORT_HANDLER)
    assert found == {
        "heavy": [],
        "loaded": False,
        "root handlers": 0,
        "log level": 0,
        "worker made": False,
        "new threads": 0,
    }
    assert (printed, complaints) == ("", "")
