"""A request made ready for the engine: documents encoded, cut to the room that the prompts leave, asked about in units.

All of it is work of one job that needs no engine but its tokenizer, so it is done outside the thread of the forward
passes, in turns: a step is the encoding of a label, of a part of an instruction, or of a stretch of a document, and
between two turns somebody may look whether the job is still waited for.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from pinpoint.api.request import Options, Request
from pinpoint.api.response import DocumentFailure
from pinpoint.decide.calibration import MAX_STATE_QUESTIONS
from pinpoint.decide.tree import TreeDecision
from pinpoint.decide.trust import Taught
from pinpoint.documents.text import PAGE_BREAK, Document, File, RejectedDocument
from pinpoint.errors import DocumentError, RequestError
from pinpoint.pipeline.answers import questions
from pinpoint.pipeline.engine_protocol import Engine
from pinpoint.pipeline.evidence import LeftOut, Passage, common, passages
from pinpoint.pipeline.packets import BOUNDARY, joints
from pinpoint.pipeline.reasons import Explained
from pinpoint.pipeline.room import refuse_beyond, room_of
from pinpoint.pipeline.second_reading import SecondReading, again
from pinpoint.pipeline.trees import Expansion
from pinpoint.pipeline.units import Follow, Unit
from pinpoint.prompting.long_document import Fitted, as_tuple, fit
from pinpoint.prompting.prompt import Question
from pinpoint.prompting.taxonomy import Task

BLANK_CHARS = 10  # letters and digits: less is dust, or a number that a feeder stamps on the back
# Of one job. What is measured of a unit takes some 600 bytes until the job is answered.
MAX_UNITS = 1_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """A document as the model reads it, and what it reads without a passage of it, by the name of the task."""

    document: Document
    fitted: dict[str, Fitted]
    left_out: dict[str, LeftOut] = field(default_factory=dict)

    def left_out_of(self, task: Task) -> LeftOut:
        """The readings without a passage that a task asks for; there are none where no evidence is wanted."""
        return self.left_out.get(task.name, LeftOut())


class Preparation:
    """A request on its way to units.

    Attributes:
        outcomes: one for each document prepared so far, in order: what is read, or why not.
        questions: of each task prepared so far, by its name.
        trees: of the tasks that have one, what they say before any document is read.
    """

    def __init__(self, request: Request, engine: Engine, taught: Mapping[str, Taught] | None = None) -> None:
        """Begin nothing yet; `taught` are the task files in force, by the name of the task."""
        self._request = request
        self._engine = engine
        self._taught = taught or {}
        self._documents = [document for document in request.documents if not isinstance(document, File)]
        assert len(self._documents) == len(request.documents), "files are read before they are prepared"
        self._again = {one.name: two for one in request.tasks if (two := again(one, request.options)) is not None}
        # With the question that a packet is cut by, behind the caller's own.
        self.tasks = (*request.tasks, BOUNDARY) if request.options.split else request.tasks
        self.trees = {task.name: TreeDecision(task) for task in self.tasks if task.tree is not None}
        self._rooms: dict[str, int] = {}
        self.questions: dict[str, tuple[Question, ...]] = {}
        self.outcomes: list[Reading | DocumentFailure] = []
        self._steps = self._prepare()

    def advance(self, max_chars: int | None = None) -> bool:
        """Prepare until about so many characters are read, or all; whether anything may be left.

        Raises:
            RequestError: the labels do not fit the model's context, the model cannot tell two of them apart, or it is
                too much for one job.
        """
        read_chars = 0
        for chars in self._steps:
            read_chars += chars
            if max_chars is not None and read_chars >= max_chars:
                return True
        return False

    def units(self) -> Iterator[Unit]:
        """All units, by document, task, part and question; laid one at a time, as they are asked for.

        Behind a document's parts are its readings without a passage.
        """
        same_bits = self._request.options.deterministic
        # Where bits matter, a question is cut where it is cut beside others.
        alone = not same_bits and sum(len(self._first_questions(task)) for task in self.tasks) == 1
        asked = [(task, self._exact_best(task), self._explained(task), self._wants_state(task)) for task in self.tasks]
        for document, outcome in enumerate(self.outcomes):
            if not isinstance(outcome, Reading):
                continue
            for task, best, explained, state in asked:
                left_out = outcome.left_out_of(task)
                whole = [(tokens, left_out.cuts()) for tokens in outcome.fitted[task.name].parts]
                readings = zip(left_out.parts, map(left_out.cuts, left_out.shared), strict=True)
                for part, (tokens, own_cuts) in enumerate((*whole, *readings)):
                    cuts = self._cuts(task, tokens, own_cuts)
                    follow = self._follow(task, tokens, cuts, reduced=part >= len(whole))
                    for prompt in self._engine.prompts.ask(
                        task, self._first_questions(task), tokens, self._request.cache_key, cuts,
                        followed=follow is not None, alone=alone and follow is None,
                    ):  # fmt: skip
                        yield self._unit(Unit(prompt, document, best, explained, follow, same_bits, state=state))

    def _cuts(self, task: Task, tokens: Sequence[int], cuts: Sequence[int]) -> Sequence[int]:
        """Where a document is cut into spans: also before its end, where all of its last span would be too much for a
        pass, as it may be behind a question.
        """
        prompts, question = self._engine.prompts, self._first_questions(task)[0]
        if len(tokens) + prompts.row_overhead([question]) <= self._pass_tokens:
            return cuts
        if prompts.document_first(task, question, len(tokens)):
            return cuts
        return [*cuts, len(prompts.fenced(tokens)) - 1]

    def _unit(self, unit: Unit) -> Unit:
        """The unit, with what is to be read ahead of it where it takes more than a pass."""
        prompt, engine = unit.prompt, self._engine
        length = prompt.length
        long = engine.is_long(length - len(prompt.trie.tokens) + max(map(len, prompt.trie.labels)))
        ahead = prompt.ahead if length > self._pass_tokens else 0
        if not (ahead or long):
            return unit
        return replace(
            unit, ahead=ahead, long=long, chunk_tokens=engine.row_budget if ahead and unit.same_bits else None
        )

    @property
    def _pass_tokens(self) -> int:
        """Of a prompt, what is read in one piece: where bits matter, no matter of what was measured."""
        engine = self._engine
        return engine.row_budget if self._request.options.deterministic else engine.token_budget

    def count(self) -> tuple[list[int], int]:
        """Units of each document, and the tokens that all of them together ask for, without laying them."""
        prompts, units, asked = self._engine.prompts, [0] * len(self.outcomes), 0
        for task in self.tasks:
            asking = self._first_questions(task)
            lengths = [question.row_tokens for question in asking]
            around = sum(lengths) + len(lengths) * (prompts.row_overhead(asking) - max(lengths))
            for index, outcome in enumerate(self.outcomes):
                if isinstance(outcome, Reading):
                    fitted, left_out = outcome.fitted[task.name], outcome.left_out_of(task)
                    parts = len(fitted.parts) + len(left_out.parts)
                    units[index] += parts * len(lengths)
                    asked += parts * around + (fitted.tokens + left_out.tokens) * len(lengths)
        return units, asked

    def _first_questions(self, task: Task) -> tuple[Question, ...]:
        """Those that do not depend on an answer."""
        return self.questions[task.name] if task.tree is None else self.questions[task.name][:1]

    def _follow(self, task: Task, tokens: Sequence[int], cuts: Sequence[int], *, reduced: bool) -> Follow | None:
        """What depends on the answer to the first question about a part of a document, or about one `reduced` by a
        passage, which is read once: evidence is of the first reading.

        Where every label's figure counts, all nodes of a tree are asked about, as in `_exact_best`.
        """
        if task.name in self._again and not reduced:
            reverse = self._again[task.name]
            (question,) = self.questions[reverse.name]
            return SecondReading(
                task, reverse, question, self._engine.prompts, tokens, cuts, self._request.cache_key
            )  # fmt: skip
        if task.tree is None:
            return None
        options, decision = self._request.options, self.trees[task.name]
        in_pages, taught = options.long_document == "pages", task.name in self._taught
        whole = options.deterministic or options.return_raw or options.evidence or in_pages or taught
        return Expansion(
            task, decision, self._engine.prompts, self.questions[task.name], tokens, cuts, self._request.cache_key,
            options.unseen_mass, whole,
        )  # fmt: skip

    def _prepare(self) -> Iterator[int]:
        """All steps; each yields the characters that it was worth."""
        documents = sum(isinstance(document, Document) for document in self._documents)
        self._refuse_too_many(documents * sum(map(questions, self._request.tasks)))
        for task in (*self.tasks, *self._again.values()):
            yield from self._read_task(task)
        for first, second in self._again.items():  # both are to read the same of a document
            self._rooms[first] = self._rooms[second.name] = min(self._rooms[first], self._rooms[second.name])
        units = 0
        for document in self._documents:
            outcome = yield from self._read(document)
            self.outcomes.append(outcome)
            if isinstance(outcome, Reading):
                units += sum(
                    (len(outcome.fitted[task.name].parts) + len(outcome.left_out_of(task).parts)) * questions(task)
                    for task in self.tasks
                )
                self._refuse_too_many(units)

    def _read_task(self, task: Task) -> Iterator[int]:
        prompts, refuse = self._engine.prompts, partial(refuse_beyond, task, self._request.options, self._engine)
        asking = prompts.kept(task)
        if asking is None:
            refuse(*prompts.least_overheads(task))
            asking = yield from prompts.encode(task, lambda tokens: refuse(tokens, tokens))
        self._rooms[task.name] = room_of(task, asking, self._request.options, self._engine)
        self.questions[task.name] = asking
        # Not before: of work that is refused, nothing stays.
        prompts.keep(task, asking)

    def _read(self, document: Document | RejectedDocument) -> Generator[int, None, Reading | DocumentFailure]:
        if isinstance(document, RejectedDocument):
            return DocumentFailure(document.id, document.error)
        options = self._request.options
        in_pages = options.long_document == "pages"
        shown = _shown_pages(document.pages, options)
        texts = shown if in_pages else (_joined(shown, options),)
        pages, most_tokens = list[Sequence[int]](), max(self._rooms.values())
        for text in texts:
            page: Sequence[int] = ()
            if not in_pages or text.strip():
                page = yield from self._engine.prompts.document_steps(text, most_tokens)
            yield 1
            pages.append(page)
        try:
            if not any(pages):
                raise DocumentError("empty_text", "nothing in this text has a token for the model", document.field)
            fits = {
                room: fit(pages[0], pages, room, options.long_document, document.field)
                for room in set(self._rooms.values())
            }
        except DocumentError as error:
            return DocumentFailure(document.id, error.with_traceback(None))
        fitted = {name: fits[room] for name, room in self._rooms.items()}
        if options.split:
            fitted[BOUNDARY.name] = yield from self._joints(shown)
        left_out = dict[str, LeftOut]()
        if options.evidence and not in_pages:
            left_out = yield from self._left_out(document.pages, fitted)
        return Reading(document, fitted, left_out)

    def _left_out(self, pages: Sequence[str], fitted: dict[str, Fitted]) -> Generator[int, None, dict[str, LeftOut]]:
        """What is read without each passage; nothing of a document that was cut, where others would move up."""
        prompts, options = self._engine.prompts, self._request.options
        encoded = dict[Passage, tuple[int, ...]]()  # of all tasks: they may leave out the same
        left_out, shown = dict[str, LeftOut](), _shown_pages(pages, options)
        for task in self._request.tasks:
            whole = fitted[task.name]
            if whole.dropped:
                continue
            fenced = prompts.fenced(whole.parts[0])
            found, parts = list[Passage](), list[tuple[int, ...]]()
            for passage in passages(shown, whole.tokens, task, self.questions[task.name], prompts):
                if passage not in encoded:
                    text = _joined(_shown_pages(passage.left_out(pages), options), options)
                    encoded[passage] = as_tuple((yield from prompts.document_steps(text, self._rooms[task.name])))
                    yield 1
                if encoded[passage]:
                    found.append(passage)
                    parts.append(encoded[passage])
            shared = tuple(common(fenced, prompts.fenced(part)) for part in parts)
            left_out[task.name] = LeftOut(tuple(found), tuple(parts), shared)
        return left_out

    def _joints(self, pages: Sequence[str]) -> Generator[int, None, Fitted]:
        """What is asked about where pages join."""
        parts, of, room = list[tuple[int, ...]](), list[int](), self._rooms[BOUNDARY.name]
        for number, text in joints(pages):
            tokens = yield from self._engine.prompts.document_steps(text, room)
            yield 1
            if tokens:
                parts.append(as_tuple(tokens if len(tokens) <= room else tokens[:room]))
                of.append(number)
        return Fitted(tuple(parts), tuple(of), 0)

    def _refuse_too_many(self, units: int) -> None:
        if units > MAX_UNITS:
            raise RequestError(
                "too_large",
                f"{units} questions, one for each document (or page, with `long_document` 'pages') and task, with "
                f"`multi_label` one for each label; at most {MAX_UNITS}; send several requests",
                "documents",
            )

    def _explained(self, task: Task) -> Explained | None:
        # Yes or no needs no reason.
        options, version = self._request.options, self._engine.prompts.version
        if not options.explain or task.multi_label:
            return None
        return Explained(task, options, version, self._taught.get(task.name), self.trees.get(task.name))

    def _wants_state(self, task: Task) -> bool:
        """Whether what a head looks at beside scores is to be measured: for one that was taught, and for teaching."""
        taught = self._taught.get(task.name)
        asked = self._request.options.states and questions(task) <= MAX_STATE_QUESTIONS
        return asked or (taught is not None and taught.calibration.looks_at_state)

    def _exact_best(self, task: Task) -> int | None:
        """How many of a task's best labels must be exact; None for all.

        A prior can lift any label, and so can a task file; without the masked ones the others are the whole, and with
        pages a label's log-probabilities are summed: there every one counts. So it does for the expected level of a
        score, for what the order of the labels moves, and for evidence, which looks at the same label in every reading.
        Otherwise the margin needs two.
        """
        options = self._request.options
        if options.deterministic or options.return_raw or options.long_document == "pages" or options.second_reading:
            return None
        if options.evidence:
            return None
        if task.prior or task.mask or task.kind == "score" or task.name in self._taught or task.tree is not None:
            return None
        return max(2, options.top_k or 0)


def _joined(pages: Sequence[str], options: Options) -> str:
    """Pages that are read as one text."""
    return PAGE_BREAK.join(page for page in pages if page or not options.ignore_blank_pages)


def _shown_pages(pages: Sequence[str], options: Options) -> Sequence[str]:
    """The pages that are to be read, each in its place; what is not read of them is empty."""
    pages = pages if options.first_pages is None else pages[: options.first_pages]
    if options.ignore_blank_pages:
        said = [page if sum(map(str.isalnum, page)) >= BLANK_CHARS else "" for page in pages]
        # Where all of them are, it is for the others to say so.
        return said if any(said) else pages
    return pages
