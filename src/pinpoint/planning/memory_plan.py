"""What a model needs of a card, computed before anything is loaded; and what would fit where it does not.

    bound  = min(card − what others hold − buffer, PINPOINT_MAX_MEMORY_GB + driver)
    needed = driver + CUDA context + weights + prefix store
             + (scratch + activations(token budget) + kept keys and values(token budget)) with the allocator's slack

             (where documents are read in chunks: + their keys and values, and what attention takes to see them)

The token budget is the longest packed row for which `needed` stays within `bound`. It fits when that row holds at least
one prompt, and when the weights also fit while they are loaded, with the scratch that quantising them takes.

Torch-free arithmetic: `python -m pinpoint plan` runs anywhere. GB is 10⁹ bytes, GiB 2³⁰.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from pinpoint.planning.activations import (
    ANSWER_TOKENS,
    HALF,
    Activations,
    Precision,
    Stage,
    explanation,
    recorded_bytes,
    stages,
)
from pinpoint.planning.shape import ModelShape
from pinpoint.planning.weight_bytes import kv_bytes_per_token, weight_bytes_of
from pinpoint.settings import Settings

# From the most exact down: what "auto" tries in turn. FP8 takes what int8 takes, on fewer cards, and is asked for.
PRECISIONS: tuple[Precision, ...] = ("bf16", "int8", "nf4")

# Outside the allocator: CUDA's context with the kernels it loads, those of Triton and of a recorded step among them.
# 0.73 to 0.84 GB on an H200 with torch 2.11 (bench/gpu.py). An idle one has taken 0.55 GB on an H100 already.
CUDA_CONTEXT_BYTES = 1_000_000_000
# The caching allocator's blocks are larger than their tensors and not all of them are reused: by 19 to 21 % of a pass
# on an H200 (bench/gpu.py).
SLACK_PERCENT = 20
# Labels and instructions of one job as kept in the prefix store: 200 labels of some ten tokens. A store that has room
# for those of all jobs in flight needs no more, whatever the setting allows.
ROOT_TOKENS = 2048
STORE_BYTES: int = Settings.model_fields["prefix_store_bytes"].default
# The smallest pass worth starting for: a document of a page and its labels.
PROMPT_TOKENS = 2048
# Longer rows gain little: at 16 k tokens, casting each expert costs 6 % of the pass (arithmetic for an H200), and
# everyone in a row waits for all of it. Documents of up to 29 k tokens are known from the field, and should fit.
MAX_ROW_TOKENS = 32_768
# Places of the cache that recorded steps of reasons are over, at the usual token budget of 8,192, and the fewest worth
# keeping: 24 documents of 300 tokens, or 8 of 1,000, and one.
KEPT_REASON_PLACES, LEAST_REASON_PLACES = 14_336, 2048
# Row lengths are multiples of this, so that the figures are easy to compare.
ROW_STEP_TOKENS = 256
# What quantising takes beside the matrix that it is made of: float32 copies of a chunk (weights/int8.py), or statistics
# of a matrix (bitsandbytes). Chunks of 4 M elements twice in float32 are 34 MB.
QUANTISING_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Every term for one model on one card.

    Attributes:
        max_bytes: most that the worker may take, the driver's share aside; None where the operator set no bound.
        prompt_tokens: the row that must fit.
        fitting_tokens: the longest row that memory allows, 0 where not even the fixed terms fit.
        store_limit_bytes: most that the prefix store may hold, as the operator set it.
        kept_token_bytes: keys and values of all layers, per token of the row: what a pass copies for its next, for
            reasons to be written, and for the prefix store.
        loading_bytes: scratch while weights are loaded; nothing else of the pass is there then.
        others_bytes: what other processes hold of the card.
        activations: of products with int8 weights.
        recorded_bytes: what stays of small passes that are recorded; 0 where none are.
    """

    shape: ModelShape
    precision: Precision
    card_bytes: int
    driver_bytes: int
    buffer_bytes: int
    max_bytes: int | None
    concurrency: int
    prompt_tokens: int
    weight_bytes: int
    store_limit_bytes: int
    kept_token_bytes: int
    loading_bytes: int
    stages: tuple[Stage, ...]
    fitting_tokens: int
    others_bytes: int = 0
    activations: Activations = "compute"
    recorded_bytes: int = 0

    @property
    def bound_bytes(self) -> int:
        """What may be taken of the card, the driver's own share included."""
        return _bound_bytes(self.card_bytes - self.others_bytes, self.buffer_bytes, self.max_bytes, self.driver_bytes)

    @property
    def held_by_max(self) -> bool:
        """Whether it is `max_bytes` that binds, and not the card and its buffer."""
        return self.bound_bytes < self.card_bytes - self.others_bytes - self.buffer_bytes

    @property
    def store_bytes(self) -> int:
        """What the prefix store may hold: the operator's limit, or less where the jobs in flight need less."""
        return _store_bytes(self.shape, self.store_limit_bytes, self.concurrency)

    @property
    def fits(self) -> bool:
        """Whether the weights can be loaded and one prompt served."""
        return self.missing_bytes == 0

    @property
    def token_budget(self) -> int:
        """Most tokens of one forward pass; 0 where it does not fit."""
        if not self.fits:
            return 0
        stepped = min(self.fitting_tokens, MAX_ROW_TOKENS) // ROW_STEP_TOKENS * ROW_STEP_TOKENS
        return max(stepped, self.prompt_tokens)

    @property
    def missing_bytes(self) -> int:
        """How much more the bound would have to be for one prompt; 0 where it fits."""
        return max(0, self.needed_bytes(self.prompt_tokens) - self.bound_bytes)

    @property
    def planned_bytes(self) -> int:
        """What is taken at most: at the token budget, or where it does not fit, for one prompt."""
        tokens = self.token_budget or self.prompt_tokens
        return self.needed_bytes(tokens) + self.kept_reason_bytes(tokens)

    def read_tokens(self, pass_tokens: int) -> int:
        """Longest prompt that is read where passes take so many tokens, in chunks if it is longer than a pass.

        It is the model's context, or as much of it as memory holds of keys and values beside a pass; 0 where nothing
        fits. All documents that are read in chunks at the same time have no more tokens than that together.
        """
        context = self.shape.context_tokens
        tokens = min(pass_tokens, self.token_budget)
        if tokens >= context or not tokens:
            return min(tokens, context)
        steps = range(context // ROW_STEP_TOKENS + 1)
        held = bisect_right(steps, self.bound_bytes, key=lambda step: self.needed_bytes(tokens, step * ROW_STEP_TOKENS))
        if self.needed_bytes(tokens, context) <= self.bound_bytes:
            return context
        return max(tokens, (held - 1) * ROW_STEP_TOKENS)

    def needed_bytes(self, tokens: int, held_tokens: int = 0) -> int:
        """What a worker takes at most that loads the model and runs rows of `tokens`, which may see `held_tokens` of
        documents that are read in chunks.
        """
        working = with_slack(self.pass_bytes(tokens, held_tokens))
        return self._resident_bytes + max(self.loading_bytes, self.store_bytes + self.recorded_bytes + working)

    def pass_bytes(self, tokens: int, held_tokens: int = 0) -> int:
        """What one forward pass, or what is done with what it kept, adds to the resident bytes, the slack aside, with
        the keys and values of documents that are read in chunks.
        """
        kept = self.kept_token_bytes * (tokens + held_tokens)
        return kept + max(stage.peak_bytes(tokens, held_tokens) for stage in self.stages)

    def reason_places(self, tokens: int) -> int:
        """Places in all that the caches of reasons which are written together may have, beside a pass of `tokens`."""
        return tokens + ANSWER_TOKENS + self.store_bytes // self.kept_token_bytes

    def kept_reason_places(self, tokens: int) -> int:
        """Places of the cache that recorded steps of reasons are over, which stays: of what a worker that runs rows of
        `tokens` leaves over, documents in chunks read, so that it costs none a token; 0 where that is too little.
        """
        read = self.read_tokens(tokens)
        left_bytes = self.bound_bytes - self.needed_bytes(tokens, read if read > tokens else 0)
        places = min(KEPT_REASON_PLACES, tokens * KEPT_REASON_PLACES // 8192, left_bytes // self.kept_token_bytes)
        return places if places >= LEAST_REASON_PLACES else 0

    def kept_reason_bytes(self, tokens: int) -> int:
        """Of this cache."""
        return self.kept_token_bytes * self.kept_reason_places(tokens)

    @property
    def _resident_bytes(self) -> int:
        return self.driver_bytes + CUDA_CONTEXT_BYTES + self.weight_bytes


def plan(
    shape: ModelShape,
    precision: Precision,
    card_bytes: int,
    buffer_bytes: int,
    max_bytes: int | None = None,
    concurrency: int = 4,
    *,
    driver_bytes: int = 0,
    prompt_tokens: int = PROMPT_TOKENS,
    store_bytes: int = STORE_BYTES,
    others_bytes: int = 0,
    activations: Activations = "compute",
) -> MemoryPlan:
    """Plan `shape` at `precision` on a card.

    Args:
        shape: the model.
        precision: of linear layers and experts.
        card_bytes: the card's total; with nvidia-smi's figure give `driver_bytes` too, with CUDA's leave it at 0.
        buffer_bytes: must stay free.
        max_bytes: the worker takes no more than this, whatever the card has.
        concurrency: jobs in flight, each with labels of its own in the prefix store.
        driver_bytes: what the driver keeps of `card_bytes`.
        prompt_tokens: the row that must fit at least.
        store_bytes: most that the prefix store may hold, PINPOINT_PREFIX_STORE_BYTES.
        others_bytes: what other processes hold of the card.
        activations: of products with int8 weights.
    """
    kept_token_bytes = kv_bytes_per_token(shape)
    stored = _store_bytes(shape, store_bytes, concurrency)
    stored_tokens = stored // kept_token_bytes
    found = (
        *stages(shape, precision, stored_tokens, activations=activations),
        explanation(shape, precision, stored_tokens),
    )
    largest = max(matrix.tensor_elements for matrix in shape.matrices)
    bound = _bound_bytes(card_bytes - others_bytes, buffer_bytes, max_bytes, driver_bytes)
    weight_bytes = weight_bytes_of(shape, precision)
    room = bound - driver_bytes - CUDA_CONTEXT_BYTES - weight_bytes - stored

    def fitting(room_bytes: int) -> int:
        working = room_bytes * 100 // (100 + SLACK_PERCENT)
        rows = ((working - stage.fixed_bytes) // (stage.token_bytes + kept_token_bytes) for stage in found)
        return max(0, min(rows))

    recorded = recorded_bytes(shape, precision, activations)
    if fitting(room - recorded) < prompt_tokens:  # what makes passes faster costs nobody a card
        recorded = 0
    return MemoryPlan(
        shape=shape,
        precision=precision,
        card_bytes=card_bytes,
        driver_bytes=driver_bytes,
        buffer_bytes=buffer_bytes,
        max_bytes=max_bytes,
        concurrency=concurrency,
        prompt_tokens=prompt_tokens,
        weight_bytes=weight_bytes,
        store_limit_bytes=store_bytes,
        kept_token_bytes=kept_token_bytes,
        # As it arrives; where experts are stored one by one, less. Fused in bf16, it is there twice and stays once.
        loading_bytes=HALF * largest + (0 if precision == "bf16" else QUANTISING_BYTES),
        stages=found,
        fitting_tokens=fitting(room - recorded),
        others_bytes=others_bytes,
        activations=activations,
        recorded_bytes=recorded,
    )


def choose_precision(
    shape: ModelShape,
    card_bytes: int,
    buffer_bytes: int,
    max_bytes: int | None = None,
    concurrency: int = 4,
    *,
    driver_bytes: int = 0,
    prompt_tokens: int = PROMPT_TOKENS,
    store_bytes: int = STORE_BYTES,
    activations: Activations = "compute",
) -> MemoryPlan:
    """The plan of the highest precision that fits; of the lowest where none does. Arguments as for `plan`."""
    for precision in [each for each in PRECISIONS if each in shape.precisions]:
        tried = plan(
            shape, precision, card_bytes, buffer_bytes, max_bytes, concurrency,
            driver_bytes=driver_bytes, prompt_tokens=prompt_tokens, store_bytes=store_bytes, activations=activations,
        )  # fmt: skip
        if tried.fits:
            break
    return tried


def _store_bytes(shape: ModelShape, limit_bytes: int, concurrency: int) -> int:
    return min(limit_bytes, concurrency * ROOT_TOKENS * kv_bytes_per_token(shape))


def _bound_bytes(card_bytes: int, buffer_bytes: int, max_bytes: int | None, driver_bytes: int) -> int:
    free = card_bytes - buffer_bytes
    return free if max_bytes is None else min(free, max_bytes + driver_bytes)


def with_slack(working_bytes: int) -> int:
    """With what the allocator takes beyond the tensors themselves."""
    return -(-working_bytes * (100 + SLACK_PERCENT) // 100)
