"""What a bulk run shows is read in another thread than the one that counts."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from pinpoint.cli.bulk_view import SHOWN, _most

LABELS, LOOKS = 900, 500


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads take turns far more often than they do, so that a few hundred looks meet a change."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before_s)


@pytest.mark.usefixtures("impatient")
def test_labels_may_be_counted_while_they_are_shown() -> None:
    counts, ends = Counter(str(-number) for number in range(LABELS)), threading.Event()

    def count() -> None:
        number = 0
        while not ends.is_set():
            counts[str(number)] += 1
            counts.pop(str(number - LABELS), None)
            number += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        shown = {_most(counts).count(",") for _ in range(LOOKS)}
    finally:
        ends.set()
        thread.join()
    assert min(shown) >= SHOWN
