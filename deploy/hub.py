"""The listings on RunPod's Hub, made from the settings: `python -m deploy.hub` writes them (so does `make docs`).

`.runpod/hub.json` is a queue endpoint, `.runpod/hub-load-balancing.json` the same image behind a load balancer: the Hub
knows the kind of endpoint of a listing as a whole (`config.endpointType`), not of a preset, so the second file takes
the first one's name in the repository that lists it. Each has every setting that means something there. Torch-free.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo

from pinpoint.planning.activations import Precision
from pinpoint.settings import Settings

ROOT = Path(__file__).parents[1]
LISTINGS: dict[str, Literal["queue", "http"]] = {
    ".runpod/hub.json": "queue",
    ".runpod/hub-load-balancing.json": "http",
}
MIXTRAL = "mistralai/Mixtral-8x7B-Instruct-v0.1"
# Shown at once; the others are behind "advanced".
FIRST = ("model_name", "model_revision", "precision")
NAMES = {
    "model_name": "Model",
    "model_revision": "Revision",
    "buffer_gb": "GB that stay free",
    "max_memory_gb": "GB at most",
    "ocr": "OCR",
    "ocr_pages": "OCR: pages",
    "ocr_s": "OCR: seconds",
    "ocr_processes": "OCR: processes",
    "url_allowlist": "Hosts of documents by URL",
    "url_allow_http": "URLs without encryption",
    "api_key": "API key of the HTTP server",
    "tasks": "Folder of taught tasks",
}
# What a listing fixes itself: behind a load balancer, where the server listens; at a queue, that there is none.
FIXED = {
    "queue": {"PINPOINT_ENDPOINT": "queue"},
    "http": {"PINPOINT_ENDPOINT": "http", "PINPOINT_HOST": "0.0.0.0", "PORT": "8000", "PORT_HEALTH": "8000"},
}
# Which settings mean nothing in a listing: the SDK's guards where there is no SDK, the server's where there is none.
MEANINGLESS = {"queue": "http", "http": "guards"}
# Variables of libraries, which docs/settings.md lists beside ours.
OTHERS = {
    "HF_TOKEN": ("Hugging Face token", "For gated and private models"),
    "OTEL_EXPORTER_OTLP_ENDPOINT": (
        "OTLP endpoint",
        "Where traces and metrics are sent, over HTTP; empty: nowhere. They hold ids and counts, never text",
    ),
    "OTEL_EXPORTER_OTLP_HEADERS": ("OTLP headers", "key=value pairs by commas, such as a collector's token"),
}


@dataclass(frozen=True)
class Preset:
    """A choice in the Hub's menu: what is set, and the cards that it is planned for (none: any machine)."""

    name: str
    model: str
    precision: Precision = "int8"
    cards: tuple[str, ...] = ()


PRESETS = (
    Preset("Mixtral 8x7B in 8 bits, for A100 and H100 80 GB", MIXTRAL, "int8", ("A100 80GB PCIe", "H100 80GB SXM")),
    Preset("Mixtral 8x7B in 8 bits, for RTX PRO 6000 96 GB", MIXTRAL, "int8", ("RTX PRO 6000 96GB",)),
    Preset("Mixtral 8x7B in 4 bits (NF4), for RTX 5090 32 GB", MIXTRAL, "nf4", ("RTX 5090",)),
    Preset("Qwen3 14B in 8 bits, for RTX 4090 24 GB", "Qwen/Qwen3-14B", "int8", ("RTX 4090",)),
    Preset("To try it out: the embedded model, on any machine", ""),
)


def listing(kind: Literal["queue", "http"]) -> dict[str, Any]:
    """One hub.json."""
    title = "Pinpoint document classifier"
    config: dict[str, Any] = {
        "runsOn": "GPU",
        "containerDiskInGb": 150,
        "gpuCount": 1,
        "gpuIds": "AMPERE_80,ADA_80_PRO,BLACKWELL_96,HOPPER_141",
        "allowedCudaVersions": ["13.0"],
    }
    if kind == "http":
        config = {"endpointType": "LB"} | config
    config["presets"] = [
        {"name": one.name, "defaults": {"MODEL_NAME": one.model, "PINPOINT_PRECISION": one.precision}}
        for one in PRESETS
    ]
    config["env"] = [{"key": key, "value": value} for key, value in FIXED[kind].items()] + inputs(kind)
    return {
        "title": title if kind == "queue" else f"{title}, load balancing",
        "description": "Classifies documents by scoring every label of your list with an 8-bit language model, in one "
        "packed forward pass",
        "type": "serverless",
        "category": "language",
        "config": config,
    }


def inputs(kind: Literal["queue", "http"]) -> list[dict[str, Any]]:
    """What the Hub's form asks for: the first settings, other libraries' variables, the rest."""
    asked = []
    for name, field in sorted(Settings.model_fields.items(), key=lambda one: one[0] not in FIRST):
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        key = variable(name, field)
        if extra.get("section") != MEANINGLESS[kind] and key not in FIXED[kind]:
            asked.append({"key": key, "input": form(name, field, str(extra.get("unit", "")))})
    others = [
        {"key": key, "input": {"name": name, "type": "string", "description": about, "advanced": key != "HF_TOKEN"}}
        for key, (name, about) in OTHERS.items()
    ]
    return [*asked[: len(FIRST)], *others, *asked[len(FIRST) :]]


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable of a setting."""
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"PINPOINT_{name.upper()}"


def form(name: str, field: FieldInfo, unit: str) -> dict[str, Any]:
    """A setting as a field of the form: type, description, default, bounds."""
    kinds = {one for one in (field.annotation, *get_args(field.annotation)) if isinstance(one, type)}
    words = plain(field.description or "")
    shown: dict[str, Any] = {
        "name": NAMES.get(name, name.replace("_", " ").capitalize()),
        "type": "string",
        "description": f"{words} ({unit})" if unit else words,
        "advanced": name not in FIRST,
    }
    if get_origin(field.annotation) is Literal:
        shown["options"] = [{"label": value, "value": value} for value in get_args(field.annotation)]
    elif bool in kinds:
        shown |= {"type": "boolean", "trueValue": "true", "falseValue": "false"}
    elif {int, float} & kinds:
        shown["type"] = "number"
        bounds = [(at, getattr(one, of, None)) for one in field.metadata for of, at in (("ge", "min"), ("le", "max"))]
        shown |= {at: bound for at, bound in bounds if bound is not None}
    elif name == "model_name":
        shown["type"] = "huggingface"
    default = MIXTRAL if name == "model_name" else field.default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default not in (None, ""):
        shown["default"] = int(default) if isinstance(default, float) and default.is_integer() else default
    return shown


def plain(markdown: str) -> str:
    """Words without links and code marks."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown).replace("`", "")


def text(kind: Literal["queue", "http"]) -> str:
    """A listing as its file holds it."""
    return json.dumps(listing(kind), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write both listings."""
    for name, kind in LISTINGS.items():
        (ROOT / name).write_text(text(kind), encoding="utf-8")


if __name__ == "__main__":
    main()
