"""What came of scoring a forest, and while the pass is open, what may still be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pinpoint.engine import gpu
from pinpoint.engine.forward import generate
from pinpoint.engine.forward.prefix_cache import Layers
from pinpoint.prompting.span_tree import Forest

if TYPE_CHECKING:
    from pinpoint.engine.forest_scorer import ForestScorer


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
    _scorer: ForestScorer
    _forest: Forest
    _explains: bool
    _long: list[bool] = field(default_factory=list)
    _layers: dict[bool, dict[int, Layers]] = field(default_factory=dict)
    found: frozenset[int] = frozenset()
    kept: frozenset[int] = frozenset()
    _read: bool = False

    def more(self) -> None:
        """Score the asks that the forest was given since; what they have in common with those before is not computed
        again where it is open in the forest.

        Raises:
            OutOfMemory, DeviceError: as `scorer.Scorer.run`.
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
