"""Mutants of the code that computes answers: a sample, drawn with a printed seed, run by mutmut against a room's tests.

    make mutants ROOM=prompting SAMPLE=60 SEED=1

One process at a time and outside `make test`: a mutant costs seconds. mutmut copies the sources to `mutants/`, holds
all mutants of a function beside it, and forks a process for each, which runs the tests that reach the function. It
leaves decorated functions and constants of a module alone. A mutant that no test notices is shown as a difference.

Not mutated: messages of errors and logs, and most of engine/ (`ONLY`).
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from hypothesis import HealthCheck, settings
from mutmut import __main__ as mutmut
from mutmut import configuration
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import get_mutant_name

ROOMS = Path("src/pinpoint")
# What a mutant is run against, of which mutmut takes the tests that reach it; without those that take longer than all
# others of their room together.
TESTS = {
    "decide": ["tests/unit/decide"],
    "prompting": [
        "tests/unit/prompting",
        "--deselect=tests/unit/prompting/test_byte_cache.py::test_questions_take_no_more_than_they_are_counted",
        "--deselect=tests/unit/prompting/test_long_text.py::test_a_long_text_has_the_tokens_that_it_has_at_once",
    ],
    "pipeline": ["tests/unit/pipeline"],
    "engine": [
        "tests/unit/engine", "tests/numeric/test_baseline.py", "tests/numeric/test_gpu.py",
        "tests/numeric/weights/test_experts.py", "tests/numeric/weights/test_int8.py",
        "tests/numeric/forward/test_prefix_cache.py",
        "-k", "not warm_store and not bytes_are_those and not too_small and not mistaken and not finds_it",
    ],
}  # fmt: skip
# Computes answers, so that its mutants are drawn so many times as often as those of the rest of the room.
WEIGHT = 4
WEIGHTY = {
    "decide": ["decision"],
    "prompting": [
        "prompts", "encoder", "template", "label_trie", "label_bounds", "span_tree", "fence", "long_document",
    ],
    "pipeline": ["passes", "answers", "preparation", "classify", "fair_queue"],
    "engine": ["forward/*", "weights/*"],
}  # fmt: skip
# Of a room, what the tests above reach. The others of engine/ load models and take minutes, or need a card: faults are
# planted there by hand (docs/log.md).
ONLY = {
    "engine": [
        "forward/packing", "forward/prefix_cache", "baseline", "gpu", "weights/experts", "weights/int8",
        "weights/int8_product",
    ],
}  # fmt: skip


def mutants(room: str) -> dict[Path, list[str]]:
    """The names of all mutants, by file."""
    found = {}
    for path in sorted((ROOMS / room).rglob("*.py")):
        if _is_among(room, path, ONLY.get(room, ["*"])):
            names = mutate_file_contents(str(path), path.read_text()).mutant_names
            found[path] = [get_mutant_name(path, name) for name in names]
    return found


def draw(room: str, found: dict[Path, list[str]], sample: int, seed: int) -> list[str]:
    """About `sample` of them: of each file its share by weight, at least one."""
    weights = {
        path: len(names) * (WEIGHT if _is_among(room, path, WEIGHTY[room]) else 1)
        for path, names in found.items()
        if names
    }
    drawn = list[str]()
    for path, weight in weights.items():
        count = min(len(found[path]), max(1, round(sample * weight / sum(weights.values()))))
        drawn += random.Random(f"{seed} {path}").sample(found[path], count)
    return drawn


def _is_among(room: str, path: Path, patterns: Sequence[str]) -> bool:
    inside = str(path.relative_to(ROOMS / room).with_suffix(""))
    return any(fnmatch.fnmatch(inside, pattern) for pattern in patterns)


def run(room: str, files: Iterable[Path], names: Sequence[str], debug: bool) -> None:
    """Run them, and print what became of each kind and the difference that each survivor is."""
    shutil.rmtree("mutants", ignore_errors=True)
    # Examples that are the same for each mutant, and no clock: the machine may be busy.
    settings.register_profile(
        "mutants", deadline=None, max_examples=30, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    settings.load_profile("mutants")
    config = configuration.config()
    config.debug = debug
    config.pytest_add_cli_args = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    config.only_mutate = [str(file) for file in files]
    config.pytest_add_cli_args_test_selection = TESTS[room]
    mutmut._run(list(names), max_children=1)
    _, results = mutmut.collect_source_file_mutation_data(mutant_names=list(names))
    codes = {name: code for result in results.values() for name, code in result.exit_code_by_key.items()}
    became = {name: status_by_exit_code[codes[name]] for name in names}
    print(f"{room}: {len(names)} mutants,", dict(Counter(became.values())))
    for name in names:
        if became[name] != "killed":
            print(f"\n# {became[name]}: {name}\n{get_diff_for_mutant(name)}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("room", choices=TESTS)
    arguments.add_argument("--sample", type=int, default=60, help="about how many mutants")
    arguments.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments.add_argument("--debug", action="store_true", help="show what pytest says")
    arguments.add_argument("--list", action="store_true", help="only say what would be run")
    chosen = arguments.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    found = mutants(chosen.room)
    names = draw(chosen.room, found, chosen.sample, chosen.seed)
    print(f"seed {chosen.seed}: {len(names)} of {sum(map(len, found.values()))} mutants of {chosen.room}", flush=True)
    if chosen.list:
        print("\n".join(names))
    else:
        run(chosen.room, found, names, chosen.debug)


if __name__ == "__main__":
    main()
