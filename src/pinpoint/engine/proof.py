"""The proof at load: what is served is what the model computes, shown on this machine before the first job.

A fixed forest is scored by the packed way, as jobs are, and read by transformers' own forward pass of the same weights
in the same dtype, prompt by prompt (`forward/plain.py`). It has three documents of different lengths, two questions,
labels that begin other labels, beginnings that are kept for the next pass, and, where there is room, a prompt longer
than any window that the configuration names. It is computed in company, its store cold and then warm, and one document
of it alone:

* led along the plain way (`forward/forced.py`): each stage of each layer, within a few roundings of the dtype;
* left to itself, as jobs are: the scores. In float32 these alone would do; in bfloat16 two right ways drift apart.

Both sides have the weights from the same modules, so what is in these is looked at first:

* some rows of each tensor, against what its file has there (`loading/read_back.py`);
* every kind of quantised module by itself, against its products written out (`weights/product_proof.py`).

What it does not show is how good 8 and 4 bits are beside 16.
"""

from __future__ import annotations

import logging
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from pinpoint.engine import gpu
from pinpoint.engine.forward import frequencies
from pinpoint.engine.forward.forced import Forced, Seen
from pinpoint.engine.forward.plain import Plain, one_thread
from pinpoint.engine.loading import read_back
from pinpoint.engine.proof_parts import (
    FREE,
    SCORES,
    TOLERANCE,
    TOLERANCE_OF_8_BITS,
    WEIGHTS,
    Part,
    Proof,
    in_words,
)
from pinpoint.engine.weights import plainly, product_proof
from pinpoint.errors import CapacityError, ModelError, OutOfMemory
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.span_tree import NO_PARENT, Forest

if TYPE_CHECKING:
    from pinpoint.engine.scorer import Scorer

log = logging.getLogger("pinpoint")

ROOT_TOKENS, QUESTION_TOKENS, DOCUMENT_TOKENS, OTHER_TOKENS = 8, 6, (5, 24, 48), 9
LABEL_TOKENS = 2  # of the longest label of each question
Path = tuple[tuple[int, ...], ...]  # the tokens of each span from the root
Labels = tuple[tuple[int, ...], ...]
Question = tuple[Path, Labels]
# Beyond a window or a change of frequencies, so many tokens more.
BEYOND_TOKENS = 16
# On a CPU, where models are tried out, a longer prompt would take longer than loading.
LONGEST_ON_CPU_TOKENS = 1024
WINDOWS = ("sliding_window", "sliding_window_size", "attention_chunk_size")
TEXT = "Invoice no. 4711 of 14 March 2025: three filing cabinets, net 30 days. Thank you for your business! "


def prove(scorer: Scorer) -> Proof:
    """Examine a model and refuse it where a stage is out of its tolerance.

    Raises:
        ModelError: `model_unproven`, with the stage and the number.
        CapacityError: it does not fit, whatever the plan says.
    """
    found = examine(scorer)
    if found.wrong is not None:
        raise ModelError("model_unproven", in_words(found.wrong, found.dtype), "MODEL_NAME")
    return found


def examine(scorer: Scorer) -> Proof:
    """Compare both ways, and log a line.

    Raises:
        ModelError: `model_unproven`: it cannot be read the plain way.
        CapacityError: it does not fit, whatever the plan says.
    """
    full = False
    try:
        with gpu.device_errors(), gpu.failures_refused(_fails_alone), one_thread(scorer.loaded.model):
            found = compare(scorer)
    except OutOfMemory:
        full = True
    finally:
        scorer.store.clear()
    if scorer.on_card:
        gpu.release()  # what was recorded must be gone before the baseline of memory is taken
    if full:
        raise CapacityError(
            "warm_up_out_of_memory",
            "the passes that prove the model before its first job ran out of memory; lower PINPOINT_TOKEN_BUDGET",
            "PINPOINT_TOKEN_BUDGET",
        )
    farthest = max(found.parts, key=lambda part: part.share)
    log.info(
        "%s: dtype=%s sequences=%d tokens=%d longest_tokens=%d%s tensors=%d left_out=%d products=%d farthest=%r "
        "layer=%s apart=%.1e tolerance=%.0e weights_s=%.2f products_s=%.2f seconds=%.2f",
        "proved" if found.wrong is None else "not proved", found.dtype, found.sequences, found.tokens,
        found.longest_tokens, "".join(f" not_reached={limit}" for limit in found.unreached), found.tensors,
        found.tensors_left_out, found.products, farthest.stage, farthest.layer, farthest.apart, farthest.tolerance,
        found.weights_seconds, found.products_seconds, found.seconds,
    )  # fmt: skip
    return found


