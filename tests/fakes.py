"""What tests use in place of a model: small tokenizers, and an engine whose scores are hashes. Free of torch."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from pinpoint.engine.readings import STATE_FLOATS, Memory, ModelInfo
from pinpoint.errors import OutOfMemory
from pinpoint.pipeline.fair_queue import Lane
from pinpoint.pipeline.units import Unit
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.prompt import Prompt
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.span_tree import Ask, Forest
from pinpoint.prompting.template import PROMPT_VERSION

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MIXTRAL_CHAT = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ ' [INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
)
VOCABULARY_TOKENS = 600
GATE_S = 30.0
# Fixed, so that the tokens of a test change with its own text alone.
CORPUS = (
    "Answer the question about the document with one of the given labels and nothing else.\n"
    "Question: Which label fits the document best? Does this label fit the document?\nLabels:\n- yes\n- no\n"
    "Document:\nInvoice no. 4711, dated 14 March 2025, payable within 30 days. Total due: 99.50 EUR, VAT included.\n"
    "Receipt for three filing cabinets, paid by card; keep it for the warranty. Thank you for your business.\n"
    "The parties agree that this contract ends when either of them gives notice in writing six months before.\n"
    "Purchase order for office chairs and desks, deliver to the back door, ask for the manager, mind the dog.\n"
    "Gas bill and gas bill reminder: your meter was read, the standing charge and the units used are below.\n"
    "Bank statement: opening balance, transfers in and out, closing balance, interest and fees of the quarter.\n"
    "Dear customer, we could not deliver your parcel; please choose another day or collect it at our depot.\n"
    "The patient reports a mild headache since yesterday and was advised to rest and to drink enough water.\n"
    "End of document.\nLabel: invoice receipt contract purchase order gas bill bank statement\nReason: it says so.\n"
)


def chatml_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with Qwen's chat format, whose answer follows a line break and no space."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_TOKENS,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([CORPUS], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = CHATML
    return fast


def mixtral_tokenizer(folder: Path) -> Any:
    """The real 32,000-token Mixtral tokenizer, out of the package that its makers publish."""
    tokenizer = llama_tokenizer(folder, "tokenizer.model.v1")
    tokenizer.chat_template = MIXTRAL_CHAT
    return tokenizer


def llama_tokenizer(folder: Path, name: str) -> Any:
    """A SentencePiece model of Mistral's, read as transformers reads it from a checkpoint."""
    from transformers import AutoTokenizer  # imports torch

    source = resources.files("mistral_common") / "data" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(source.read_bytes())
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}', encoding="utf-8")
    return AutoTokenizer.from_pretrained(folder)


@cache
def chatml_prompts() -> PromptBuilder:
    """Prompts of the small tokenizer, made once: neither the tokenizer nor the builder is changed by use."""
    return PromptBuilder(PromptEncoder(chatml_tokenizer()))


def log_prob(prompt: Sequence[int], label: Sequence[int]) -> float:
    """The fake log-probability of a label after a prompt, from −10 to −1: a hash of both."""
    digest = hashlib.sha256(repr((tuple(prompt), tuple(label))).encode("ascii")).digest()
    return -1 - 9 * int.from_bytes(digest[:8], "big") / 2**64


def state_of(prompt: Sequence[int]) -> tuple[float, ...]:
    """The fake state of a prompt, from −1 to 1: hashes of it."""
    return tuple((log_prob(prompt, [place]) + 5.5) / 4.5 for place in range(STATE_FLOATS))


@dataclass(frozen=True, slots=True)
class FakeScores:
    """Scores of one ask."""

    log_probs: list[float]
    bounded: frozenset[int] = frozenset()
    state: tuple[float, ...] = ()


@dataclass(slots=True)
class FakePass:
    """An open pass; `closed` says that its `with` block was left."""

    scores: list[FakeScores]
    computed_tokens: int
    may_explain: bool
    explain_fails: list[Exception]
    forest: Forest
    engine: "FakeEngine"
    closed: bool = False
    found: frozenset[int] = frozenset()
    kept: frozenset[int] = frozenset()
    forest_tokens: int = 0

    def more(self) -> None:
        """Score what was added to the forest."""
        assert not self.closed
        before = self.forest_tokens
        self.engine.check_size(self.forest)
        self.scores += [self.engine.scores(self.forest, ask) for ask in self.forest.asks[len(self.scores) :]]
        self.forest_tokens = self.forest.laid_tokens
        self.computed_tokens += self.forest_tokens - before

    def explain_all(
        self, asked: Sequence[tuple[int, str]], wanted: Callable[[int], bool]
    ) -> list[tuple[str, int] | None]:
        """Rationales that repeat what they were asked for, three tokens long."""
        assert not self.closed and (self.may_explain or not asked), "an open pass that was run with explain=True"
        if asked and self.explain_fails:
            raise self.explain_fails.pop(0)
        return [(f"ask {ask} is {answer}", 3) if wanted(at) else None for at, (ask, answer) in enumerate(asked)]


@dataclass(slots=True)
class FakeStore:
    """Keeps nothing."""

    bytes: int = 0


