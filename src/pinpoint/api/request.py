"""From the raw `input` of a job to documents and tasks, or to one RequestError with a code and a field path.

    raw ── check_bounds ── exactly one form ── schema.validate ── limits and labels ── Request
           (limits)        (here)              (schema)           (build)

Messages never repeat what the caller sent: it may be confidential, and logs and job lists are not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pinpoint.api.adapters import parse_zero_shot
from pinpoint.api.asked import Asked
from pinpoint.api.build import OF_FILES, build_documents, build_from_fields, check_name, refuse_nothing
from pinpoint.api.decisions import parse_decisions
from pinpoint.api.deployed import NOTHING, Deployed
from pinpoint.api.limits import ROOT, Limits, check_bounds, join, kind_of
from pinpoint.api.schema import BACK_OFF, UNSEEN_MASS, JobFields, OptionFields, TaskFields
from pinpoint.api.systemone import parse_systemone
from pinpoint.api.teach import Lesson, asked_of, parse_lesson
from pinpoint.api.typed_tasks import build_typed_task
from pinpoint.api.validation import validate
from pinpoint.api.ways import Way, find_way
from pinpoint.documents.text import Document, File, RejectedDocument
from pinpoint.errors import RequestError
from pinpoint.prompting.taxonomy import Task

__all__ = ["Limits", "Options", "Request", "parse_request"]

SHORT_FORM_TASK = "category"
# Structured content may be 32 levels deep and hold 10,000 values, by OpenAI's types; around it there are a few more.
FORMAT_DEPTH, FORMAT_FIELDS = 48, 10_000
_DOCUMENT_FORMS = ("text", "pages", "url", "base64")
_DOCUMENTS_FORMS = (*_DOCUMENT_FORMS, "documents")
_TASKS_FORMS = ("labels", "tasks", "taxonomy")
_OF_THE_SHORT_FORM = ("multi_label", "instructions", "mask", "prior", "labels_first")


@dataclass(frozen=True, slots=True)
class Options:
    """How answers are cut, decided and reported; the same for all documents of a job.

    `states` is no part of the wire: it asks for `Answer.state`.
    """

    top_k: int | None = None
    threshold: float | None = None
    long_document: Literal["pages", "head_tail", "error"] = "head_tail"
    explain: bool = False
    evidence: bool = False
    deterministic: bool = False
    return_raw: bool = False
    split: bool = False
    first_pages: int | None = None
    ignore_blank_pages: bool = False
    page_vote: Literal["sum", "majority", "evidence"] = "sum"
    second_reading: bool = False
    target_error: float | None = None
    confidence_level: float | None = None
    alpha: float | None = None
    unseen_mass: float = UNSEEN_MASS
    back_off: float = BACK_OFF
    states: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A job that can be served; documents that cannot stand among the others with their error.

    `single` and `sequences` (the texts as they came) matter to the zero-shot shape alone, which echoes them, and
    `asked` to the decision formats, `lesson` to what is to be taught.
    """

    documents: tuple[Document | RejectedDocument | File, ...]
    tasks: tuple[Task, ...]
    options: Options = Options()
    shape: Literal["pinpoint", "zero_shot", "decisions", "systemone", "teach"] = "pinpoint"
    single: bool = False
    warnings: tuple[str, ...] = ()
    sequences: tuple[str, ...] = ()
    asked: Asked | None = None
    lesson: Lesson | None = None

    @property
    def cache_key(self) -> str:
        """Whose part of the prefix store is used; empty for everybody's."""
        return "" if self.asked is None else self.asked.cache_key

    @property
    def has_files(self) -> bool:
        """Whether there are documents to be read before anything can be asked about them."""
        return any(isinstance(document, File) for document in self.documents)