def compare(scorer: Scorer) -> Proof:
    """Score the fixed forest and read its prompts, and say how far apart each stage is."""
    began = time.monotonic()
    loaded, stop = scorer.loaded, scorer.prompts.encoder.stop
    exact = loaded.compute_dtype == torch.float32
    tolerance = TOLERANCE[loaded.compute_dtype]
    if any(map(plainly.rounds, loaded.model.modules())):
        exact, tolerance = False, tolerance | TOLERANCE_OF_8_BITS
    questions = fixed_questions(scorer)
    if len(questions) < 2:  # one in company, and one alone
        raise ModelError(
            "model_unproven",
            f"a context of {scorer.context_tokens} tokens holds no prompts to prove it by; use another model",
            "MODEL_NAME",
        )
    plain, calls = Plain(loaded.model), product_proof.Calls()
    with calls.watching(loaded.model):
        expected = [_read(plain, *question, stop) for question in questions]
    limits = sorted(_limits(loaded.model))
    reached = [limit for limit in limits if _has_room(scorer, plain, limit)]
    longest = max(sum(map(len, prompt)) for prompt, _ in questions)
    if reached and reached[-1] + BEYOND_TOKENS > longest:
        longest = reached[-1] + BEYOND_TOKENS
        questions.append((_far(questions[0][0], longest), questions[0][1]))
        expected.append(_read(plain, *questions[-1], stop))
    forced = Forced(loaded.model, plain)
    together, alone = (_forest(some, stop) for some in (questions, questions[1:2]))
    read = None if loaded.folder is None else read_back.compare(loaded.model, loaded.folder)
    products_began = time.monotonic()
    parts = [] if read is None else [Part(WEIGHTS, read.farthest, None, read.apart, tolerance[WEIGHTS])]
    with gpu.failures_refused(_product_fails):
        products = product_proof.compare(loaded.model, loaded.compute_dtype, scorer.token_budget, calls)
    for one in products:
        parts.append(Part(one.stage, f"{one.module}, {one.rows} rows", None, float(one.apart), tolerance[one.stage]))
    products_seconds = time.monotonic() - products_began
    for company, forest, told, led, cold in (
        ("in company", together, expected, True, True),
        ("in company, its beginning kept", together, expected, True, False),
        ("in company, its beginning kept", together, expected, False, False),
        ("alone", alone, expected[1:2], True, True),
        ("alone", alone, expected[1:2], False, True),
    ):
        if led and company == "alone" and exact:
            continue  # the scores say it all
        if cold:
            scorer.store.clear()
        with forced.leading() if led else nullcontext():
            scored = [ask.log_probs for ask in scorer._score(forest, explain=False).scores]
        parts += _parts(exact, tolerance, company, forced.take(), scored, told, led)
    stages = [stage for stage in tolerance if any(part.stage == stage for part in parts)]
    worst = {stage: max((p for p in parts if p.stage == stage), key=lambda p: p.share) for stage in stages}
    return Proof(
        parts=tuple(worst.values()),
        wrong=next((part for part in parts if not part.holds), None),
        dtype=str(loaded.compute_dtype).removeprefix("torch."),
        sequences=plain.sequences,
        tokens=plain.tokens,
        longest_tokens=longest + LABEL_TOKENS,
        tensors=0 if read is None else read.tensors,
        tensors_left_out=0 if read is None else read.left_out,
        products=len(products),
        weights_seconds=0.0 if read is None else read.seconds,
        products_seconds=products_seconds,
        unreached=tuple(limit for limit in limits if limit not in reached),
        seconds=time.monotonic() - began,
    )


