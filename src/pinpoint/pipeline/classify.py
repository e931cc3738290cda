"""One request: its documents in, its response out.

    documents → parts that fit → units → forward passes within the token budget → log-probabilities → answers

`Work` is a request on that way, up to its units and from their outcomes on. Who runs the passes in between is another
matter: the worker gives the units of all jobs in flight to one batcher, and `classify` runs those of a single request
by themselves, as the command line does, and as the tests compare the batcher with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pinpoint.api.answer import Answer
from pinpoint.api.request import Options, Request
from pinpoint.api.response import DocumentFailure, DocumentInput, DocumentResult, Response, Segment, Timing, Usage
from pinpoint.decide.trust import NO_TASK_FILE, Standing, Taught
from pinpoint.documents.visible import counted
from pinpoint.engine.readings import Memory
from pinpoint.errors import OutOfMemory
from pinpoint.pipeline.answers import document_answer, questions
from pinpoint.pipeline.engine_protocol import Engine
from pinpoint.pipeline.evidence import NO_EVIDENCE_OF_CUT, by_page, by_passage
from pinpoint.pipeline.fair_queue import FairQueue, Lane
from pinpoint.pipeline.own_tokens import laid_tokens, own_tokens, owned_tokens
from pinpoint.pipeline.packets import BOUNDARY, cut_of, of_pages
from pinpoint.pipeline.passes import measure
from pinpoint.pipeline.preparation import Preparation, Reading
from pinpoint.pipeline.room import short_of_context
from pinpoint.pipeline.second_reading import again, both
from pinpoint.pipeline.trees import of_tree
from pinpoint.pipeline.units import Measured, Outcome, PassFigures, Unit
from pinpoint.prompting.long_document import Fitted
from pinpoint.prompting.taxonomy import Task, labels_sha


@dataclass(frozen=True, slots=True)
class JobCounts:
    """What a job took, for its log line."""

    documents: int
    failed: int
    tokens_asked: int
    tokens_computed: int
    tokens_written: int
    batches: int


Find = Callable[[Task, Options], Standing]


def no_task_file(task: Task, options: Options) -> Standing:
    """Without task files."""
    return NO_TASK_FILE


class Work:
    """A request on its way through the engine."""

    def __init__(self, request: Request, engine: Engine, arrived_s: float, find: Find = no_task_file) -> None:
        """Begin nothing yet.

        Args:
            request: what is asked.
            engine: what answers.
            arrived_s: when the job came, of `time.perf_counter`; queueing is counted from here.
            find: the task file that counts for a task, or why none does.
        """
        self.request = request
        # The other formats have no place to say by what a score was changed; a lesson is about scores as they are.
        ours = request.shape == "pinpoint"
        self._found = {task.name: find(task, request.options) for task in request.tasks} if ours else {}
        taught = {name: found for name, found in self._found.items() if isinstance(found, Taught)}
        self.units: list[int] = []
        self._engine = engine
        self._arrived_s = arrived_s
        self._preparation = Preparation(request, engine, taught)
        self._prepared_s = 0.0
        self._results: list[DocumentResult | DocumentFailure] = []
        self._decided_units = 0

    def prepare(self, max_chars: int | None = None) -> bool:
        """Encode questions and documents until about so many characters are read, or all; whether any may be left.

        Raises:
            RequestError: the labels do not fit the model's context, the model cannot tell two of them apart, or it is
                too much for one job.
        """
        began_s = time.perf_counter()
        left = self._preparation.advance(max_chars)
        self._prepared_s += time.perf_counter() - began_s
        return left

    def lane(self, job: str = "", *, alone: bool = False) -> Lane:
        """Its units, for a queue, once all is prepared."""
        self.units, asked = self._preparation.count()
        return Lane(
            self._preparation.units(), sum(self.units), asked, self.request.options.explain, alone=alone, job=job
        )

    def documents_done(self, units: int) -> int:
        """How many documents are through when so many units are."""
        done = 0
        for count in self.units:
            units -= count
            if units < 0:
                break
            done += 1
        return done

    @property
    def read_documents(self) -> int:
        """How many documents can be answered, of those prepared so far."""
        return sum(isinstance(outcome, Reading) for outcome in self._preparation.outcomes)

    def decide(self, outcomes: Sequence[Outcome], max_scores: int | None = None) -> bool:
        """Decide on documents until about so many scores are weighed, or on all; whether any are left.

        Args:
            outcomes: of all units in their order, none of them None.
            max_scores: of labels, each as often as it is asked about.
        """
        weighed = 0
        while len(self._results) < len(self.units) and (max_scores is None or weighed < max_scores):
            index = len(self._results)
            outcome = self._preparation.outcomes[index]
            end = self._decided_units + self.units[index]
            own = outcomes[self._decided_units : end]
            self._results.append(self._result(outcome, own) if isinstance(outcome, Reading) else outcome)
            self._decided_units = end
            weighed += 1 + sum(len(one.scores.log_probs) for one in own if isinstance(one, Measured))
        return len(self._results) < len(self.units)

    def response(
        self, outcomes: Sequence[Outcome], loading_s: float = 0.0, reading_s: float | None = None
    ) -> tuple[Response, JobCounts]:
        """The answer, once all is decided.

        Args:
            outcomes: what was decided on.
            loading_s: how long the job waited for the model to be loaded, which is not queueing.
            reading_s: how long its files were fetched and read, which is none either; None where there were none.
        """
        results = self._results
        measured = [one for one in outcomes if isinstance(one, Measured)]
        passes = list({id(one): one for each in measured for one in (*each.before, each.figures)}.values())
        counts = JobCounts(
            documents=len(results),
            failed=sum(isinstance(result, DocumentFailure) for result in results),
            tokens_asked=sum(one.asked_tokens for one in measured),
            tokens_computed=sum(one.computed_tokens for one in measured),
            tokens_written=sum(one.written_tokens for one in measured),
            batches=len(passes),
        )
        found, kept = owned_tokens(measured)
        return (
            Response(
                results=tuple(results),
                usage=Usage(
                    prompt_tokens=counts.tokens_asked,
                    cached_tokens=max(0, counts.tokens_asked - self._own_tokens(outcomes) + found),
                    completion_tokens=counts.tokens_written,
                    cache_write_tokens=kept,
                ),
                timing=self._timing(passes, loading_s, reading_s),
                memory=self._memory(passes),
                model=self._engine.info(labels_sha(self.request.tasks)),
            ),
            counts,
        )

    def _own_tokens(self, outcomes: Sequence[Outcome]) -> int:
        answered = [index for index, result in enumerate(self._results) if isinstance(result, DocumentResult)]
        options = self.request.options
        if options.evidence or options.second_reading or self._preparation.trees:
            return laid_tokens(zip(self._preparation.units(), outcomes, strict=True), answered)
        return own_tokens(self._preparation, self._preparation.tasks, self._engine.prompts, answered)

    def _memory(self, passes: Sequence[PassFigures]) -> Memory:
        """What the device held, without the prefix store, whose growth tells whether the labels were new to it, and
        without long documents, which may be others'.
        """
        if passes:
            memory, kept_bytes, held_bytes = passes[-1].memory, passes[-1].store_bytes, passes[-1].held_bytes
        else:
            memory, kept_bytes, held_bytes = self._engine.memory(), self._engine.store.bytes, self._engine.held_bytes
        # Without a card, the baseline is of before there was anything to keep.
        kept_in_baseline = min(kept_bytes, memory.baseline_bytes) if self._engine.on_card else 0
        return replace(
            memory,
            allocated_bytes=max(0, memory.allocated_bytes - kept_bytes - held_bytes),
            baseline_bytes=memory.baseline_bytes - kept_in_baseline,
        )

    def _timing(self, passes: Sequence[PassFigures], loading_s: float, reading_s: float | None) -> Timing:
        now_s = time.perf_counter()
        first_s = min((one.began_s for one in passes), default=now_s)
        return Timing(
            queue_ms=max(0.0, first_s - self._arrived_s - self._prepared_s - loading_s - (reading_s or 0.0)) * 1e3,
            tokenize_ms=self._prepared_s * 1e3,
            forward_ms=sum(one.total_ms for one in passes),
            total_ms=(now_s - self._arrived_s) * 1e3,
            read_ms=None if reading_s is None else reading_s * 1e3,
        )

    def _result(self, reading: Reading, outcomes: Sequence[Outcome]) -> DocumentResult | DocumentFailure:
        document, options = reading.document, self.request.options
        failure = next((one for one in outcomes if isinstance(one, OutOfMemory)), None)
        if failure is not None:
            return DocumentFailure(document.id, failure)
        measured = [one for one in outcomes if isinstance(one, Measured)]
        own, without, start = dict[str, list[Measured]](), dict[str, list[Measured]](), 0
        for task in self._preparation.tasks:
            end = start + len(reading.fitted[task.name].parts) * questions(task)
            own[task.name] = measured[start:end]
            start = end + len(reading.left_out_of(task).parts) * questions(task)
            without[task.name] = measured[end:start]
        for name, tree in self._preparation.trees.items():
            own[name], without[name] = of_tree(tree, own[name]), of_tree(tree, without[name])
        for task in self.request.tasks:
            if again(task, options) is not None:
                own[task.name] = both(own[task.name])
        answers = {
            task.name: self._answer(task, reading, reading.fitted[task.name], own[task.name], without[task.name])
            for task in self.request.tasks
        }
        most_cut = max(reading.fitted.values(), key=lambda fitted: fitted.dropped)
        warnings = [*document.warnings, *self.request.warnings]
        if options.first_pages is not None and options.first_pages < len(document.pages):
            behind = counted(len(document.pages) - options.first_pages, "page")
            warnings.append(f"{behind} behind the first {options.first_pages} not read")
        segments, boundaries = self._segments(reading, own) if options.split else ((), ())
        if most_cut.dropped and options.evidence:
            warnings.append(NO_EVIDENCE_OF_CUT)
        if most_cut.dropped:
            said = f"the document was cut: {most_cut.dropped} tokens from its middle were not read"
            warnings.append(f"{said}{short_of_context(self._engine)}")
        return DocumentResult(
            id=document.id,
            answers=answers,
            input=DocumentInput(
                len(document.pages), most_cut.tokens, most_cut.dropped, document.extractor, document.file
            ),
            warnings=tuple(warnings),
            segments=segments,
            boundaries=boundaries,
        )

    def _answer(
        self, task: Task, reading: Reading, fitted: Fitted, measured: Sequence[Measured],
        without: Sequence[Measured] = (),
    ) -> Answer:  # fmt: skip
        """The answer to a task about the fitted parts, with what moved it where that is wanted."""
        options = self.request.options
        answer = document_answer(task, options, fitted, measured, self._found.get(task.name, NO_TASK_FILE))
        if not options.evidence:
            return answer
        if options.long_document == "pages":
            return by_page(task, answer, fitted, measured, reading.document.pages)
        left_out = reading.left_out_of(task)
        return by_passage(task, answer, measured[0].scores, left_out, [one.scores for one in without])

    def _segments(
        self, reading: Reading, own: dict[str, list[Measured]]
    ) -> tuple[tuple[Segment, ...], tuple[float, ...]]:
        """The documents of a packet, and of each page how likely it begins one; blank pages go with the one before."""
        tasks, options, fitted = self.request.tasks, self.request.options, reading.fitted
        task = next((one for one in tasks if not one.multi_label and one.kind == "choice"), None)
        evidence = task or tasks[0]
        pages, best = cut_of(task, fitted[evidence.name], own[evidence.name], fitted[BOUNDARY.name], own[BOUNDARY.name])
        count = len(reading.document.pages) if options.first_pages is None else options.first_pages
        last = min(count, len(reading.document.pages)) - 1
        begins = dict(zip(pages, best.begins, strict=True))
        starts = [0, *(pages[start] for start in best.starts[1:])]
        found = list[Segment]()
        for start, end in zip(starts, [*(start - 1 for start in starts[1:]), last], strict=True):
            answers = {
                one.name: self._answer(
                    one, reading,
                    *of_pages(fitted[one.name], own[one.name], questions(one), range(start, end + 1)),
                )
                for one in tasks
            }  # fmt: skip
            found.append(Segment((start, end), begins.get(start, 1.0), answers))
        return tuple(found), tuple(1.0 if page == 0 else begins.get(page, 0.0) for page in range(last + 1))


def classify(request: Request, engine: Engine, find: Find = no_task_file) -> tuple[Response, JobCounts]:
    """Answer a request by itself, in as few passes as the token budget allows; `find` as of `Work`.

    Raises:
        RequestError: the labels do not fit the model's context, or the model cannot tell two of them apart.
        DeviceError: the device failed.
    """
    work = Work(request, engine, time.perf_counter(), find)
    work.prepare()
    queue, lane = FairQueue(max_tokens=0), work.lane()
    queue.put(lane)
    outcomes = list[Outcome]()
    while batch := queue.take(engine.token_budget, engine.read_tokens):
        measured = measure([taken.unit for taken in batch], engine)
        outcomes += [one for taken, one in zip(batch, measured, strict=True) if isinstance(taken.unit, Unit)]
    for _, error in queue.failed:
        raise error
    work.decide(outcomes)
    return work.response(outcomes)
