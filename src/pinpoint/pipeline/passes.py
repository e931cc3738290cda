"""Forward passes for units: a batch in, an outcome for each unit out, whatever the device's memory has to say.

A unit is one question about one part of one document, of any job: what is never split. A batch is laid into one forest,
where equal beginnings are shared, and scored in one pass. Where the device runs out of memory the batch is halved, down
to a unit that fails alone.

A prompt that takes more than a pass has its beginning, the document, read before it, over several passes: a batch may
hold *chunks* of such beginnings beside units. A chunk that runs out of memory alone is halved as well.

Nothing here knows jobs, threads or clocks of the platform; nothing here is a tensor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise

from pinpoint.errors import OutOfMemory
from pinpoint.pipeline.engine_protocol import Engine, Pass, Scores
from pinpoint.pipeline.units import Beginning, Chunk, Followed, Measured, Outcome, PassFigures, Unit
from pinpoint.prompting.prompt import Prompt
from pinpoint.prompting.span_tree import Forest

# Told of each pass, with the indices of its units, in the thread that ran it.
Observer = Callable[[Sequence[int], PassFigures], None]


def measure(
    units: Sequence[Unit | Chunk],
    engine: Engine,
    wanted: Callable[[int], bool] = lambda index: True,
    passed: Observer = lambda indices, figures: None,
) -> list[Outcome]:
    """Measure a batch; where the device runs out of memory, its halves, down to a unit that fails alone.

    Args:
        units: the batch, with chunks of what later units wait for; its forest is meant to keep within the engine's
            token budget.
        engine: runs the passes.
        wanted: whether somebody still waits for the unit of this index; asked before each pass.
        passed: told of each pass, those that ran out of memory among them.

    Raises:
        DeviceError: the device failed.
        Exception: whatever else the engine raised; no unit of this batch counts as measured then.
    """
    outcomes: list[Outcome] = [None] * len(units)
    # Halves are taken from the end, so that the first units are measured first.
    todo = [list(range(len(units)))]
    while todo:
        indices = list[int]()
        for index in todo.pop():
            one, begun = units[index], units[index].begun
            if isinstance(one, Unit) and begun is not None and begun.failure is not None:
                outcomes[index] = begun.failure
            elif wanted(index) and not (isinstance(one, Chunk) and one.begun.settled):
                indices.append(index)
        if not indices:
            continue
        began_s, failure = time.perf_counter(), None
        try:
            measured = _run([units[index] for index in indices], engine, lambda at: wanted(indices[at]))  # noqa: B023
        except OutOfMemory as error:
            failure = error.with_traceback(None)
        if failure is None:
            for index, outcome in zip(indices, measured[0], strict=True):
                outcomes[index] = outcome
            passed(indices, measured[1])
            continue
        # Outside the `except`, so that nothing holds the pass that failed.
        engine.release()
        passed(indices, PassFigures(began_s, time.perf_counter(), engine.memory(), out_of_memory=True))
        if len(indices) == 1:
            (index,), alone = indices, units[indices[0]]
            if isinstance(alone, Chunk):
                alone.begun.ran_out(alone.begun.chunk(alone.tokens), failure)
                todo.append(indices)
            else:
                outcomes[index] = failure
        else:
            middle = len(indices) // 2
            todo += [indices[middle:], indices[:middle]]
    return outcomes


def _run(
    batch: Sequence[Unit | Chunk], engine: Engine, wanted: Callable[[int], bool]
) -> tuple[list[Measured | None], PassFigures]:
    began_s = time.perf_counter()
    # On a CPU they are always the same, so that what is kept serves all passes.
    same_bits = engine.on_card and any(
        one.same_bits if isinstance(one, Unit) else one.begun.chunk_tokens is not None for one in batch
    )
    forest, units, asks = Forest(same_bits=same_bits), list[Unit](), list[int]()
    places = [place for place, one in enumerate(batch) if isinstance(one, Unit)]
    chunks, asked, laid, laid_by_chunks = list[Chunk](), list[int](), list[int](), list[int]()
    for one in batch:
        before = forest.laid_tokens
        if isinstance(one, Chunk):
            chunks.append(one)
            forest.read(one.begun, one.begun.chunk(one.tokens))
            laid_by_chunks.append(forest.laid_tokens - before)
            continue
        units.append(one)
        asked.append(one.asked_tokens)
        asks.append(one.prompt.add_to(forest, one.exact_best, state=one.state, begun=one.begun))
        if one.begun is not None:
            forest.give(forest.ancestry(forest.asks[asks[-1]].span)[one.ahead - 1], one.begun)
        laid.append(forest.laid_tokens - before)
    with engine.run(forest, explain=any(unit.explained for unit in units)) as done:
        next_asks = _follow(units, asks, forest, done, asked, laid)
        measured_s = time.perf_counter()
        scores = [done.scores[ask] for ask in asks]
        followed = [{number: done.scores[ask] for number, ask in each.items()} for each in next_asks]
        reasons = _reasons(units, scores, followed, asks, next_asks, done, lambda unit: wanted(places[unit]))
        owned = _beginnings(forest, done)
        decode_s = time.perf_counter() - measured_s
        computed = done.computed_tokens
    figures = PassFigures(
        began_s,
        time.perf_counter(),
        engine.memory(),
        decode_s=decode_s,
        asked_tokens=sum(asked),
        computed_tokens=computed,
        written_tokens=sum(tokens for _, tokens in reasons),
        store_bytes=engine.store.bytes,
        held_bytes=engine.held_bytes,
    )
    # Cumulative, so that the roundings cancel.
    all_laid = [*laid, *laid_by_chunks]
    whole = max(1, sum(all_laid))
    marks = [computed * tokens // whole for tokens in accumulate(all_laid, initial=0)]
    parts = [stop - start for start, stop in pairwise(marks)]
    for chunk, part in zip(chunks, parts[len(units) :], strict=True):
        chunk.begun.figures.append(figures)
        chunk.begun.computed_tokens += part
    measured = list[Measured]()
    for index, (unit, ask) in enumerate(zip(units, asks, strict=True)):
        earlier, read = ((), 0) if unit.begun is None else unit.begun.claimed()
        measured.append(
            Measured(
                scores[index], figures, asked[index], parts[index] + read, *reasons[index],
                owned.get(forest.asks[ask].span, ()), followed[index], earlier,
            )
        )  # fmt: skip
    found = iter(measured)
    return [next(found) if isinstance(one, Unit) else None for one in batch], figures


def _reasons(
    units: Sequence[Unit], scores: Sequence[Scores], followed: Sequence[Followed], asks: Sequence[int],
    next_asks: Sequence[Mapping[int, int]], done: Pass, wanted: Callable[[int], bool],
) -> list[tuple[str | None, int]]:  # fmt: skip
    """The rationale of each unit and its tokens, all of the pass written together."""
    places, asked = list[int](), list[tuple[int, str]]()
    for index, unit in enumerate(units):
        chosen = None if unit.explained is None else unit.explained(scores[index], followed[index])
        if chosen is not None:
            number, name = chosen
            places.append(index)
            asked.append((asks[index] if number is None else next_asks[index][number], name))
    reasons: list[tuple[str | None, int]] = [(None, 0)] * len(units)
    for index, one in zip(places, done.explain_all(asked, lambda at: wanted(places[at])), strict=True):
        reasons[index] = one or (None, 0)
    return reasons


def _follow(
    units: Sequence[Unit], asks: Sequence[int], forest: Forest, done: Pass, asked: list[int], laid: list[int]
) -> list[dict[int, int]]:
    """Ask what follows from what is known, until nothing does; returns the asks of each unit, by its own numbers.

    The tokens of what is asked are added to `asked`, and those that are laid to `laid`.
    """
    next_asks = [dict[int, int]() for _ in units]
    waiting = [index for index, unit in enumerate(units) if unit.follow is not None]
    while waiting:
        wanted = list[tuple[int, int, Prompt]]()
        for index in waiting:
            follow = units[index].follow
            known = {number: done.scores[ask] for number, ask in next_asks[index].items()}
            assert follow is not None
            wanted += [(index, *one) for one in follow(done.scores[asks[index]], known).items()]
        for index, number, prompt in wanted:
            before = forest.laid_tokens
            next_asks[index][number] = prompt.add_to(forest, begun=units[index].begun)
            asked[index] += prompt.length
            laid[index] += forest.laid_tokens - before
        if wanted:
            done.more()
        waiting = list(dict.fromkeys(index for index, _, _ in wanted))
    return next_asks


def _beginnings(forest: Forest, done: Pass) -> dict[int, tuple[Beginning, ...]]:
    """By the span of each ask of a caller with a key of its own, what the pass had of its shared beginnings."""
    made: dict[int, Beginning] = {}
    owned: dict[int, tuple[Beginning, ...]] = {}
    for span in {ask.span for ask in forest.asks if forest.owners[ask.span]}:
        shared = [one for one in forest.ancestry(span) if forest.shared[one]]
        for one in shared:
            if one not in made:
                made[one] = Beginning(forest.path(one), len(forest.tokens[one]), one in done.found, one in done.kept)
        owned[span] = tuple(made[one] for one in shared)
    return owned
