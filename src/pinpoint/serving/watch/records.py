"""What is noted of a job and of a forward pass when they end: ids, counts, times and bytes, never text."""

from __future__ import annotations

from dataclasses import dataclass

from pinpoint.engine.readings import Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job that has ended.

    Attributes:
        job_id: the platform's.
        code: of the error that failed the whole job; None where it was answered.
        field: path of the field at fault.
        documents: documents in the job, those that failed alone included.
        failed_documents: of them, those that failed alone.
        tokens_asked: tokens of every prompt with its labels, as if each were read alone.
        tokens_computed: the job's share of the tokens that went through the model.
        batches: forward passes that the job had a part in.
        response_bytes: of the serialised answer.
        encode_ms: making units of its documents; a part of `queue_ms`.
        queue_ms: from the handler's call until the job's first forward pass began.
        forward_ms: forward passes that the job had a part in, all together.
        decide_ms: from its last forward pass until its answer.
        total_ms: from the handler's call until its answer.
    """

    job_id: str
    code: str | None = None
    field: str | None = None
    documents: int = 0
    failed_documents: int = 0
    tokens_asked: int = 0
    tokens_computed: int = 0
    batches: int = 0
    response_bytes: int = 0
    encode_ms: float = 0.0
    queue_ms: float = 0.0
    forward_ms: float = 0.0
    decide_ms: float = 0.0
    total_ms: float = 0.0
    memory: Memory | None = None

    @property
    def outside_ms(self) -> float:
        """What the worker itself took: neither waiting for the engine nor computing."""
        return max(0.0, self.total_ms - self.queue_ms - self.forward_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """A forward pass that has ended.

    Attributes:
        jobs: how many jobs shared it.
        documents: documents of which it measured something.
        asks: questions about documents, the units that batches are made of.
        code: of the error that it ended with, `out_of_memory` among them; None where it was measured.
        tokens_asked: tokens of every prompt with its labels, as if each were read alone.
        tokens_computed: tokens that went through the model.
        tokens_written: tokens of explanations.
        queue_ms: the longest that any of its jobs waited for it.
        forward_ms: the pass, without explanations.
        decode_ms: writing explanations.
        store_bytes: what the prefix store holds after it, which is meant to be held.
        held_bytes: so is what is read of documents in chunks.
    """

    jobs: int = 1
    documents: int = 0
    asks: int = 0
    code: str | None = None
    tokens_asked: int = 0
    tokens_computed: int = 0
    tokens_written: int = 0
    queue_ms: float = 0.0
    forward_ms: float = 0.0
    decode_ms: float = 0.0
    store_bytes: int = 0
    held_bytes: int = 0
    memory: Memory | None = None

    @property
    def drift_bytes(self) -> int | None:
        """Allocated beyond the baseline and what is meant to be held."""
        if self.memory is None:
            return None
        return self.memory.allocated_bytes - self.memory.baseline_bytes - self.store_bytes - self.held_bytes
