"""Tables that repeat the code, made from it: `make docs` writes them, `make check` fails where they differ. Torch-free.

Each function returns lines of Markdown; cog runs it where a document holds a block that calls it.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import cog  # type: ignore[import-not-found]  # exists while cog runs
import typer
from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

from pinpoint.api.limits import Limits
from pinpoint.cli import COMMANDS, app
from pinpoint.error_codes import ERROR_CODES, Scope
from pinpoint.settings import Settings

SOURCES = Path(__file__).parents[1] / "src/pinpoint"


def put(lines: Iterable[str]) -> None:
    """Write lines into the document."""
    for line in lines:
        cog.outl(line)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """A Markdown table."""
    escaped = [[cell.replace("|", "\\|") for cell in cells] for cells in rows]
    return [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *escaped)]


def settings(section: Literal["own", "plan", "guards", "http"]) -> list[str]:
    """The settings of one section: variable, values, default, reason."""
    rows = [
        (_variables(name, field), _values(field), _default(field), field.description or "")
        for name, field in Settings.model_fields.items()
        if _extra(field).get("section", "own") == section
    ]
    return table(("variable", "unit, values", "default", "reason"), rows)


def _extra(field: FieldInfo) -> dict[str, Any]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def _variables(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    names = alias.choices if isinstance(alias, AliasChoices) else [f"PINPOINT_{name.upper()}"]
    return ", or ".join(f"`{one}`" for one in names)


def _values(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(field.annotation))
    if field.annotation is bool:
        return "`true`, `false`"
    bounds = {
        sign: f"{sign} {_figure(getattr(one, key))}"
        for one in field.metadata
        for key, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if getattr(one, key, None) is not None
    }
    return ", ".join([*filter(None, [_extra(field).get("unit")]), *bounds.values()])


def _figure(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"{value:.15g}"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return f"`{value}`" if value else "empty"


def error_codes(*scopes: Scope, but: Scope | None = None) -> list[str]:
    """The codes of some scopes, less those of another: code, what it ends, meaning, remedy."""
    rows = [
        (f"`{one.code}`", ", ".join(one.of), one.meaning, one.remedy)
        for one in ERROR_CODES
        if set(one.of) & set(scopes) and but not in one.of
    ]
    return table(("code", "of", "meaning", "remedy"), rows)


def limits() -> list[str]:
    """Every limit of a request, with the comment behind its field."""
    source = inspect.getsource(Limits)
    found = re.findall(r"^    max_(\w+): int = ([\d_]+)  # (.*)$", source, re.MULTILINE)
    assert len(found) == len(Limits.__dataclass_fields__), "each limit has its reason behind it, on one line"
    return table(
        ("what", "at most", "why"), [(name.replace("_", " "), f"{int(most):,}", why) for name, most, why in found]
    )


def command_help() -> list[str]:
    """Arguments and options of every command."""
    group = typer.main.get_command(app)
    lines = list[str]()
    for command in COMMANDS:
        one = group.commands[command.__name__]  # type: ignore[attr-defined]
        about = re.sub(r"\[/?(bold|cyan)\]", "", inspect.getdoc(command) or "").split("\n\n")[0]
        lines += [f"## {command.__name__}", "", " ".join(about.split()), ""]
        rows = []
        for parameter in one.params:
            names = parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]
            default = parameter.default
            shown = "" if default in (None, False, "") or callable(default) else f"`{default}`"
            variables = parameter.envvar or ()
            shown_variables = ", ".join(
                f"`{name}`" for name in ([variables] if isinstance(variables, str) else variables)
            )
            help_text = " ".join((getattr(parameter, "help", None) or "").split())
            rows.append((", ".join(f"`{name}`" for name in names), help_text, shown, shown_variables))
        lines += [*table(("argument, option", "meaning", "default", "variable"), rows), ""]
    return lines[:-1]


def tree() -> list[str]:
    """Every folder below src/pinpoint with the first line of its docstring."""
    return ["```text", "src/pinpoint/", *_branch(SOURCES, "  "), "```"]


def rooms() -> list[str]:
    """One line for each folder."""
    packages = [path.parent for path in sorted(SOURCES.rglob("__init__.py")) if path.parent != SOURCES]
    return table(
        ("folder", "what it is"),
        [(f"`{one.relative_to(SOURCES)}/`", _first_line(one / "__init__.py")) for one in packages],
    )


def _branch(folder: Path, indent: str) -> list[str]:
    lines = list[str]()
    for package in sorted(path for path in folder.iterdir() if (path / "__init__.py").is_file()):
        lines.append(f"{indent}{package.name + '/':<24}{_first_line(package / '__init__.py')}")
        lines += _branch(package, indent + "  ")
    return lines


def _first_line(path: Path) -> str:
    about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(about.split("\n\n")[0].split())


def teaching_fits() -> list[str]:
    """What fits gained on held-back documents, from the measurement's own file."""
    rows = []
    for one in _teaching()["sets"]:
        for fit in one["fits"]:
            kept = ", ".join(f"{name} {count}" for name, count in fit["kept"].items() if count) or "none"
            pairs = [f"{fit[name][0]:.{digits}f} → {fit[name][1]:.{digits}f}" for name, digits in _SHOWN]
            rows.append((_set_name(one), str(fit["examples"]), *pairs, f"{fit['worse_nll']} of {fit['draws']}", kept))
    head = ("set", "examples", "accuracy", "NLL", "ECE", "draws that got worse", "draws that kept")
    return table(head, rows)


