"""Writing a loaded model as a quantised checkpoint: the integers and scales as they lie in memory, in safetensors.

The names are those of the model's own parameters, so that reading it back needs no conversion, and the bytes depend on
the weights alone: the same source gives the same files.
"""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from pinpoint.engine.int8 import Int8Config
from pinpoint.engine.load import LoadedModel

WEIGHTS_FILE = "model.safetensors"


def save_quantised(loaded: LoadedModel, folder: Path) -> int:
    """Write model, configuration and tokenizer to `folder`; returns the bytes of the weights file."""
    folder.mkdir(parents=True, exist_ok=True)
    model = loaded.model
    tied = set(model.all_tied_weights_keys) if model.config.tie_word_embeddings else set()
    tensors = {name: value.contiguous().cpu() for name, value in sorted(model.state_dict().items()) if name not in tied}
    # Deterministic names only: where the source lay and how this process computes is no property of the weights.
    config = model.config.to_dict() | {"quantization_config": Int8Config().to_dict(), "dtype": "bfloat16"}
    for runtime in ("_name_or_path", "_attn_implementation", "_experts_implementation"):
        config.pop(runtime, None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    loaded.tokenizer.save_pretrained(folder)
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    return (folder / WEIGHTS_FILE).stat().st_size
