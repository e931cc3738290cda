"""How the suite is spread over processes (`make test`): a file is never split, and files where clocks matter are few at
a time.

The files of tests/worker wait more than they compute. They come first, in two queues, so that the other tests fill the
cores meanwhile.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import warm

# How long an example takes is the machine's matter.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

WORKER = "tests/worker/"
HTTP = "tests/http/"  # shares a server: all in one process
# About half of the time of tests/worker.
WAITING = ("test_vigil.py", "test_kept_faults.py", "test_jobs_platform.py", "test_soak.py")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None):  # the process that hands out, not those that run
        stack = ExitStack()
        stack.enter_context(warm.shared())
        config.add_cleanup(stack.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(WORKER))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        """Hands out whole files, in the order of collection."""

        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            if file.startswith(HTTP):
                return HTTP
            if not file.startswith(WORKER):
                return file
            return f"{WORKER} waiting" if Path(file).name in WAITING else WORKER

    config.option.loadscopereorder = False
    return ByFile(config, log)
