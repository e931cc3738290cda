"""How the suite is spread over processes (`make test`): a file is never split, and files where clocks matter are few at
a time.

The files of tests/worker wait more than they compute. They come first, the longest before the others, and as many at a
time as leave one process to the other tests, which fill the cores meanwhile.
"""

import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import warm

# How long an example takes is the machine's matter.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

ROOT = Path(__file__).parents[1]
WORKER = "tests/worker/"
HTTP = "tests/http/"  # shares a server: all in one process
LONGEST = ("test_vigil.py", "test_faults.py", "test_guards.py")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None):  # the process that hands out, not those that run
        stack = ExitStack()
        stack.enter_context(warm.shared())
        config.add_cleanup(stack.close)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    if config.invocation_params.dir == ROOT:  # where `tests` can be imported
        for spec in specs:
            spec.python = f"{shlex.quote(sys.executable)} -m tests.node"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (not item.nodeid.startswith(WORKER), item.path.name not in LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        """Hands out whole files, in the order of collection but for those that wait."""

        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return HTTP if file.startswith(HTTP) else file

        def _assign_work_unit(self, node: Any) -> None:
            others = [work for other, work in self.assigned_work.items() if other is not node]
            waiting = sum(
                any(waits(scope) and not all(unit.values()) for scope, unit in work.items()) for work in others
            )
            wanted = waiting < max(1, len(self.assigned_work) - 1)
            chosen = next((scope for scope in self.workqueue if waits(scope) == wanted), None)
            if chosen is not None:
                self.workqueue.move_to_end(chosen, last=False)
            super()._assign_work_unit(node)

    def waits(scope: str) -> bool:
        return scope.startswith(WORKER)

    config.option.loadscopereorder = False
    return ByFile(config, log)