def parse_request(raw: object, limits: Limits = Limits(), deployed: Deployed = NOTHING) -> Request:  # noqa: B008 - frozen, so safe to share
    """Return the request that `raw`, the value of a job's `input`, stands for; `deployed` are taxonomies it may name.

    Raises RequestError for the first thing wrong with it.
    """
    if not isinstance(raw, dict):
        raise RequestError("invalid_request", f"must be an object, not {kind_of(raw)}", ROOT)
    way = find_way(raw)
    if way.shape in ("decisions", "systemone"):
        return _parse_decisions(way, limits)
    if way.shape == "teach":
        check_bounds(way.body, limits)
        documents, lesson, warnings = parse_lesson(way.body, limits, deployed)
        return Request(
            documents,
            (asked_of(lesson),),
            Options(return_raw=True, states=True),
            "teach",
            warnings=warnings,
            lesson=lesson,
        )
    if way.shape == "models":
        raise RequestError("invalid_request", "a list of models is no question", ROOT)
    raw = way.body
    if not isinstance(raw, dict):
        raise RequestError("invalid_request", f"must be an object, not {kind_of(raw)}", ROOT)
    check_bounds(raw, limits)
    return _parse_zero_shot(raw, limits) if "inputs" in raw else _parse_job(raw, limits, deployed)


def _parse_decisions(way: Way, limits: Limits) -> Request:
    """A document that does not fit is refused: neither format has a place to say that it was cut."""
    check_bounds(way.body, replace(limits, max_depth=FORMAT_DEPTH, max_fields=FORMAT_FIELDS))
    asked = (parse_decisions if way.shape == "decisions" else parse_systemone)(way.body, limits)
    return Request(
        documents=asked.documents,
        tasks=asked.tasks,
        options=Options(long_document="error"),
        shape="decisions" if way.shape == "decisions" else "systemone",
        warnings=asked.warnings,
        asked=asked,
    )


def _parse_zero_shot(raw: dict[str, object], limits: Limits) -> Request:
    parsed = parse_zero_shot(raw, limits)
    return Request(
        documents=parsed.documents,
        tasks=(parsed.task,),
        shape="zero_shot",
        single=parsed.single,
        warnings=parsed.warnings,
        sequences=parsed.sequences,
    )


def _parse_job(raw: dict[str, object], limits: Limits, deployed: Deployed) -> Request:
    _refuse_conflicts(raw)
    fields = validate(JobFields, raw)
    _require_one(fields.model_fields_set, _DOCUMENTS_FORMS, ROOT)
    _require_one(fields.model_fields_set, _TASKS_FORMS, ROOT)
    documents = _documents(fields, limits)
    refuse_nothing(documents)
    tasks, warnings = _tasks(fields, limits, deployed)
    options = _options(fields.options)
    if options.evidence:
        _refuse_evidence(options, tasks)
    if options.explain and (options.long_document == "pages" or options.second_reading):
        raise RequestError(
            "conflicting_fields",
            "a reason is given for one reading of the document; with it, set `long_document` to 'head_tail' or "
            "'error', and leave out `second_reading`",
            "options.explain",
        )
    return Request(documents=documents, tasks=tasks, options=options, warnings=tuple(warnings))


def _refuse_evidence(options: Options, tasks: tuple[Task, ...]) -> None:
    """Refuse evidence where there is no one answer for it to move."""
    for task in tasks:
        if task.multi_label and task.kind == "choice":
            raise RequestError(
                "conflicting_fields",
                "evidence is for one answer, and with `multi_label` each label has its own; ask those that matter as "
                "tasks of the type 'yes_no', or leave this out",
                "options.explain",
            )
    if options.page_vote != "sum":
        raise RequestError(
            "conflicting_fields",
            "a vote of pages has no log-odds to lose; leave this out, or `explain`: 'evidence'",
            "options.page_vote",
        )


