"""Kernels by a list: what a start asks of Triton is what is compiled from its list, and what cannot be is said.

Triton is played here: the real one comes with torch's CUDA builds alone.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.engine import kernels_ahead
from pinpoint.engine.kernels_ahead import Asked, compile_all, kernels_of, leave, note, read
from pinpoint.engine.weights import cuda_grouped
from pinpoint.errors import ModelError

MODULE = "pinpoint.engine.weights.of_a_test"


class JITFunction:
    def __init__(self, name: str) -> None:
        self._fn_name = f"{MODULE}.{name}"


@dataclass
class Source:
    kernel: JITFunction
    signature: dict[str, Any]
    constants: dict[tuple[int, ...], Any]
    attributes: dict[tuple[int, ...], Any]


@dataclass
class Constant:
    value: Any


class Dtype:
    def __init__(self, name: str) -> None:
        self.name = name

    @staticmethod
    def is_dtype(value: Any) -> bool:
        return value in ("fp16", "int8")


def asked_for(name: str, **options: Any) -> dict[str, str]:
    """In Triton's words: a dtype by its name, tuples as lists."""
    data = {
        "name": f"{MODULE}.{name}",
        "signature": {"x": "*bf16", "n": "i32", "BLOCK": "constexpr", "pair": ["i32", "i32"]},
        "constant_keys": [[2], [4]],
        "constant_vals": ["fp16", {"constexpr": 128}],
        "attrs_keys": [[0]],
        "attrs_vals": [[["tt.divisibility", 16]]],
        "options": {"num_warps": 8, "arch": "sm90", "backend_name": "cuda", "cluster_dims": [1, 1, 1]} | options,
    }
    return {"module": MODULE, "data": json.dumps(data)}


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Source, Any, dict[str, Any]]]]:
    """What Triton was asked to compile."""
    found = list[tuple[Source, Any, dict[str, Any]]]()

    def compile(source: Source, target: Any, options: dict[str, Any]) -> None:
        if options["num_warps"] == 3:
            raise ValueError("a power of two, please")
        found.append((source, target, options))

    modules: dict[str, dict[str, Any]] = {
        "triton": {
            "__version__": "3.6.0",
            "compile": compile,
            "knobs": SimpleNamespace(
                runtime=SimpleNamespace(jit_cache_hook=None), compilation=SimpleNamespace(listener=None)
            ),
        },
        "triton.language": {"dtype": Dtype, "constexpr": Constant},
        "triton.backends": {},
        "triton.backends.compiler": {"GPUTarget": lambda *given: given},
        "triton.compiler": {"ASTSource": Source},
        "triton.runtime": {},
        "triton.runtime.jit": {
            "JITFunction": JITFunction,
            "convert_to_tuple_if_list": lambda value: tuple(value) if isinstance(value, list) else value,
        },
        MODULE: {
            "first": JITFunction("first"),
            "_kernels": lambda: {"made": JITFunction("_kernels.<locals>.made")},
            "_kernel": lambda: JITFunction("_kernel.<locals>.one"),
        },
    }
    for name, values in modules.items():
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, last = name.rpartition(".")
        if parent.startswith("triton"):
            monkeypatch.setattr(sys.modules[parent], last, module, raising=False)
    monkeypatch.setattr(cuda_grouped, "compiled", lambda *kind: b"")
    yield found


def test_what_was_asked_for_is_compiled_for_its_card(compiled: list[Any]) -> None:
    done = compile_all(Asked("3.6.0", 80, [asked_for("first"), asked_for("_kernel.<locals>.one", num_warps=4)]), 1)
    assert (done.kernels, done.failed) == (2, ())
    (source, target, options), (other, _, others) = compiled
    assert source.kernel is sys.modules[MODULE].first
    assert source.signature == {"x": "*bf16", "n": "i32", "BLOCK": "constexpr", "pair": ("i32", "i32")}
    assert source.constants[2,].name == "fp16"
    assert source.constants[4,] == Constant(128)
    assert source.attributes == {(0,): [["tt.divisibility", 16]]}
    assert target == ("cuda", 80, 32)
    assert options == {"num_warps": 8, "cluster_dims": (1, 1, 1)}, "the architecture is the target's"
    assert other.kernel._fn_name.endswith("one") and others["num_warps"] == 4


def test_kernels_are_found_by_name_and_by_what_makes_them(compiled: list[Any]) -> None:
    assert sorted(kernels_of(MODULE)) == [
        f"{MODULE}._kernel.<locals>.one", f"{MODULE}._kernels.<locals>.made", f"{MODULE}.first",
    ]  # fmt: skip


