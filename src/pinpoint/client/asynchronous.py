"""The client for programs with an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pinpoint.client.documents import FORMS, Document, Label, Question
from pinpoint.client.jobs import Gathered, Jobs, first_of, packed
from pinpoint.client.limiter import Limiter
from pinpoint.client.queue import QueueTransport
from pinpoint.client.results import Result, Results
from pinpoint.client.retries import Retries, check_number
from pinpoint.client.server import ServerTransport
from pinpoint.client.transport import Transport
from pinpoint.errors import DocumentError, RequestError

TIMEOUT_S = 600.0  # what the platform gives a job
Given = str | Path | Mapping[str, Any]


class AsyncPinpoint:
    """Classifies documents by an endpoint, a server, or a model in this process. Belongs to one event loop.

    ```python
    async with AsyncPinpoint(endpoint="abc123") as pinpoint:
        results = await pinpoint.classify(["Invoice no. 7 …"], ["invoice", "receipt"])
    ```
    """

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        url: str | None = None,
        api_key: str | None = None,
        timeout_s: float | None = TIMEOUT_S,
        retries: Retries | None = None,
        parallel: int = 8,
        job_documents: int | None = None,
    ) -> None:
        """Nothing is connected or loaded yet.

        Args:
            endpoint: the id of a queue-based endpoint on RunPod.
            url: or the address of a server: `python -m pinpoint serve`, a load-balancing endpoint. Without either, the
                model of MODEL_NAME, or the embedded one, runs in this process.
            api_key: RUNPOD_API_KEY if not given; for a server PINPOINT_API_KEY.
            timeout_s: for a job, or for one try at a server; None for as long as it takes.
            retries: of calls that fail in passing.
            parallel: jobs in flight, at most; fewer when the service is busy.
            job_documents: in one job, at most.

        Raises:
            ClientError: no key, or no endpoint that could be one.
            RequestError: both `endpoint` and `url`, or a value that cannot be one.
        """
        if timeout_s is not None:
            check_number("timeout_s", timeout_s, above=0)
        check_number("parallel", parallel, at_least=1, whole=True)
        if job_documents is not None:
            check_number("job_documents", job_documents, at_least=1, whole=True)
        self.transport = make_transport(endpoint, url, api_key, timeout_s, retries, wait=True)
        self._retries = retries
        self._limiter = Limiter(min(parallel, self.transport.at_once))
        self._job_documents = job_documents

    async def classify(
        self,
        documents: Given | Sequence[Given],
        labels: Sequence[Label] | None = None,
        *,
        tasks: Mapping[str, Any] | None = None,
        taxonomy: str | None = None,
        instructions: str | None = None,
        multi_label: bool = False,
        labels_first: bool = False,
        **options: Any,
    ) -> Results:
        """Ask about one document or many; many are put into as many jobs as they need.

        Args:
            documents: a text, a `Path` whose file is sent, or a document of docs/api.md as a dict; or a list of these.
            labels: names, or labels of docs/api.md.
            tasks: several questions instead of `labels`, by name.
            taxonomy: or the name of one that is deployed where the model is.
            instructions: what the question is about.
            multi_label: each label is answered for itself.
            labels_first: the model reads the labels before the document, which is faster with long lists.
            options: of docs/api.md: `threshold`, `top_k`, …

        Raises:
            RequestError: the question is refused.
            ClientError: the service cannot be asked.
            DocumentError: a file cannot be read. What a worker finds wrong with a document is its result's `error`.
        """
        question = Question.of(
            labels,
            tasks=tasks,
            taxonomy=taxonomy,
            instructions=instructions,
            multi_label=multi_label,
            labels_first=labels_first,
            options=options,
        )
        if isinstance(documents, bytes | bytearray) or not isinstance(documents, Iterable | Path):
            raise RequestError("wrong_type", "documents are a text, a Path, a dict, or a list of these", "documents")
        given = [documents] if isinstance(documents, (str, Path, Mapping)) else list(documents)
        if not given:
            return Results(())
        encoded = await asyncio.to_thread(lambda: [_document(place, one) for place, one in enumerate(given)])
        jobs, gathered = Jobs(self.transport, question, self._limiter, self._retries), Gathered()
        sizes = {} if self._job_documents is None else {"most": self._job_documents}
        running = [asyncio.ensure_future(jobs.run(job, gathered)) for job in packed(encoded, **sizes)]
        try:
            await asyncio.gather(*running)
        except BaseException as error:
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            raise first_of(error) from None
        outcomes = gathered.in_order(encoded)
        results = [Result.of(wire) for outcome in outcomes for wire in outcome.results]
        counts = jobs.counts
        return Results(tuple(results), counts.prompt_tokens, counts.cached_tokens, counts.model, counts.jobs)

    async def close(self) -> None:
        """Give back connections."""
        await self.transport.close()

    async def __aenter__(self) -> AsyncPinpoint:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def make_transport(
    endpoint: str | None, url: str | None, api_key: str | None, timeout_s: float | None, retries: Retries | None,
    *, wait: bool,
) -> Transport:  # fmt: skip
    """The way to a model. Raises ClientError, and RequestError for two ways."""
    for name, given in (("endpoint", endpoint), ("url", url), ("api_key", api_key)):
        if given is not None and not isinstance(given, str):
            raise RequestError("wrong_type", f"{name} is a string", name)
    if retries is not None and not isinstance(retries, Retries):
        raise RequestError("wrong_type", "retries is a Retries(…)", "retries")
    if endpoint is not None and url is not None:
        raise RequestError("conflicting_fields", "an endpoint or the address of a server, not both", "url")
    if endpoint is not None:
        return QueueTransport(endpoint, api_key, retries, timeout_s, wait=wait)
    if url is not None:
        return ServerTransport(url, api_key, retries, timeout_s)
    from pinpoint.client.local import LocalTransport

    return LocalTransport()


def _document(place: int, given: Given) -> Document:
    """Encode a document. Raises RequestError, and DocumentError for a file."""
    if isinstance(given, str):
        return Document.of(str(place), {"text": given})
    if isinstance(given, Path):
        try:
            return Document.of_file(str(given), given.read_bytes(), given.name)
        except OSError as error:
            raise DocumentError("file_damaged", f"cannot be read: {error.strerror}", str(given)) from None
    field = f"documents[{place}]"
    if not isinstance(given, Mapping):
        raise RequestError("wrong_type", "a document is a text, a Path or a dict", field)
    if sum(given.get(form) is not None for form in FORMS) != 1:
        raise RequestError("missing_field", f"a document has one of {', '.join(FORMS)}", field)
    fields = dict(given)
    try:
        name = fields.pop("id", None)
        return Document.of(str(place if name is None else name), fields)
    except (TypeError, ValueError, RecursionError):
        raise RequestError("wrong_type", "a document's fields are JSON", field) from None
