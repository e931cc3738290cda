"""Reasons in company: each is, token for token, what transformers' own `generate` writes behind its document alone."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from pinpoint.engine.forward import attention, generate
from pinpoint.engine.forward.generate import Begun, companies
from pinpoint.engine.forward.steps import ROWS, State
from pinpoint.engine.forward.written import RowCache
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from tests.models import embedded
from tests.numeric.forward import families
from tests.numeric.forward.test_families import documents, scorer_of, with_our_attention
from tests.numeric.forward.test_generate import by_transformers
from tests.reference.scoring import plain_model

WRITTEN_TOKENS = 8
# Documents shorter and longer than every window of 12 tokens, and answers of one token and of more.
LENGTHS = (5, 30, 3, 17, 11)
ANSWERS = ("gas", "gas bill reminder", "bank statement of the quarter", "gas bill", "contract", "receipt")

Asked = list[tuple[int, str]]


@pytest.fixture(autouse=True)
def few_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "MOST_TOKENS", WRITTEN_TOKENS)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many rows each step had, the first of a company aside."""
    rows: list[int] = []
    plain = generate._Writer._forward

    def counting(self: generate._Writer) -> None:
        rows.append(len(self.state.token))
        plain(self)

    monkeypatch.setattr(generate._Writer, "_forward", counting)
    yield rows


def prompt_of(scorer: Scorer, forest: Forest, ask: int, answer: str) -> list[int]:
    encoder = scorer.prompts.encoder
    ending = [*encoder.label_tokens(answer), *encoder.pieces(generate.reason_opening())]
    return [*forest.prompt(forest.asks[ask].span), *ending]


def asked_of(forest: Forest) -> Asked:
    return [(ask, ANSWERS[ask % len(ANSWERS)]) for ask in range(len(forest.asks))]


def check(plain: PreTrainedModel, scorer: Scorer, forest: Forest) -> set[tuple[int, ...]]:
    """Together, alone and by transformers the same; returns what was written."""
    asked, encoder = asked_of(forest), scorer.prompts.encoder
    with scorer.run(forest, explain=True) as done:
        together = done.explain_all(asked)
        alone = [done.explain(*one) for one in asked]
        short = [scorer._short_tokens is not None and not long for long in done._long]
    assert together == alone
    slow = list[list[int]]()
    for one, is_short in zip(asked, short, strict=True):
        prompt = prompt_of(scorer, forest, *one)
        most = max(0, (scorer._short_tokens or 0) - len(prompt)) if is_short else WRITTEN_TOKENS
        slow.append(by_transformers(plain, prompt, encoder.stop)[:most])
    assert together == [(encoder.decode(one), len(one)) for one in slow]
    return {tuple(one) for one in slow}


def company_of(family: str, monkeypatch: pytest.MonkeyPatch) -> tuple[PreTrainedModel, Scorer]:
    transformers_logging.set_verbosity_error()
    attention.register()
    monkeypatch.setattr(families, "SHORT_TOKENS", 40)
    if family == "longrope":
        config = AutoConfig.for_model("llama", **families.COMMON, rope_parameters=families.longrope(8))
    else:
        config = families.configuration(family)
    plain = families.random_model(config)
    return plain, scorer_of(with_our_attention(plain))