def teaching_promises() -> list[str]:
    """How often promises were made and broken, ours and those of a threshold picked on the same documents."""
    rows = [
        (
            _set_name(one), str(row["examples"]), f"{row['target_error']:.0%}", f"{row['made']}",
            "" if row["coverage"] is None else f"{row['coverage']:.1%}",
            "" if row["accuracy"] is None else f"{row['accuracy']:.2%}",
            f"{row['broken']}", f"{row['kept_share']:.1%}", f"{row['plain_broken']} of {row['plain_made']}",
        )
        for one in _teaching()["sets"]
        for row in one["promises"]
        if "target_error" in row
    ]  # fmt: skip
    head = (
        "set", "examples", "at most wrong", "made", "accepted", "right of those", "broken", "kept",
        "plain way: broken of made",
    )  # fmt: skip
    return table(head, rows)


def teaching_sets() -> list[str]:
    """How often prediction sets held the right label, and how large they were."""
    rows = [
        (
            _set_name(one),
            str(row["examples"]),
            f"{1 - row['alpha']:.0%}",
            f"{row['coverage']:.1%}",
            f"{row['mean_size']:.2f}",
        )
        for one in _teaching()["sets"]
        for row in one["promises"]
        if "alpha" in row
    ]
    return table(("set", "examples", "promised", "held the right label", "labels in a set"), rows)


def teaching_figures() -> str:
    """What was measured, in a sentence."""
    found = _teaching()
    sets = "; ".join(
        f"{_set_name(one)}: {one['documents']} documents, {one['labels']} labels, "
        f"accuracy {one['before']['accuracy']:.3f}"
        for one in found["sets"]
    )
    draws = " to ".join(map(str, sorted({one["draws"] for one in found["sets"]})))
    cpu = max(one["time"]["teaching_cpu_s"] for one in found["sets"])
    applied = max(one["time"]["applying_cpu_ms"] for one in found["sets"])
    return (
        f"{sets}.\n\n{draws} draws of each for promises. Teaching with 200 documents took at most {cpu:.2f} s of one "
        f"core beside their scoring, and an answer at most {applied:.3f} ms more."
    )


def _set_name(one: dict[str, Any]) -> str:
    """Of a set, with the model that read it, unless that is the embedded one."""
    return str(one["name"]) if one["model"] == "embedded" else f"{one['name']}, {one['model']}"


def _teaching() -> dict[str, Any]:
    path = Path(__file__).parents[1] / "bench/results/teaching.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


_SHOWN = (("accuracy", 3), ("nll", 3), ("ece", 3))


def plan(words: Sequence[str]) -> list[str]:
    """What `python -m pinpoint plan` prints, on a terminal of 110 columns."""
    done = CliRunner().invoke(app, ["plan", *words], env={"COLUMNS": "110", "TERM": "dumb"})
    code = [f"exit code {done.exit_code}"] if done.exit_code else []
    return ["```text", *(line.rstrip() for line in done.output.splitlines()), *code, "```"]


def printed(command: str, page: str, until: str) -> list[str]:
    """What a command of a page printed when it was walked (docs/walk.md), up to the line that begins with `until`."""
    return ["```text", *_printed(command, page, until), "```"]


def _printed(command: str, page: str, until: str) -> list[str]:
    import walk  # type: ignore[import-not-found]  # docs/ is on the path while cog runs

    whole = (Path(__file__).parent / "walk.md").read_text(encoding="utf-8")
    section = whole.split(f"\n## {page}\n")[1].split("\n## ")[0]
    told = next(told for one, told in walk.walked(section) if one.startswith(command))
    lines = told.split("```text\n")[-1].split("\n```")[0].splitlines()
    return [line for line in itertools.takewhile(lambda line: not line.startswith(until), lines) if line.strip()]


def promise() -> list[str]:
    """The promise of the tutorial, in words."""
    row = _printed("python -m pinpoint teach", "docs/tutorial.md", "offered")[-1]
    form = r"\s*(\S+%)\s+(\S+%)\s+([\d.]+)\s+([\d.]+%)\s+(\d+) of (\d+) wrong; bound ([\d.]+%)"
    match = re.match(form, row)
    if match is None:
        return ["Read from below: nothing could be promised here, and the last line says why."]
    _, level, least, accepted, wrong, held, bound = match.groups()
    words = (
        f"Read from below: answers with a confidence of at least {least} are accepted, which are {accepted}; of {held} "
        f"such that were held out, {wrong} were wrong, and with a probability of at least {level} no more than {bound} "
        "of all such answers are."
    )
    return textwrap.wrap(words.replace("%", " %"), 120)


def against_vllm(*, long: bool = False) -> str:
    """Both sides' figures that are kept, as a table; of `long` documents or of all else."""
    from bench import against

    return against.kept(long=long) or "Not measured yet."


def against_vllm_short() -> list[str]:
    """The same in a few rows: how many times of vLLM's documents a second Pinpoint's best is."""
    from bench import against

    head = ("vLLM 0.26 in fp8, as it is asked", *(job for job in list(against.JOBS)[:3]))
    return table(head, against.summary())