def test_what_cannot_be_compiled_is_named_and_the_rest_is(compiled: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def unmade(whole: int, gated: int, half: int) -> bytes:
        if (whole, gated, half) == (1, 1, 0):
            raise cuda_grouped.Unmade("NVRTC: no")
        return b""

    monkeypatch.setattr(cuda_grouped, "compiled", unmade)
    gone = {"module": "pinpoint.engine.weights.that_was", "data": asked_for("first")["data"]}
    wanted = [
        asked_for("first"),
        asked_for("another"),
        asked_for("first", num_warps=3),
        gone,
        {"module": MODULE, "data": "{"},
    ]
    done = compile_all(Asked("3.6.0", 90, wanted), 1)
    assert len(compiled) == 1
    assert done.kernels == 1 + 7, "of grouped.cu seven of eight"
    assert done.failed == (
        "grouped.cu: Unmade", f"{MODULE}.another: KeyError", f"{MODULE}.first: ModuleNotFoundError",
        f"{MODULE}.first: ValueError", f"{MODULE}: JSONDecodeError",
    )  # fmt: skip


def test_a_start_leaves_the_list_of_what_it_asked_for(
    compiled: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    asked = note()
    assert asked is not None and (asked.triton, asked.target) == ("3.6.0", 90)
    knobs = sys.modules["triton"].knobs
    for module in (MODULE, "torch._inductor.runtime"):
        told = {"specialization_data": asked_for("first")["data"]}
        assert knobs.runtime.jit_cache_hook(fn=SimpleNamespace(module=module), compile=told, key="") is False, "go on"
    knobs.compilation.listener(times=SimpleNamespace(total=1_500_000), cache_hit=False, src=None)
    knobs.compilation.listener(times=SimpleNamespace(total=1_500_000), cache_hit=True, src=None)
    assert asked.kernels == [asked_for("first")], "ours alone"
    assert asked.compile_s == 1.5
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))
    caplog.set_level("INFO", "pinpoint")
    leave(asked)
    (path,) = (tmp_path / "triton").iterdir()
    assert path.name == kernels_ahead.LIST
    assert f"kernels: asked=1 compile_s=1.50 list={path}" in caplog.text
    assert read(path) == Asked("3.6.0", 90, [asked_for("first")])
    monkeypatch.setenv("TRITON_CACHE_DIR", "/dev/null/nowhere")
    leave(asked)
    assert "the list of kernels is not kept: Not a directory" in caplog.text


@pytest.mark.parametrize("missing", ["triton", "card", "knobs"])
def test_without_triton_or_a_card_nothing_is_noted(
    missing: str, compiled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> tuple[int, int]:
        raise RuntimeError("no card")

    monkeypatch.setattr(torch.cuda, "get_device_capability", none if missing == "card" else lambda: (9, 0))
    if missing == "triton":
        monkeypatch.setitem(sys.modules, "triton", None)
    if missing == "knobs":  # an older one
        monkeypatch.delattr(sys.modules["triton"], "knobs")
    assert note() is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a list of kernels"),
        ("[]", "is not a list of kernels"),
        ('{"triton": "3.6.0", "target": 90}', "is not a list of kernels"),
        ('{"triton": "3.6.0", "target": 90, "kernels": [{"module": "os", "data": ""}]}', "is not a list of kernels"),
        ('{"triton": "3.5.0", "target": 90, "kernels": []}', "is of triton 3.5.0, and here is 3.6.0"),
    ],
)
def test_what_is_no_list_is_refused(text: str, said: str, compiled: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=said) as found:
        read(path)
    assert found.value.code == "kernels_unreadable"
    assert CliRunner().invoke(app, ["kernels", str(path)]).exit_code == 1


def test_without_triton_the_command_says_where_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    path = tmp_path / "list.json"
    Asked("3.6.0", 80, []).write(path)
    with pytest.raises(ModelError, match="in the worker's image") as found:
        read(path)
    assert found.value.code == "kernels_unreadable"


def test_the_command_says_what_is_in_the_cache(compiled: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    Asked("3.6.0", 80, [asked_for("first")]).write(path)
    done = CliRunner().invoke(app, ["kernels", str(path), "--processes", "1"])
    assert done.exit_code == 0 and done.output.startswith("1 kernels are in the cache")
    Asked("3.6.0", 80, [asked_for("first"), asked_for("another")]).write(path)
    done = CliRunner().invoke(app, ["kernels", str(path), "--processes", "1"])
    assert done.exit_code == 1
    assert f"1 are not, and will be compiled at a start: {MODULE}.another: KeyError" in done.output
