"""The house holds: rooms import downwards, by the table here; torch stays in the engine; importing does nothing."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

# What each room may import beside itself, from the top of the house to its ground: an arrow runs down this table.
# A room is a package or one module, and the longest name that fits a module is its room. A new arrow is a change
# of this table.
MAY_IMPORT = {
    "__main__": "cli",
    "cli": "client.bulk client client.transport lint serving review evaluate pipeline decide api engine engine.loading "
    "prompting planning documents checkpoints settings prices errors",
    # The client reaches the worker in one module alone, for a model in its own process.
    "client.bulk": "client client.transport errors",
    "client": "client.local client.transport errors error_codes",
    "client.local": "client.transport serving settings errors",
    "client.transport": "",
    "serving": "serving.sdk_guards serving.watch serving.streams evaluate pipeline decide api engine engine.loading "
    "engine.readings prompting documents checkpoints settings errors",
    "lint": "pipeline api prompting documents errors",
    "serving.sdk_guards": "serving.watch serving.streams serving.secrets errors",
    "serving.watch": "decide api engine.readings",
    "serving.streams": "serving.secrets",
    "serving.secrets": "",
    "evaluate": "pipeline decide api prompting documents errors",
    "review": "documents errors",
    "pipeline": "decide api engine.readings prompting documents errors",
    "decide": "api engine.readings prompting errors",
    "api": "engine.readings prompting documents errors",
    "engine": "engine.loading engine.forward engine.weights engine.gpu engine.readings prompting planning errors",
    "engine.loading": "engine.forward engine.weights engine.gpu engine.readings planning checkpoints settings errors",
    "engine.forward": "engine.readings engine.weights prompting planning errors",
    "engine.weights": "planning errors",
    "engine.gpu": "planning settings errors",
    "engine.readings": "",
    "prompting": "documents errors",
    "planning": "checkpoints settings errors",
    "documents": "errors",
    "checkpoints": "errors",
    "settings": "setting_fields errors",
    "setting_fields": "",
    "prices": "errors",
    "errors": "",
    "error_codes": "",
}

# Who alone may import these, anywhere in a file.
ONLY_BELOW = {
    "torch": "pinpoint.engine",
    "transformers": "pinpoint.engine",
    "bitsandbytes": "pinpoint.engine",
    "triton": "pinpoint.engine",
    "runpod": "pinpoint.serving",
    "fastapi": "pinpoint.serving.http",
    "starlette": "pinpoint.serving.http",
    "uvicorn": "pinpoint.serving.http",
    "prometheus_client": "pinpoint.serving.http",
    "zstandard": "pinpoint.serving.http",
}
HEAVY = ("torch", "transformers", "bitsandbytes", "triton")


class Import(NamedTuple):
    """One name imported by a file; `at_once` where importing the file imports it too."""

    target: str
    line: int
    at_once: bool


def sources() -> dict[str, str]:
    """The text of every module, by its dotted name."""
    files = (ROOT / "src/pinpoint").rglob("*.py")
    names = {file: ".".join(file.relative_to(ROOT / "src").with_suffix("").parts) for file in files}
    return {name.removesuffix(".__init__"): file.read_text(encoding="utf-8") for file, name in names.items()}


@cache
def imports_of(source: str) -> tuple[Import, ...]:
    """Every import statement, also inside functions, conditions and under TYPE_CHECKING."""
    later = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

    def walk(node: ast.AST, at_once: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(name.name, child.lineno, at_once) for name in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0 and child.module, f"line {child.lineno}: imports are written in full"
                yield from (Import(f"{child.module}.{name.name}", child.lineno, at_once) for name in child.names)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from walk(child, False)
            else:
                yield from walk(child, at_once and not isinstance(child, later))

    return tuple(walk(ast.parse(source), True))


def module_of(target: str, modules: Mapping[str, str]) -> str | None:
    """The module of ours in which an imported name lies, or None for a library's."""
    while target and target not in modules:
        target = target.rpartition(".")[0]
    return target or None


def room_of(module: str) -> str:
    """The longest room of the table that holds a module."""
    inside = module.removeprefix("pinpoint").removeprefix(".")
    rooms = [room for room in MAY_IMPORT if inside == room or inside.startswith(f"{room}.")]
    return max(rooms, key=len, default="")


def arrows(modules: Mapping[str, str]) -> dict[tuple[str, str], list[str]]:
    """From room to room, and where in the files each such arrow is drawn."""
    found: dict[tuple[str, str], list[str]] = {}
    for module, source in modules.items():
        for target, line, _ in imports_of(source):
            imported = module_of(target, modules)
            if imported and imported != "pinpoint" and room_of(imported) != room_of(module):
                place = f"{module}:{line} imports {imported}"
                found.setdefault((room_of(module), room_of(imported)), []).append(place)
    return found


def wrong_arrows(modules: Mapping[str, str]) -> list[str]:
    allowed = {(room, below) for room, rooms in MAY_IMPORT.items() for below in rooms.split()}
    return [place for arrow, places in arrows(modules).items() if arrow not in allowed for place in places]


