"""The room's door: a loaded model that scores forests of spans. The other rooms see this and no tensor."""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psutil
import torch

from pinpoint.engine import baseline, gpu
from pinpoint.engine.forward import attention, frequencies, generate
from pinpoint.engine.forward.head import PEAK_LOGIT, check_head
from pinpoint.engine.forward.packing import pack
from pinpoint.engine.forward.parts import given_spans, is_bounded, parts_of, spans_of, store_key
from pinpoint.engine.forward.prefix_cache import HeldPrefix, Layers, PassCache, PrefixStore
from pinpoint.engine.forward.recorded import Recorder
from pinpoint.engine.forward.rules import unsupported
from pinpoint.engine.forward.scoring import score
from pinpoint.engine.forward.states import States
from pinpoint.engine.forward.steps import RecordedSteps, record_graph
from pinpoint.engine.loading.load import LoadedModel
from pinpoint.engine.readings import Memory, ModelInfo
from pinpoint.errors import ModelError
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.label_bounds import undecided
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.prefill import Prefill
from pinpoint.prompting.prompt_proof import check_prompts
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.span_tree import NO_PARENT, Ask, Forest
from pinpoint.prompting.template import PROMPT_VERSION, VERSION_KEY, known_version

log = logging.getLogger("pinpoint")

# What the machine has left is read no more often than this: it takes longer to read than all else of `memory`.
AVAILABLE_READ_S = 1.0
# What answers call 8-bit weights with 8-bit activations: what was taught without these does not count with them.
WEIGHTS_AND_ACTIVATIONS = "w8a8"
# Two ways through the same head differ by the rounding of one matrix product.
HEAD_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.25}


@dataclass(frozen=True, slots=True)
class AskScores:
    """What was measured of one ask: log-probabilities by label, which of them are upper bounds only, and the state
    that they were read from, where it is wanted (`forward/states.py`).
    """

    log_probs: list[float]
    bounded: frozenset[int] = frozenset()
    state: tuple[float, ...] = ()


@dataclass(slots=True)
class ForestPass:
    """The outcome of scoring a forest, and for as long as it is open, what explanations need of it.

    Attributes:
        scores: one for each ask.
        computed_tokens: tokens that went through the model.
        stored_tokens: tokens whose keys and values came from the prefix store.
        found, kept: spans that came from the store, and that were put there.
    """

    scores: list[AskScores]
    computed_tokens: int
    stored_tokens: int
    _scorer: Scorer
    _forest: Forest
    _explains: bool
    _long: list[bool] = field(default_factory=list)
    _layers: dict[bool, dict[int, Layers]] = field(default_factory=dict)
    found: frozenset[int] = frozenset()
    kept: frozenset[int] = frozenset()
    _read: bool = False
    _recorded_from: int = 0

    def more(self) -> None:
        """Score the asks that the forest was given since; what they have in common with those before is not computed
        again where it is open in the forest.

        Raises:
            OutOfMemory, DeviceError: as `Scorer.run`.
        """
        with gpu.device_errors():
            self._scorer._score_new(self)

    def explain(self, ask: int, answer: str) -> tuple[str, int]:
        """A rationale after an answer (`template.choice_in_words`), greedy, and its number of tokens."""
        (one,) = self.explain_all([(ask, answer)])
        assert one is not None
        return one

    def explain_all(
        self, asked: Sequence[tuple[int, str]], wanted: Callable[[int], bool] = lambda index: True
    ) -> list[tuple[str, int] | None]:
        """`explain` of several asks and their answers, written together.

        Args:
            asked: asks and answers.
            wanted: whether somebody still waits for the one of this index; asked every few tokens.

        Returns:
            By index; None where nobody waited any more.
        """
        if not asked:
            return []
        scorer = self._scorer
        encoder = scorer.prompts.encoder
        opening = encoder.pieces(generate.reason_opening())
        begun = list[generate.Begun]()
        for ask, answer in asked:
            span, layers = self._forest.asks[ask].span, self._layers[self._long[ask]]
            spans = [layers[one] for one in self._forest.ancestry(span)]
            begun.append(generate.Begun(self._forest.prompt(span), [*encoder.label_tokens(answer), *opening], spans))
        found: list[tuple[str, int] | None] = [None] * len(asked)
        for long in (False, True):
            alike = [index for index, (ask, _) in enumerate(asked) if self._long[ask] == long]
            for company in generate.companies([begun[index] for index in alike], scorer.reason_places):
                chosen = [alike[place] for place in company]
                with gpu.device_errors():
                    written = generate.write_together(
                        scorer.loaded.model, [begun[index] for index in chosen], encoder.stop, long,
                        lambda row, chosen=chosen: wanted(chosen[row]), scorer.steps,  # type: ignore[misc]
                    )  # fmt: skip
                for index, tokens in zip(chosen, written, strict=True):
                    found[index] = None if tokens is None else (encoder.decode(tokens), len(tokens))
        return found

    def close(self) -> None:
        """Let the keys and values go."""
        self._layers.clear()


