"""Labels that nobody could tell apart, and the digest of what shapes a prompt."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.prompting.taxonomy import (
    Label,
    Task,
    duplicate_key,
    find_duplicate,
    find_look_alikes,
    labels_sha,
    skeleton,
)

TASK = Task(
    "category", (Label("a", "invoice"), Label("b", "receipt", "paid at once")), instructions="Choose by purpose."
)

SAME = [
    ("finance", "\ufb01nance"),  # ligature
    ("strasse", "stra\u00dfe"),
    ("Invoice", "INVOICE"),
    ("invoice", "invoice "),
    ("tax form", "tax \t  form"),
    ("tax form", "tax\u00a0form"),
    ("invoice", "in\u200bvo\u200dice\ufeff"),
    ("invoice", "\uff49nvoice"),  # full width
    ("caf\u00e9", "cafe\u0301"),
    ("a\u00adb", "ab"),
    ("s\u015b", "\u00df\u0301"),  # folding undoes the normal form
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_duplicates(one: str, other: str) -> None:
    assert duplicate_key(one) == duplicate_key(other)
    assert find_duplicate(["first", one, "third", other]) == (1, 3)


@pytest.mark.parametrize(
    ("one", "other"), [("invoice", "invoices"), ("tax form", "taxform"), ("cafe", "caf\u00e9"), ("p\u0430y", "pay")]
)
def test_not_duplicates(one: str, other: str) -> None:
    assert find_duplicate([one, other]) is None


@given(st.text())
def test_the_key_of_a_key_is_itself(name: str) -> None:
    assert duplicate_key(duplicate_key(name)) == duplicate_key(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("paypal", "p\u0430yp\u0430l"),
        ("BANK", "\u0412ANK"),
        ("TAX", "\u03a4\u0391\u03a7"),
        ("copy", "\u0441\u043e\u0440\u0443"),
    ],
)
def test_look_alikes(one: str, other: str) -> None:
    assert duplicate_key(one) != duplicate_key(other)
    assert skeleton(one) == skeleton(other)
    assert find_look_alikes(["x", one, other]) == [(1, 2)]


def test_names_that_do_not_look_alike_have_no_warning() -> None:
    assert find_look_alikes(["invoice", "\u0441\u0447\u0435\u0442", "receipt", "\u0447\u0435\u043a"]) == []


def test_the_digest_is_stable() -> None:
    """A change here empties every prefix store and voids every calibration: raise the prompt version with it."""
    assert labels_sha(TASK) == "4f93abbf601860ca"


def test_the_digest_of_one_task_is_that_of_a_list_of_one() -> None:
    assert labels_sha(TASK) == labels_sha([TASK])
    assert labels_sha([TASK, TASK]) != labels_sha(TASK)


@pytest.mark.parametrize(
    "other",
    [
        replace(TASK, name="kind"),
        replace(TASK, labels=TASK.labels[::-1]),
        replace(TASK, labels=(Label("a", "Invoice"), TASK.labels[1])),
        replace(TASK, labels=(Label("a", "invoice", "x"), TASK.labels[1])),
        replace(TASK, multi_label=True),
        replace(TASK, labels_first=True),
        replace(TASK, instructions=None),
    ],
)
def test_the_digest_changes_with_the_prompt(other: Task) -> None:
    assert labels_sha(other) != labels_sha(TASK)


@pytest.mark.parametrize(
    "other",
    [
        replace(TASK, mask=frozenset({"a"})),
        replace(TASK, prior={"a": 0.5, "b": 0.5}),
        replace(TASK, labels=(Label("other id", "invoice"), TASK.labels[1])),
    ],
)
def test_the_digest_ignores_what_acts_on_the_answer_alone(other: Task) -> None:
    assert labels_sha(other) == labels_sha(TASK)


def test_a_task_with_a_prior_can_be_a_key() -> None:
    with_prior = replace(TASK, prior={"a": 0.5, "b": 0.5})
    assert len({TASK, with_prior}) == 2