def foreign_imports(modules: Mapping[str, str]) -> list[str]:
    """Imports of a library from outside the room that alone may, wherever they stand in the file."""
    return [
        f"{module}:{line} imports {target}"
        for module, source in modules.items()
        for target, line, _ in imports_of(source)
        if (owner := ONLY_BELOW.get(target.split(".")[0])) and not f"{module}.".startswith(f"{owner}.")
    ]


def imported_at_once(modules: Mapping[str, str]) -> dict[str, set[str]]:
    """By module: the modules of ours that it imports while it is imported itself; its own packages are left out."""
    return {
        module: {
            imported
            for target, _, at_once in imports_of(source)
            if at_once and (imported := module_of(target, modules)) and imported != module
        }
        for module, source in modules.items()
    }


def circle(modules: Mapping[str, str]) -> list[str]:
    try:
        TopologicalSorter(imported_at_once(modules)).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def heavy_by_source(modules: Mapping[str, str]) -> set[str]:
    """Modules whose import brings torch or its like in, by what the files say."""
    heavy = {
        module
        for module, source in modules.items()
        if any(at_once and target.split(".")[0] in HEAVY for target, _, at_once in imports_of(source))
    }
    graph = imported_at_once(modules)
    while more := {module for module, imported in graph.items() if imported & heavy} - heavy:
        heavy |= more
    return heavy


def test_rooms_import_only_what_the_table_allows() -> None:
    modules = sources()
    assert len(modules) > 100
    assert wrong_arrows(modules) == []
    assert {module for module in modules if not room_of(module)} == {"pinpoint"}, "each module has a room in the table"


def test_the_table_runs_down_and_holds_no_arrow_that_nobody_draws() -> None:
    order = list(MAY_IMPORT)
    allowed = {(room, below) for room, rooms in MAY_IMPORT.items() for below in rooms.split()}
    assert [arrow for arrow in allowed if order.index(arrow[0]) >= order.index(arrow[1])] == []
    assert allowed - set(arrows(sources())) == set()


def test_no_module_imports_in_a_circle() -> None:
    assert circle(sources()) == []


def test_heavy_libraries_are_imported_below_their_room_alone() -> None:
    modules = sources()
    assert foreign_imports(modules) == []
    assert {module for module in heavy_by_source(modules) if not module.startswith("pinpoint.engine.")} == set()


@pytest.mark.parametrize(
    "line",
    [
        "from pinpoint.serving import worker",
        "import pinpoint.serving.worker",
        "from pinpoint.serving.worker import Worker",
        "def late():\n    from pinpoint.serving.worker import Worker",
        "class Late:\n    async def late(self):\n        import pinpoint.serving.worker as w",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pinpoint.serving.worker import Worker",
        "try:\n    import pinpoint.serving.worker\nexcept ImportError:\n    pass",
    ],
)
def test_an_arrow_that_runs_up_is_seen_wherever_it_stands(line: str) -> None:
    modules = sources()
    modules["pinpoint.prompting.fence"] += f"\n{line}\n"
    [place] = wrong_arrows(modules)
    assert place.startswith("pinpoint.prompting.fence:") and "imports pinpoint.serving" in place


def test_a_module_without_a_room_a_circle_and_a_foreign_library_are_seen() -> None:
    modules = sources()
    assert room_of("pinpoint.attic") == room_of("pinpoint.apiary") == ""
    assert wrong_arrows({**modules, "pinpoint.attic": "import pinpoint.errors"}) != []
    ring = {"pinpoint.api.one": "from pinpoint.api import two", "pinpoint.api.two": "import pinpoint.api.one"}
    assert set(circle({**modules, **ring})) == set(ring)
    late = {
        "pinpoint.api.one": "from pinpoint.api import two",
        "pinpoint.api.two": "def f():\n  import pinpoint.api.one",
    }
    assert circle({**modules, **late}) == []
    for library in ONLY_BELOW:
        planted = {**modules, "pinpoint.planning.cards": f"def f():\n    from {library}.nn import functional"}
        assert foreign_imports(planted) == [f"pinpoint.planning.cards:2 imports {library}.nn.functional"]
    planted = {**modules, "pinpoint.cli.plan": "from pinpoint.engine.gpu import anything"}
    assert "pinpoint.cli.plan" in heavy_by_source(planted)


IMPORT_ALL = """
import importlib, json, pkgutil, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "transformers", "bitsandbytes", "triton"):
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
    # A folder of code without its __init__ is no package, and nothing would find it.
    assert {"pinpoint", *found["names"]} == set(sources())


def test_torch_comes_in_with_the_engine_s_modules_and_no_other() -> None:
    found, _, _ = outcome(IMPORT_ALL)
    assert [module for module in found["heavy"] if not module.startswith("pinpoint.engine.")] == []
    # The same modules as the files say, too: else the script blocks nothing, or the files are read wrongly.
    assert set(found["heavy"]) == heavy_by_source(sources())


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