def _refuse_conflicts(raw: dict[str, object]) -> None:
    """Two forms of one thing are a conflict even where one of them is not served yet."""
    _at_most_one(raw, _DOCUMENTS_FORMS, ROOT)
    _at_most_one(raw, _TASKS_FORMS, ROOT)
    members = raw.get("documents")
    for index, member in enumerate(members if isinstance(members, list) else ()):
        if isinstance(member, dict):
            _at_most_one(member, _DOCUMENT_FORMS, join("documents", index))
    if "tasks" in raw:
        for field in raw:
            if field in _OF_THE_SHORT_FORM:
                raise RequestError(
                    "conflicting_fields",
                    "goes with `labels` or `taxonomy`; inside `tasks`, each task has its own",
                    field,
                )


def _at_most_one(raw: dict[str, object], forms: tuple[str, ...], parent: str) -> None:
    given = [field for field in raw if field in forms]
    if len(given) > 1:
        raise RequestError("conflicting_fields", f"send either this or `{given[0]}`, not both", join(parent, given[1]))


def _require_one(given: set[str], forms: tuple[str, ...], parent: str) -> None:
    if given.isdisjoint(forms):
        served = [form for form in forms if form in JobFields.model_fields]
        raise RequestError("missing_field", f"send one of {', '.join(served)}", join(parent, forms[0]))


def _documents(fields: JobFields, limits: Limits) -> tuple[Document | RejectedDocument | File, ...]:
    if "documents" in fields.model_fields_set:
        for about in OF_FILES:
            if about in fields.model_fields_set:
                raise RequestError("conflicting_fields", "inside `documents`, each file has its own", about)
    else:
        return (build_from_fields("0", 0, fields, ROOT, limits),)
    if not fields.documents:
        raise RequestError("missing_field", "the list is empty; send at least one document", "documents")
    for index, member in enumerate(fields.documents):
        _require_one(member.model_fields_set, _DOCUMENT_FORMS, join("documents", index))
    return build_documents(fields.documents, limits)


def _tasks(fields: JobFields, limits: Limits, deployed: Deployed) -> tuple[tuple[Task, ...], list[str]]:
    if "tasks" not in fields.model_fields_set:
        given = fields.model_fields_set & {"labels", "taxonomy", *_OF_THE_SHORT_FORM}
        short = TaskFields.model_construct(given, **{name: getattr(fields, name) for name in given})
        task, warnings = build_typed_task(SHORT_FORM_TASK, short, limits, "", deployed)
        return (task,), warnings
    if not fields.tasks:
        raise RequestError("missing_field", "there is no task in it; send at least one", "tasks")
    if len(fields.tasks) > limits.max_tasks:
        raise RequestError("too_large", f"{len(fields.tasks)} tasks, at most {limits.max_tasks} in a request", "tasks")
    tasks, warnings = [], []
    for name, task_fields in fields.tasks.items():
        parent = join("tasks", name)
        check_name(name, parent, limits.max_id_chars, kind="name of a task")
        task, found = build_typed_task(name, task_fields, limits, parent, deployed)
        tasks.append(task)
        warnings += found
    return tuple(tasks), warnings


def _options(fields: OptionFields) -> Options:
    """The options; what is said of pages is said of a document that is read page by page."""
    given = fields.model_dump()
    explain = given.pop("explain")
    options = Options(**given, explain=explain in (True, "text"), evidence=explain == "evidence")
    if options.split:
        if "long_document" in fields.model_fields_set and options.long_document != "pages":
            raise RequestError(
                "conflicting_fields",
                "a file that is split is read page by page; leave this out",
                "options.long_document",
            )
        options = replace(options, long_document="pages")
    if options.target_error is not None and options.threshold is not None:
        raise RequestError(
            "conflicting_fields", "an error rate has a threshold of its own; send one of the two", "options.threshold"
        )
    if options.confidence_level is not None and options.target_error is None:
        raise RequestError("conflicting_fields", "goes with `target_error`", "options.confidence_level")
    if options.page_vote != "sum" and options.long_document != "pages":
        raise RequestError(
            "conflicting_fields", "pages vote where `long_document` is 'pages', or with `split`", "options.page_vote"
        )
    return options