class Scorer:
    """Scores forests on one loaded model. One forward pass at a time: callers take turns.

    Attributes:
        prompts: lays documents and tasks into forests for this model.
        token_budget: most tokens of one forward pass.
        read_tokens: longest prompt with its label that can be read, in chunks where it takes more than a pass; and what
            is kept at most of all that are read in chunks at the same time.
        compared: prompts that are those of the model's chat template.
        store: keys and values of shared prompt beginnings.
        recorder: runs small passes, once it has recorded them.
    """

    def __init__(self, loaded: LoadedModel, token_budget: int, prefix_store_bytes: int = 0) -> None:
        self.loaded = loaded
        self.token_budget = token_budget
        context, made = loaded.context_tokens, loaded.plan
        self.read_tokens = context if made is None else min(context, made.read_tokens(token_budget))
        version = known_version(getattr(loaded.model.config, VERSION_KEY, PROMPT_VERSION))
        self.prompts = PromptBuilder(PromptEncoder(loaded.tokenizer), version)
        self.compared = check_prompts(self.prompts)
        self.store = PrefixStore(prefix_store_bytes)
        self._held: weakref.WeakSet[HeldPrefix] = weakref.WeakSet()
        self.recorder = Recorder(loaded.model)
        self._steps: RecordedSteps | None = None
        self._short_tokens = frequencies.short_tokens(loaded.model)
        with gpu.device_errors(), gpu.failures_refused(_fails_in_company):
            self._check_head()
            self._check_pass()
        self._process = psutil.Process()
        self._available_bytes, self._read_s = 0, -AVAILABLE_READ_S
        self._baseline_bytes = 0
        self._baseline_bytes = self.memory().allocated_bytes
        on_cuda = loaded.device.type == "cuda"
        self.baseline = baseline.Baseline(lambda: baseline.requested_bytes(loaded.device)) if on_cuda else None

    @property
    def on_card(self) -> bool:
        """Whether it computes on a GPU."""
        return self.loaded.device.type == "cuda"

    @property
    def reason_places(self) -> int:
        """Places of the caches of reasons that are written together, as the plan has it."""
        plan, kept = self.loaded.plan, self.steps.places if self.steps is not None else 0
        return max(kept, 2 * self.token_budget if plan is None else plan.reason_places(self.token_budget))

    @property
    def steps(self) -> RecordedSteps | None:
        """The recorded steps of reasons and the cache that they are over; None on a CPU."""
        if self._steps is None and self.on_card:
            plan = self.loaded.plan
            places = 0 if plan is None else plan.kept_reason_places(self.token_budget)
            self._steps = RecordedSteps(places, record_graph)
        return self._steps

    @property
    def _made(self) -> int:
        return 0 if self._steps is None else self._steps.made

    @property
    def activations(self) -> dict[str, Any]:
        """What health tells of 8-bit activations: the modules that are kept from them; empty without any."""
        loaded = self.loaded
        if loaded.activations == "compute":
            return {}
        kept = {name: round(error, 4) for name, error in loaded.kept.items()}
        return {"activations": {"held_in": loaded.activations, "kept": kept}}

    @property
    def drifted(self) -> bool:
        """Whether memory is lost for good: the worker should answer what it has and ask to be replaced."""
        return self.baseline is not None and self.baseline.drifted

    @property
    def context_tokens(self) -> int:
        """Longest prompt with its label."""
        return self.loaded.context_tokens

    @property
    def held_bytes(self) -> int:
        """Of documents that are being read in chunks, or asked about."""
        return sum(held.bytes for held in list(self._held))

    def is_long(self, prompt_tokens: int) -> bool:
        """Whether a prompt of so many tokens, its longest label included, is read with other frequencies."""
        return self._short_tokens is not None and prompt_tokens > self._short_tokens

    @contextmanager
    def run(self, forest: Forest, *, explain: bool = False) -> Iterator[ForestPass]:
        """Score every ask of `forest`, and read its chunks; the keys and values of the pass live until the end of the
        `with` block: of spans that are open in the forest, and with `explain` of all prompts. Those of chunks live as
        long as their prefill.

        Labels are exact, but for those that an ask allows to be bounded (`Ask.exact_best`) and that cannot matter.

        Raises:
            OutOfMemory: the forest does not fit the device after all; score it in parts, after `release`.
            DeviceError: the device failed.
        """
        with gpu.device_errors():
            done = self._score(forest, explain=explain)
        try:
            yield done
        finally:
            done.close()
        # Not after a failed pass: what it holds goes with its exception.
        held_bytes, recorded = self.held_bytes, done._recorded_from < self._made
        if self.baseline is not None and self.baseline.check(self.store.bytes + held_bytes, recorded) == 0:
            self._baseline_bytes = torch.cuda.memory_allocated(self.loaded.device) - held_bytes

    def record(self) -> list[int]:
        """Record passes of some lengths, as far as this model's can be; from here on they are a part of the baseline.

        Returns:
            The lengths.
        """
        with gpu.device_errors():
            lengths = self.recorder.record(self.token_budget)
        if self.baseline is not None:
            self.baseline = baseline.Baseline(lambda: baseline.requested_bytes(self.loaded.device))
        log.info("recorded passes: lengths=%s", ",".join(map(str, lengths)) or "none")
        return lengths

    def release(self) -> None:
        """Give back what a failed pass left behind."""
        gpu.release()

    def _check_head(self) -> None:
        tokens = self.prompts.encoder.opening() or [self.prompts.encoder.stop]
        usual = HEAD_TOLERANCE[self.loaded.compute_dtype]
        large = usual + 4 * PEAK_LOGIT * torch.finfo(self.loaded.compute_dtype).eps
        for peak, tolerance in ((None, usual), (PEAK_LOGIT, large)):
            apart = check_head(self.loaded.model, tokens, peak)
            if not apart <= tolerance:
                raise ModelError(
                    "unsupported_head",
                    f"this model's logits are {apart:.2g} in log-probability from what exact scoring makes of its "
                    "states; use another model",
                    "MODEL_NAME",
                )

    def _check_pass(self) -> None:
        """Score a small forest twice, its beginning kept: what a model asks of a pass that is not there, it asks now.

        Raises:
            ModelError: it cannot be scored so.
        """
        forest = Forest()
        token, other = [token for token in range(3) if token != self.prompts.encoder.stop][:2]
        root = forest.add([token] * 5, shared=True)
        for length in (7, 12):
            forest.ask(
                forest.add([other] * length, root), build_trie([(token,), (token, other)], self.prompts.encoder.stop)
            )
        for _ in range(2):
            self._score(forest, explain=False)
        self.store.clear()

    def _score(self, forest: Forest, *, explain: bool) -> ForestPass:
        """Score the asks of a forest in an open pass."""
        done = ForestPass([], 0, 0, self, forest, explain, _recorded_from=self._made)
        self._score_new(done)
        return done

    def _score_new(self, done: ForestPass) -> None:
        """Score what is not yet: at once, but where prompts of two lengths are read with two sets of frequencies, and
        where more is asked than the budget holds. There a pass goes on with what those before it read and it needs.
        """
        forest, first, explain = done._forest, len(done.scores), done._explains
        done._long += [self._is_long(forest, ask) for ask in forest.asks[first:]]
        scores: dict[int, AskScores] = {}
        reads, done._read = [] if done._read else forest.reads, True
        for kind in sorted({*done._long[first:], *(prefill.long for _, prefill in reads)}):
            held = {**given_spans(forest, kind), **done._layers.get(kind, {})}
            alike = [index for index in range(first, len(forest.asks)) if done._long[index] == kind]
            parts = [alike] if explain else parts_of(forest, alike, self.token_budget, held.keys())
            chunks = {span: prefill for span, prefill in reads if prefill.long == kind}
            for number, chosen in enumerate(parts):
                ahead, read_tokens = self._read_ahead(forest, chosen, held.keys(), kind)
                held = {**held, **ahead}
                part, only = forest, None
                if len(chosen) < len(forest.asks) or len(chunks) < len(forest.reads):
                    part = replace(forest, asks=[forest.asks[index] for index in chosen])
                    only = spans_of(forest, chosen) | {one for span in chunks for one in forest.ancestry(span)}
                later = forest.open | spans_of(forest, [index for behind in parts[number + 1 :] for index in behind])
                found, layers, counts, moved = self._score_alike(part, only, kind, explain, held, later | chunks.keys())
                for span, prefill in chunks.items():
                    self._take(prefill, layers.pop(span))
                chunks = {}
                held = layers if explain else {span: kept for span, kept in layers.items() if span in later}
                scores |= dict(zip(chosen, found, strict=True))
                done.found, done.kept = done.found | moved[0], done.kept | moved[1]
                done.computed_tokens += counts[0] + read_tokens
                done.stored_tokens += counts[1]
            done._layers[kind] = held
        done.scores += [scores[index] for index in range(first, len(forest.asks))]

    def _read_ahead(
        self, forest: Forest, asks: Sequence[int], held: Set[int], kind: bool
    ) -> tuple[dict[int, Layers], int]:
        """Of a single ask whose prompt takes more than a pass, and that nobody had read ahead: the spans above its own,
        read in chunks, and the tokens that it took. So it is of what follows from an answer and shares no beginning.
        """
        *above, last = forest.ancestry(forest.asks[asks[0]].span) if len(asks) == 1 else [NO_PARENT]
        new = sum(len(forest.tokens[span]) for span in (*above, last) if span not in held) if above else 0
        if new <= self.token_budget:
            return {}, 0
        computed, prefill = 0, Prefill(tuple(forest.tokens[span] for span in above), long=kind)
        while prefill.left:
            chunk = Forest(same_bits=forest.same_bits)
            chunk.read(prefill, self.token_budget)
            computed += self._score(chunk, explain=False).computed_tokens
        given = replace(forest, given=[(above[-1], prefill)])
        return given_spans(given, kind), computed

    def _is_long(self, forest: Forest, ask: Ask) -> bool:
        return self.is_long(forest.prompt_tokens(ask.span) + max(map(len, ask.trie.labels)))

    def _take(self, prefill: Prefill, chunk: Layers) -> None:
        """Keep what was read of a prefill."""
        if prefill.kept is None:
            prefill.kept = HeldPrefix(len(prefill.tokens))
            self._held.add(prefill.kept)
        assert isinstance(prefill.kept, HeldPrefix)
        with torch.inference_mode():
            prefill.kept.put(prefill.done, chunk)
        prefill.done += chunk[0][0].shape[1]

    def _score_alike(
        self, forest: Forest, only: set[int] | None, kind: bool, explain: bool, held: dict[int, Layers], later: set[int]
    ) -> tuple[list[AskScores], dict[int, Layers], tuple[int, int], tuple[set[int], set[int]]]:
        """Scores of asks that share their frequencies, what is kept of their spans, tokens computed and stored, and
        the spans that came from the store and went to it. `held` spans are there from an earlier pass, and what `later`
        ones need is kept.
        """
        came = self._stored(forest, only, kind, held)
        kept = {span: layers for span, layers in sorted({**came, **held}.items()) if only is None or span in only}
        long = {index for index, ask in enumerate(forest.asks) if is_bounded(forest, ask)}
        asks = [
            replace(ask, trie=ask.trie.first_tokens()) if index in long else ask
            for index, ask in enumerate(forest.asks)
        ]
        needed = range(len(asks)) if explain else long
        wanted = {span for index in needed for span in forest.ancestry(asks[index].span)} | later
        wanted -= kept.keys()
        shared = {span for span, is_shared in enumerate(forest.shared) if is_shared and span not in kept}
        if not self.store.max_bytes:
            shared.clear()  # nobody would take the copies
        states = States(asks)
        sums, layers, computed = self._pass(replace(forest, asks=asks), kept, wanted | shared, only, kind, states)
        went = {span for span in shared & layers.keys() if self.store.put(store_key(forest, span, kind), layers[span])}
        layers = {**held, **kept, **layers}
        exact: list[dict[int, float]] = [
            {} if index in long else dict(enumerate(values)) for index, values in enumerate(sums)
        ]
        computed += self._settle(forest, sorted(long), sums, exact, layers, kind)
        scores = [
            AskScores(
                [known.get(k, bound) for k, bound in enumerate(bounds)],
                frozenset(range(len(bounds))) - known.keys(),
                states.found.get(index, ()),
            )
            for index, (bounds, known) in enumerate(zip(sums, exact, strict=True))
        ]
        stored = sum(len(forest.tokens[span]) for span in came)
        return scores, layers, (computed, stored), (set(came), went)

    def _settle(
        self, forest: Forest, asks: list[int], bounds: list[list[float]], exact: list[dict[int, float]],
        layers: dict[int, Layers], kind: bool,
    ) -> int:  # fmt: skip
        """Compute the labels of `asks` that their first tokens do not settle; returns the tokens that it took."""
        computed = rounds = 0
        while True:
            todo = {
                index: labels
                for index in asks
                if (labels := undecided(bounds[index], exact[index], forest.asks[index].exact_best or 1, rounds))
            }
            if not todo:
                return computed
            chosen = [
                replace(forest.asks[index], trie=forest.asks[index].trie.subset(labels).after_first())
                for index, labels in todo.items()
            ]
            spans = {span for ask in chosen for span in forest.ancestry(ask.span)}
            sums, _, tokens = self._pass(
                replace(forest, asks=chosen), {s: layers[s] for s in sorted(spans)}, set(), spans, kind
            )
            for (index, labels), values in zip(todo.items(), sums, strict=True):
                exact[index] |= {k: bounds[index][k] + rest for k, rest in zip(labels, values, strict=True)}
            computed, rounds = computed + tokens, rounds + 1

    def _stored(self, forest: Forest, only: set[int] | None, kind: bool, held: dict[int, Layers]) -> dict[int, Layers]:
        """The forest's spans that need not be computed and are not `held`, ancestors first."""
        kept: dict[int, Layers] = {}
        if self.store.max_bytes:
            for span, shared in enumerate(forest.shared):
                parent = forest.parents[span]
                if span in held or not (only is None or span in only):
                    continue
                if shared and (parent == NO_PARENT or parent in kept or parent in held):
                    layers = self.store.get(store_key(forest, span, kind))
                    if layers is not None:
                        kept[span] = layers
        return kept

    def _pass(
        self, forest: Forest, kept: dict[int, Layers], wanted: set[int], only: set[int] | None, kind: bool,
        states: States | None = None,
    ) -> tuple[list[list[float]], dict[int, Layers], int]:  # fmt: skip
        """One forward pass: sums by ask and label, copies of the `wanted` spans, tokens computed."""
        offsets, offset = {}, 0
        for span in kept:
            offsets[span] = offset
            offset += len(forest.tokens[span])
        row = pack(forest, offsets, only)
        lengths = forest.tokens
        cache = PassCache(
            list(kept.values()),
            {
                s: (row.span_starts[s], row.span_starts[s] + len(lengths[s]))
                for s in sorted(wanted)
                if s in row.span_starts
            },
        )
        # Who looks on while layers attend looks at all of a pass.
        recorder = None if attention.is_watched() else self.recorder
        sums = score(
            self.loaded.model, row, cache, long=kind, same_bits=forest.same_bits, recorder=recorder, states=states
        )
        return sums, cache.taken, len(row.tokens)

    def info(self, labels_sha: str) -> ModelInfo:
        """What answers, for the response."""
        loaded = self.loaded
        precision = loaded.precision if loaded.activations == "compute" else WEIGHTS_AND_ACTIVATIONS
        return ModelInfo(loaded.name, loaded.revision, precision, self.prompts.version, labels_sha)

    def memory(self) -> Memory:
        """What the device holds now; on a CPU, what this process holds of the machine's memory."""
        if self.loaded.device.type == "cuda":
            device = self.loaded.device
            return Memory(
                allocated_bytes=torch.cuda.memory_allocated(device),
                reserved_bytes=torch.cuda.memory_reserved(device),
                free_bytes=torch.cuda.mem_get_info(device)[0],
                baseline_bytes=self._baseline_bytes,
            )
        resident = self._process.memory_info().rss
        if time.monotonic() - self._read_s >= AVAILABLE_READ_S:
            self._available_bytes, self._read_s = psutil.virtual_memory().available, time.monotonic()
        return Memory(resident, resident, self._available_bytes, self._baseline_bytes)


def _fails_in_company(error: Exception) -> ModelError:
    return unsupported(f"a pass over several documents fails ({type(error).__name__})")