@dataclass(slots=True)
class FakeEngine:
    """An engine without a model.

    Attributes:
        most_row_tokens: of a question beside its document, where a larger budget is measured; None: as of a pass.
        most_read_tokens: of a prompt that is read in chunks, by the pretended memory.
        short_tokens: of the longest prompt that is not read as a long one.
        stored_tokens: of each pass, how many tokens are taken from a pretended prefix store.
        bounds: leave all but the best `Ask.exact_best` labels at a bound, where an ask allows it.
        breaks: what is raised by a forest that holds one of these tokens.
        gate: passes wait until it is open.
        device_tokens: of the largest forest that the pretended device holds; it runs out of memory over a larger one.
        fails: raised by the next passes, one after the other, in place of running.
        explain_fails: raised by the next explanations.
        forests: what was run.
        passes: what came of it.
        releases: how often `release` was called.
    """

    token_budget: int = 1_000_000
    context_tokens: int = 1_000_000
    most_row_tokens: int | None = None
    most_read_tokens: int = 1_000_000
    short_tokens: int | None = None
    held_bytes: int = 0
    stored_tokens: int = 0
    bounds: bool = False
    device_tokens: int | None = None
    drifted: bool = False
    on_card: bool = True
    activations: dict[str, Any] = field(default_factory=dict)
    start: dict[str, Any] = field(default_factory=dict)
    breaks: dict[int, BaseException] = field(default_factory=dict)
    gate: threading.Event | None = None
    prompts: PromptBuilder = field(default_factory=chatml_prompts)
    fails: list[Exception] = field(default_factory=list)
    explain_fails: list[Exception] = field(default_factory=list)
    forests: list[Forest] = field(default_factory=list)
    passes: list[FakePass] = field(default_factory=list)
    releases: int = 0
    store: FakeStore = field(default_factory=FakeStore)

    @property
    def row_budget(self) -> int:
        """A pass, unless it is said."""
        return self.token_budget if self.most_row_tokens is None else self.most_row_tokens

    @property
    def read_tokens(self) -> int:
        """All of the context."""
        return min(self.context_tokens, max(self.token_budget, self.most_read_tokens))

    def is_long(self, prompt_tokens: int) -> bool:
        """Whether it has more tokens than short ones."""
        return self.short_tokens is not None and prompt_tokens > self.short_tokens

    @contextmanager
    def run(self, forest: Forest, *, explain: bool = False) -> Iterator[FakePass]:
        """Score a forest, and read its chunks."""
        self.forests.append(forest)
        if self.gate is not None:
            assert self.gate.wait(GATE_S), "nobody opened the gate"
        if self.fails:
            raise self.fails.pop(0)
        for token in sorted(self.breaks.keys() & {token for span in forest.tokens for token in span}):
            raise self.breaks[token]
        self.check_size(forest)
        for span, prefill in forest.given:
            assert forest.prompt(span) == list(prefill.tokens[: prefill.done]), "given is what was read"
        for span, prefill in forest.reads:
            assert forest.prompt_tokens(span) - len(forest.tokens[span]) == prefill.done
            prefill.done += len(forest.tokens[span])
            prefill.kept = "keys and values"
        scores = [self.scores(forest, ask) for ask in forest.asks]
        total = forest.laid_tokens
        done = FakePass(
            scores, total - self.stored_tokens, explain, self.explain_fails, forest, self, forest_tokens=total
        )
        self.passes.append(done)
        try:
            yield done
        finally:
            done.closed = True

    def release(self) -> None:
        """Count; there is nothing to give back."""
        assert all(one.closed for one in self.passes), "a pass is still open"
        self.releases += 1

    def memory(self) -> Memory:
        """Always the same."""
        return Memory(allocated_bytes=2, reserved_bytes=3, free_bytes=5, baseline_bytes=1)

    def info(self, labels_sha: str) -> ModelInfo:
        """What answers."""
        return ModelInfo("fake", "local", "int8", PROMPT_VERSION, labels_sha)

    def check_size(self, forest: Forest) -> None:
        """Raise where the pretended device does not hold it."""
        if self.device_tokens is not None and forest.laid_tokens > self.device_tokens:
            raise OutOfMemory("out_of_memory", "the pretended device ran out of memory")

    def scores(self, forest: Forest, ask: Ask) -> FakeScores:
        """Of one ask."""
        prompt = forest.prompt(ask.span)
        values = [log_prob(prompt, label) for label in ask.trie.labels]
        best_first = sorted(range(len(values)), key=lambda k: -values[k])
        bounded = best_first[ask.exact_best :] if self.bounds and ask.exact_best is not None else []
        return FakeScores(values, frozenset(bounded), state_of(prompt) if ask.state else ())


def units_of(documents: Sequence[Sequence[int]], *, explained: bool = False) -> list[Unit]:
    """Units of one question about these documents, each of its own tokens behind a shared beginning."""
    trie = build_trie([[5], [5, 6], [7]], stop=1)
    return [
        Unit(
            Prompt(((2, 3), (4,), tuple(tokens)), (True, True, False), trie),
            index,
            explained=(lambda scores, followed: (None, f"label {max(scores.log_probs):.6f}")) if explained else None,
        )
        for index, tokens in enumerate(documents)
    ]


def lane_of(units: Sequence[Unit], job: str = "", *, alone: bool = False) -> Lane:
    """Units as a job brings them."""
    return Lane(
        iter(units),
        len(units),
        sum(unit.asked_tokens for unit in units),
        explains=any(unit.explained for unit in units),
        alone=alone,
        job=job,
    )