def fixed_questions(scorer: Scorer) -> list[Question]:
    """The prompts, each as its spans from the root, with the labels that are asked of it."""
    encoder = scorer.prompts.encoder
    text = encoder.text(TEXT, trusted=False)
    words = [text[at % len(text)] for at in range(sum(DOCUMENT_TOKENS) + len(text))]
    root = tuple([*encoder.opening(), *words][:ROOT_TOKENS])
    question = tuple(words[1 : 1 + QUESTION_TOKENS])
    short, middle, long = (tuple(words[at : at + count]) for at, count in zip((2, 5, 9), DOCUMENT_TOKENS, strict=True))
    other = tuple(words[3 : 3 + OTHER_TOKENS])
    one, two, three = list(dict.fromkeys(token for token in words if token != encoder.stop))[:3]
    beginning, parted = ((one,), (one, two)), ((one,), (one, two), (three, one))
    found: list[Question] = [
        ((root, question, short), beginning),
        ((root, question, middle), beginning),
        ((root, long, other), parted),
    ]
    most = scorer.context_tokens - LABEL_TOKENS
    return [(prompt, labels) for prompt, labels in found if sum(map(len, prompt)) <= most]


def _far(prompt: Path, tokens: int) -> Path:
    """A prompt of so many tokens, its document out of the words of a shorter one's spans."""
    root, question, _ = prompt
    words = (*question, *root[::-1], *question[::-1])
    return root, question, tuple(words[at * at % len(words)] for at in range(tokens - len(root) - len(question)))


def _limits(model: Any) -> set[int]:
    """Numbers of tokens from which on a model reads a prompt otherwise: windows, and changes of frequencies."""
    config = model.config.get_text_config()
    found = {getattr(config, name, None) for name in WINDOWS} | {frequencies.short_tokens(model)}
    return {int(limit) for limit in found if limit}


def _has_room(scorer: Scorer, plain: Plain, limit: int) -> bool:
    """Whether a prompt beyond a limit fits the context, the token budget and the memory planned for a pass."""
    tokens = limit + BEYOND_TOKENS + LABEL_TOKENS
    if tokens > scorer.context_tokens or plain.nodes + tokens > scorer.token_budget:
        return False
    if not scorer.on_card:
        return tokens <= LONGEST_ON_CPU_TOKENS
    plan = scorer.loaded.plan
    return plan is None or (plain.nodes + tokens) * plain.node_bytes <= plan.pass_bytes(scorer.token_budget) / 2


def _read(plain: Plain, prompt: Path, labels: Labels, stop: int) -> list[float]:
    """Read a prompt with each label the plain way; the labels' log-probabilities."""
    tokens = [token for span in prompt for token in span]
    for label in labels:
        if not any(other[: len(label)] == label for other in labels if len(other) > len(label)):
            plain.read([*tokens, *label], len(label) + 1)
    return [plain.log_prob(tokens, (*label, stop), len(tokens) + LABEL_TOKENS) for label in labels]


def _forest(questions: Sequence[Question], stop: int) -> Forest:
    """A forest whose short beginnings are kept for the next pass."""
    forest = Forest()
    for prompt, labels in questions:
        span = NO_PARENT
        for depth, tokens in enumerate(prompt, 1):
            span = forest.add(tokens, span, shared=len(tokens) <= ROOT_TOKENS and depth < len(prompt))
        forest.ask(span, build_trie(labels, stop))
    return forest


def _parts(
    exact: bool, tolerance: dict[str, float], company: str, seen: Sequence[Seen], scored: list[list[float]],
    told: list[list[float]], led: bool,
) -> Iterator[Part]:  # fmt: skip
    """All that was seen of one pass, in the order of computing."""
    apart = torch.stack([each.apart for each in seen]).tolist() if seen else []
    for each, value in zip(seen, apart, strict=True):
        yield Part(each.stage, company, each.layer, value, tolerance[each.stage])
    scores = [
        abs(one - other)
        for ours, theirs in zip(scored, told, strict=True)
        for one, other in zip(ours, theirs, strict=True)
    ]
    stage = SCORES if led else FREE
    # What drifts in fewer bits drifts most where a router turns.
    value = max(scores) if exact or led else statistics.median(scores)
    yield Part(stage, company, None, value if all(map(math.isfinite, scores)) else math.inf, tolerance[stage])


def _product_fails(error: Exception) -> ModelError:
    return ModelError(
        "model_unproven",
        f"a product of this model's quantised weights fails by itself ({type(error).__name__}: {error}); use another "
        "precision, and report it",
        "MODEL_NAME",
    )


def _fails_alone(error: Exception) -> ModelError:
    return ModelError(
        "model_unproven",
        f"transformers' own forward pass of this model fails on a short prompt ({type(error).__name__}), so that "
        "there is nothing to prove it by; use another model, and report it",
        "MODEL_NAME",
    )