@pytest.mark.parametrize(
    "family", ["mistral", "gpt_oss", "gemma2", "gemma4 text", "llama4 text", "qwen3_moe", "deepseek_v3", "longrope"]
)
def test_every_family_writes_in_company_what_it_writes_alone(
    family: str, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows, chunks, sinks, caps, experts, values of another width, and prompts of two sets of frequencies."""
    plain, scorer = company_of(family, monkeypatch)
    written = check(plain, scorer, documents(*LENGTHS))
    assert len(written) > 3, "a model that always writes the same shows nothing"
    assert max(batches) >= 3


def test_the_embedded_model_writes_in_company_what_transformers_writes(
    batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts of the product and answers of its labels; it would stop at once, and is kept from it."""
    scorer = Scorer(embedded(), 8192, 10_000_000)
    never = scorer.prompts.encoder.label_tokens("Q")[0]
    monkeypatch.setattr(scorer.prompts.encoder, "stop", never)
    forest, task = Forest(), Task("kind", tuple(Label(name, name) for name in ("invoice", "receipt", "gas bill")))
    for number in range(6):
        text = f"Invoice no. {number}. " + "Total due: 99.50 EUR, pay within 30 days. " * (number % 3 * 4 + 1)
        scorer.prompts.add(forest, task, scorer.prompts.document(text))
    asked = [(ask, task.labels[ask % 3].name) for ask in range(6)]
    with scorer.run(forest, explain=True) as done:
        together = done.explain_all(asked)
    plain = plain_model(scorer.loaded.model)
    for one, told in zip(asked, together, strict=True):
        slow = by_transformers(plain, prompt_of(scorer, forest, *one), scorer.prompts.encoder.stop)
        assert slow
        assert told == (scorer.prompts.encoder.decode(slow), len(slow))
    assert max(batches) == 6


def test_rows_that_have_stopped_or_that_nobody_waits_for_are_left_out(
    batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, scorer = company_of("mistral", monkeypatch)
    monkeypatch.setattr(generate, "LOOK_EVERY", 2)
    forest, encoder = documents(*LENGTHS), scorer.prompts.encoder
    asked = asked_of(forest)
    whole = [by_transformers(plain, prompt_of(scorer, forest, *one), encoder.stop) for one in asked]
    monkeypatch.setattr(encoder, "stop", whole[0][2])
    expected = [one[: one.index(encoder.stop)] if encoder.stop in one else one for one in whole]
    looks = [0] * len(asked)

    def wanted(index: int) -> bool:
        looks[index] += 1
        return index != 4 or looks[4] < 2

    with scorer.run(forest, explain=True) as done:
        together = done.explain_all(asked, wanted)
    told = [None if index == 4 else (encoder.decode(one), len(one)) for index, one in enumerate(expected)]
    assert together == told
    # A look follows every second token; the one that finds a row's end is its last.
    ends = [min(len(one), WRITTEN_TOKENS - 1) // 2 + 1 for one in expected]
    assert looks == [*ends[:4], 2, *ends[5:]]
    assert batches[0] == len(asked)
    assert batches[-1] < len(asked)
    assert batches == sorted(batches, reverse=True)


def test_a_prompt_shorter_than_a_neighbours_answer_is_read_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, scorer = company_of("mistral", monkeypatch)
    forest, encoder = Forest(), scorer.prompts.encoder
    asked = list[tuple[int, str]]()
    for tokens, answer in (([50], "gas"), ([60, 61, 62] * 9, "a very long answer, longer than the other prompt")):
        span = forest.add(tokens)
        forest.ask(span, build_trie([(70,), (71, 72)], encoder.stop))
        asked.append((len(asked), answer))
    with scorer.run(forest, explain=True) as done:
        together = done.explain_all(asked)
    for one, told in zip(asked, together, strict=True):
        slow = by_transformers(plain, prompt_of(scorer, forest, *one), encoder.stop)
        assert told == (encoder.decode(slow), len(slow))


def test_a_row_at_the_border_of_other_frequencies_changes_no_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its tokens before the others have theirs, and stays where it is meanwhile."""
    plain, scorer = company_of("longrope", monkeypatch)
    encoder, forest = scorer.prompts.encoder, Forest()
    ending = [*encoder.label_tokens("gas"), *encoder.pieces(generate.reason_opening())]
    for prompt in ([50] * (37 - len(ending)), [60, 61, 62], [70]):
        forest.ask(forest.add(prompt), build_trie([(80,), (81, 82)], encoder.stop))
    asked = [(ask, "gas") for ask in range(3)]
    with scorer.run(forest, explain=True) as done:
        together = done.explain_all(asked)
    slow = [by_transformers(plain, prompt_of(scorer, forest, *one), encoder.stop) for one in asked]
    slow[0] = slow[0][:3]
    assert min(map(len, slow[1:])) > 4, "else there is no neighbour for long enough"
    assert together == [(encoder.decode(one), len(one)) for one in slow]


def test_what_a_cache_held_before_is_gone() -> None:
    """A place that nobody sees is multiplied by zero all the same, and of NaN that is NaN."""
    cache = RowCache([torch.full((3, 2, 8, 4), torch.nan)], [torch.full((3, 2, 8, 5), torch.nan)], torch.arange(3))
    spans = [[(torch.full((2, n, 4), n + 0.5), torch.full((2, n, 5), n + 0.25))] for n in (3, 2)]
    cache.fill([spans[:1], spans])
    expected = torch.zeros(3, 8)
    expected[0, :3] = expected[1, :3] = 3.5
    expected[1, 3:5] = 2.5
    assert torch.equal(cache.keys[0], expected[:, None, :, None].expand(3, 2, 8, 4))
    held = torch.where(expected > 0, expected - 0.25, expected)
    assert torch.equal(cache.values[0], held[:, None, :, None].expand(3, 2, 8, 5))


def test_rows_that_go_on_take_all_of_their_state_with_them() -> None:
    token, position, last, written = (torch.arange(5 * width).view(5, width) + width for width in (1, 2, 3, 4))
    state = State(token.clone(), position.clone(), last.clone(), written.clone(), torch.tensor([2]))
    state.move(torch.tensor([1, 4]))
    for moved, held in ((state.token, token), (state.position, position), (state.last, last), (state.written, written)):
        assert torch.equal(moved[:2], held[[1, 4]])


@given(st.lists(st.integers(1, 300), max_size=80), st.integers(1, 4000))
def test_companies_keep_within_the_places_and_leave_nobody_out(lengths: list[int], most_places: int) -> None:
    rows = [Begun([7] * length, [8], []) for length in lengths]
    found = companies(rows, most_places)
    assert sorted(index for company in found for index in company) == list(range(len(rows)))
    for company in found:
        places = len(company) * max(rows[index].places for index in company)
        assert len(company) == 1 or (places <= most_places and len(company) <= ROWS[-1])
    for one, other in pairwise(found):
        assert min(lengths[index] for index in one) >= max(lengths[index] for index in other)
        room = len(one) == ROWS[-1] or (len(one) + 1) * max(rows[index].places for index in one) > most_places
        assert room, "another row had room"


def test_companies_change_no_token(monkeypatch: pytest.MonkeyPatch, batches: list[int]) -> None:
    _, scorer = company_of("gemma2", monkeypatch)
    forest = documents(*LENGTHS)
    found = []
    for budget in (1000, 40):
        scorer.token_budget = budget
        batches.clear()
        with scorer.run(forest, explain=True) as done:
            found.append((done.explain_all(asked_of(forest)), max(batches)))
    assert found[0][0] == found[1][0]
    assert found[0][1] > found[1][1]
