"""An event loop whose clock stands still while anything can run, and jumps to the next timer when nothing can.

A test of an hour of waiting takes a millisecond, always in the same order. Where nothing runs and no timer is set, the
program under test waits for ever: that is an error here, and not a hang.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("everything waits, and nothing will wake it")
        self.now_s += max(0.0, timeout)
        return super().select(0)


class FakeClockLoop(asyncio.SelectorEventLoop):
    """No threads: what they would wake, nobody wakes."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._jumping.now_s


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on a fake clock."""
    with asyncio.Runner(loop_factory=FakeClockLoop) as runner:
        return runner.run(main)
