"""Two runs over the same documents: did one do better than the other by more than chance?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from pinpoint.errors import PinpointError


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided p of the exact McNemar test: of the documents on which two runs differ, one half would be gained.

    Args:
        gained: documents that only the later run has right.
        lost: documents that only the earlier run has right.
    """
    if gained + lost == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost, 0.5).pvalue)


def compare(documents: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """This run's documents against those of an earlier report, which are the same by their `key`.

    Each is taken once; documents that only one of the runs has are counted, and left out. Raises PinpointError
    `output_of_another_run` where they share none.
    """
    before = defaultdict[str, list[bool]](list)
    for one in earlier:
        before[one["key"]].append(bool(one["right"]))
    pairs = [(before[one["key"]].pop(0), bool(one["right"])) for one in documents if before[one["key"]]]
    if not pairs:
        raise PinpointError(
            "output_of_another_run",
            f"none of its {len(earlier)} documents is one of these {len(documents)}",
            "--against",
        )
    gained = sum(now and not then for then, now in pairs)
    lost = sum(then and not now for then, now in pairs)
    return {
        "documents": len(pairs),
        "only_here": len(documents) - len(pairs),
        "only_there": len(earlier) - len(pairs),
        "accuracy_there": sum(then for then, _ in pairs) / len(pairs),
        "accuracy_here": sum(now for _, now in pairs) / len(pairs),
        "gained": gained,
        "lost": lost,
        "p": mcnemar(gained, lost),
    }
