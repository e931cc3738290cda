"""How a forest is scored: in one pass, or in several, where more is asked than one holds, where prompts are read with
two sets of frequencies, where labels are not settled by their first tokens, and where a document is read in chunks.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence, Set
from dataclasses import replace

import torch

from pinpoint.engine.forest_pass import AskScores, ForestPass
from pinpoint.engine.forward import attention, frequencies
from pinpoint.engine.forward.packing import pack
from pinpoint.engine.forward.parts import given_spans, is_bounded, parts_of, spans_of, store_key
from pinpoint.engine.forward.prefix_cache import HeldPrefix, Layers, PassCache, PrefixStore
from pinpoint.engine.forward.recorded import Recorder
from pinpoint.engine.forward.scoring import score
from pinpoint.engine.forward.states import States
from pinpoint.engine.forward.steps import RecordedSteps, record_graph
from pinpoint.engine.loading.load import LoadedModel
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.label_bounds import undecided
from pinpoint.prompting.prefill import Prefill
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.span_tree import NO_PARENT, Ask, Forest
from pinpoint.prompting.template import PROMPT_VERSION, VERSION_KEY, known_version


class ForestScorer:
    """Scores forests by passes of one loaded model, one after the other.

    Attributes:
        loaded: the model.
        prompts: lays documents and tasks into forests for this model.
        token_budget: most tokens of one forward pass.
        row_budget: what it was before a larger one was measured to be faster: by it documents are cut and refused.
        store: keys and values of shared prompt beginnings.
        recorder: runs small passes, once it has recorded them.
    """

    def __init__(self, loaded: LoadedModel, token_budget: int, prefix_store_bytes: int) -> None:
        self.loaded = loaded
        self.token_budget = self.row_budget = token_budget
        version = known_version(getattr(loaded.model.config, VERSION_KEY, PROMPT_VERSION))
        self.prompts = PromptBuilder(PromptEncoder(loaded.tokenizer), version)
        self.store = PrefixStore(prefix_store_bytes)
        self.recorder = Recorder(loaded.model)
        self._held: weakref.WeakSet[HeldPrefix] = weakref.WeakSet()
        self._steps: RecordedSteps | None = None
        self._short_tokens = frequencies.short_tokens(loaded.model)

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
    def _steps_made(self) -> int:
        return 0 if self._steps is None else self._steps.made

    @property
    def held_bytes(self) -> int:
        """Of documents that are being read in chunks, or asked about."""
        return sum(held.bytes for held in list(self._held))

    def is_long(self, prompt_tokens: int) -> bool:
        """Whether a prompt of so many tokens, its longest label included, is read with other frequencies."""
        return self._short_tokens is not None and prompt_tokens > self._short_tokens

    def _score(self, forest: Forest, *, explain: bool) -> ForestPass:
        """Score the asks of a forest in an open pass."""
        done = ForestPass([], 0, 0, self, forest, explain)
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
            chunks = {span: prefill for span, prefill in reads if prefill.long == kind}
            chunk_tokens = sum(len(forest.tokens[span]) for span in chunks)
            parts = [alike] if explain else parts_of(forest, alike, self.token_budget, held.keys(), chunk_tokens)
            for number, chosen in enumerate(parts):
                ahead, read_tokens = self._read_ahead(forest, chosen, held.keys(), kind)
                held = {**held, **ahead}
                part, only = forest, None
                if len(chosen) < len(forest.asks) or len(chunks) < len(forest.reads):
                    part = replace(forest, asks=[forest.asks[index] for index in chosen])
                    only = spans_of(forest, chosen) | {one for span in chunks for one in forest.ancestry(span)}
                behind = [index for part in parts[number + 1 :] for index in part]
                later = forest.open | (spans_of(forest, behind) - {forest.asks[index].span for index in behind})
                found, held, counts, moved = self._score_alike(part, only, kind, explain, held, later | chunks.keys())
                for span, prefill in chunks.items():
                    self._take(prefill, held.pop(span))
                chunks = {}
                if not explain:
                    held = {span: kept for span, kept in held.items() if span in later}
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
        if self._short_tokens is None:
            return False
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
        shared = {span for span, is_shared in enumerate(forest.shared) if is_shared} - forest.begun
        if not self.store.max_bytes:
            shared.clear()  # nobody would take the copies
        states = States(asks)
        sums, layers, computed = self._pass(replace(forest, asks=asks), kept, wanted | shared, only, kind, states)
        went = {span for span in shared & layers.keys() if self.store.put(store_key(forest, span, kind), layers[span])}
        layers = {**held, **kept, **layers}
        exact: dict[int, dict[int, float]] = {index: {} for index in sorted(long)}
        computed += self._settle(forest, sums, exact, layers, kind)
        bounded = {index: frozenset(range(len(sums[index]))) - known.keys() for index, known in exact.items()}
        for index, known in exact.items():
            sums[index] = [known.get(k, bound) for k, bound in enumerate(sums[index])]
        scores = [
            AskScores(values, bounded.get(index, frozenset()), states.found.get(index, ()))
            for index, values in enumerate(sums)
        ]
        stored = sum(len(forest.tokens[span]) for span in came)
        return scores, layers, (computed, stored), (set(came), went)

    def _settle(
        self, forest: Forest, bounds: list[list[float]], exact: dict[int, dict[int, float]],
        layers: dict[int, Layers], kind: bool,
    ) -> int:  # fmt: skip
        """Compute into `exact` what first tokens do not settle of the asks in it; returns the tokens that it took."""
        computed = rounds = 0
        while True:
            todo = {
                index: labels
                for index, known in exact.items()
                if (labels := undecided(bounds[index], known, forest.asks[index].exact_best or 1, rounds))
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
                if span in held or span in forest.begun or not (only is None or span in only):
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
