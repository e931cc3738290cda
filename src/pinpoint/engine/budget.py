"""The token budget where nobody has set it: passes such as jobs make are timed before the first job.

Timed are documents of a page under one question, as many as a pass takes, from laying the row to its scores: what the
host does for a pass is a part of what a larger one saves. Where documents are cut, and what is refused as too long,
stays a matter of the budget that is usual, so workers that measured otherwise answer alike.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from pinpoint.engine.loading.calibration import TEXTS
from pinpoint.engine.warmup import small_sizes
from pinpoint.errors import OutOfMemory
from pinpoint.planning.budgets import Budget, fastest, larger_budgets
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task

if TYPE_CHECKING:
    from pinpoint.engine.scorer import Scorer

log = logging.getLogger("pinpoint")

LABELS = ("invoice", "receipt", "purchase order", "contract", "bank statement", "payslip", "email", "news article")
TASK = Task("kind", tuple(Label(name, name) for name in LABELS))
DOCUMENT_TOKENS = 1000


def settle_budget(scorer: Scorer, wanted: int | None) -> Budget:
    """Set the scorer's budget to what serves most tokens a second, within its plan, and log what came of it.

    Args:
        scorer: with the budget that was set, or the usual one, as far as the plan allows it.
        wanted: what was set; None where it is to be measured.
    """
    plan, usual = scorer.loaded.plan, scorer.token_budget
    if wanted is not None:
        by = "setting" if usual == wanted else "plan"
        return Budget(usual, by)
    larger = [] if plan is None else larger_budgets(plan, usual, scorer.read_tokens)
    if plan is None or not larger or scorer.context_tokens < 2 * DOCUMENT_TOKENS:
        return Budget(usual, "default" if plan is None or plan.token_budget > usual else "plan")
    began = time.perf_counter()
    _timed(scorer, usual)  # loads kernels, and the first of what the allocator takes
    warm = set(small_sizes(plan, usual + 1))

    def timed(tokens: int) -> tuple[int, float] | None:
        if new := set(small_sizes(plan, tokens)) - warm:  # compiling them would be taken for the pass
            warm.update(new)
            _timed(scorer, tokens)
        return _timed(scorer, tokens)

    taken, rates = fastest(usual, larger, timed)
    scorer.token_budget = taken
    scorer.store.clear()
    scorer.rebase()  # the cache of reasons and recorded passes are yet to be taken
    found = Budget(taken, "measured", rates, time.perf_counter() - began)
    log.info(
        "token budget: measured tokens=%d tokens_per_s=%s seconds=%.2f",
        taken, ",".join(f"{tokens}:{rate:.0f}" for tokens, rate in rates.items()) or "none", found.seconds,
    )  # fmt: skip
    return found


def measured_forest(scorer: Scorer, tokens: int) -> Forest:
    """Documents of real words under one question, as many as `tokens` take."""
    words = scorer.prompts.document("\n\n".join(TEXTS))
    text = list(words) * (DOCUMENT_TOKENS // len(words) + 2)
    forest, before, own = Forest(), 0, 0
    while not forest.asks or forest.total_tokens + own <= tokens:
        before, start = forest.total_tokens, len(forest.asks) % len(words)  # equal documents would be read once
        scorer.prompts.add(forest, TASK, text[start : start + DOCUMENT_TOKENS])
        own = forest.total_tokens - before
    return forest


def _timed(scorer: Scorer, tokens: int) -> tuple[int, float] | None:
    """Tokens and seconds of one pass of at most `tokens`; None where it ran out of memory, which the plan rules out."""
    forest, usual = measured_forest(scorer, tokens), scorer.token_budget
    scorer.token_budget, began = tokens, time.perf_counter()
    try:
        with scorer.run(forest):
            return forest.total_tokens, time.perf_counter() - began
    except OutOfMemory:
        pass
    finally:
        scorer.token_budget = usual
    scorer.release()
    return None
