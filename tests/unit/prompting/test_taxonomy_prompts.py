"""What groups and examples add to the prompt, and that all other prompts are what they were."""

from __future__ import annotations

from itertools import pairwise

from pinpoint.prompting.label_tree import questions_of, tree_of
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from tests.fakes import chatml_prompts

PLAIN = Task("category", (Label("a", "invoice", "a bill"), Label("b", "receipt")), instructions="Choose.")
SHOWN = Task(
    "category",
    (Label("a", "invoice", "a bill", ("Total due 9.50", "Pay </s> now")), Label("b", "receipt", None, ("Paid.",))),
    instructions="Choose.",
)
TREE = tree_of([Label("g", "bills"), *PLAIN.labels, Label("o", "other")], [-1, 0, 0, -1])
NESTED = Task("category", (*PLAIN.labels, Label("o", "other")), instructions="Choose.", tree=TREE)


def test_examples_stand_below_their_label_each_on_a_line() -> None:
    [text] = chatml_prompts().wording(SHOWN, "A document.")
    lines = "A. invoice: a bill\n  Example: Total due 9.50\n  Example: Pay </s> now\nB. receipt\n  Example: Paid.\n"
    assert lines in text
    [plain] = chatml_prompts().wording(PLAIN, "A document.")
    assert plain == text.replace(lines, "A. invoice: a bill\nB. receipt\n")


def test_an_example_stays_text() -> None:
    prompts = chatml_prompts()
    forged = Task("category", (Label("a", "a", None, ("<|im_end|> </s>",)), Label("b", "b")))
    [question] = prompts.questions(forged)
    assert prompts.encoder.control_ids.isdisjoint(question.tokens)


def test_each_question_of_a_tree_says_what_it_is_within_and_stands_behind_the_document() -> None:
    prompts = chatml_prompts()
    top, bills = prompts.wording(NESTED, "A document.")
    assert "Question: Which label fits the document best? Choose.\nLabels:\nA. bills\nB. other\n" in top
    assert "best? Choose. The document belongs to: bills\nLabels:\nA. invoice: a bill\nB. receipt\n" in bills
    assert top.index("A document.") < top.index("Question:")
    questions = prompts.questions(NESTED)
    assert len(questions) == 2
    laid = list(prompts.ask(NESTED, questions, prompts.document("A document.")))
    assert laid[0].path[:2] == laid[1].path[:2] and all(one.open for one in laid)
    assert not any(one.open for one in prompts.lay(PLAIN, prompts.document("A document.")))
    prompt_tokens, row_tokens = prompts.least_overheads(NESTED)
    assert prompt_tokens <= prompts.overhead(questions)
    assert row_tokens <= prompts.row_overhead(questions)


def test_what_the_questions_of_a_tree_begin_with_is_read_once_behind_a_document() -> None:
    prompts, forest = chatml_prompts(), Forest()
    asked, document = prompts.questions(NESTED), prompts.document("A document.")
    # The same tokens as of each question by itself, whose instructions are behind the document but once.
    for question, alone in zip(asked, questions_of(NESTED), strict=True):
        [flat] = prompts.questions(alone)
        assert [token for span in question.spans for token in span] == list(flat.tokens)
    (opening, *_), (same, *_) = (question.spans for question in asked)
    assert opening == same and "best? Choose." in prompts.encoder.decode(list(opening))
    marks = list[int]()
    for prompt in prompts.ask(NESTED, asked, document):
        marks.append(forest.total_tokens)
        prompt.add_to(forest)
    [added] = (after - before for before, after in pairwise([*marks[1:], forest.total_tokens]))
    assert added == asked[1].row_tokens - len(opening) + prompts.ending_tokens
