"""What a job would take by itself, in one pass however large: every beginning that its questions share laid once.

It is a function of the job alone. What the worker really computed depends on whom the job shared its passes with and on
what was kept from others before it, and would tell a caller what others ask.

Where a `prompt_cache_key` owns what is kept from one job to the next, nobody else's jobs have a part in it, and it is
told: `owned_tokens`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from functools import cache

from pinpoint.pipeline.preparation import Preparation, Reading
from pinpoint.pipeline.units import Measured, Outcome, Unit, followed_prompts
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.taxonomy import Task


def owned_tokens(measured: Iterable[Measured]) -> tuple[int, int]:
    """Tokens of a job's beginnings that were kept under its key before the job, and that the job had kept.

    Each beginning counts once, as its first pass found it: what later passes find, the job itself put there.
    """
    seen = set[tuple[tuple[int, ...], ...]]()
    found = kept = 0
    for one in measured:
        for beginning in one.beginnings:
            if beginning.path not in seen:
                seen.add(beginning.path)
                found += beginning.tokens if beginning.found else 0
                kept += beginning.tokens if beginning.kept else 0
    return found, kept


def laid_tokens(units: Iterable[tuple[Unit, Outcome]], answered: Container[int]) -> int:
    """Tokens of the forest of the units about these documents, laid one after the other and forgotten.

    The same number as `own_tokens` counts, for prompts that share more than that knows, documents without a passage,
    and for those that followed from what came of a unit. A span is known by a digest of its tokens and its parent's
    number.
    """
    known: dict[tuple[int, int, int], int] = {}
    total = 0
    for unit, outcome in units:
        if unit.document not in answered:
            continue
        for prompt in (unit.prompt, *(followed_prompts(unit, outcome) if isinstance(outcome, Measured) else ())):
            parent = 0
            for tokens in prompt.path:
                key = (parent, len(tokens), hash(tokens))
                if key not in known:
                    known[key] = len(known) + 1
                    total += len(tokens)
                parent = known[key]
            total += len(prompt.trie.tokens)
    return total


def own_tokens(preparation: Preparation, tasks: Sequence[Task], prompts: PromptBuilder, answered: Iterable[int]) -> int:
    """Tokens of the forest of all prompts of a job, without laying it.

    Args:
        preparation: all of it done.
        tasks: of the request.
        prompts: that lay the units.
        answered: the documents that count, by index.
    """
    # A number for each question that says something of its own, or that is cut elsewhere: of one that is asked before
    # documents and behind them, only what stands behind has an opening.
    numbers: dict[tuple[tuple[tuple[int, ...], ...], int], int] = {}
    lengths: list[int] = []
    openings: list[tuple[int, ...]] = []  # of each question, what others may begin with too
    asking: dict[str, list[int]] = {}
    for task in tasks:
        known = [(one.parts, one.opening_tokens) for one in preparation.questions[task.name]]
        asking[task.name] = [numbers.setdefault(one, len(numbers)) for one in known]
        lengths += [0] * (len(numbers) - len(lengths))
        openings += [()] * (len(numbers) - len(openings))
        for number, question in zip(asking[task.name], preparation.questions[task.name], strict=True):
            lengths[number] = question.length
            openings[number] = question.tokens[: question.opening_tokens]

    labels = 0
    behind: dict[tuple[int, ...], set[str]] = {}  # of each part in its lines, the tasks whose questions stand behind it
    before: dict[tuple[int, ...], set[int]] = {}  # and the questions that it stands behind
    for index in answered:
        reading = preparation.outcomes[index]
        if not isinstance(reading, Reading):
            continue
        for task in tasks:
            questions = preparation.questions[task.name]
            parts = reading.fitted[task.name].parts
            labels += len(parts) * sum(len(question.trie.tokens) for question in questions)
            for part in parts:
                if prompts.document_first(task, questions[0], len(part)):
                    behind.setdefault(prompts.fenced(part), set()).add(task.name)
                else:
                    before.setdefault(prompts.fenced(part), set()).update(asking[task.name])

    @cache
    def leaves(names: frozenset[str]) -> int:
        distinct = {number for name in names for number in asking[name]}
        begun = sum(map(len, {openings[number] for number in distinct}))
        return begun + sum(lengths[number] - len(openings[number]) + prompts.ending_tokens for number in distinct)

    first = {number for numbers_of in before.values() for number in numbers_of}
    return (
        (prompts.root_tokens if behind or before else 0)
        + labels
        + sum(len(part) + leaves(frozenset(names)) for part, names in behind.items())
        + sum(lengths[number] for number in first)
        + sum((len(part) + prompts.ending_tokens) * len(of) for part, of in before.items())
    )
