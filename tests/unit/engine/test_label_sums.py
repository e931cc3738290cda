"""Sums of labels: the bits of Python's own, whatever the terms."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.engine.forward.label_sums import label_sums
from tests.reference import packing as reference

# As a model gives them: float32 numbers; a certain token's are tiny, an impossible one's is −inf.
log_probs = st.one_of(st.floats(-90.0, 0.0), st.floats(-1e-6, 0.0), st.just(-math.inf)).map(
    lambda value: float(np.float32(value))
)
labels_of_terms = st.lists(st.lists(log_probs, max_size=7), max_size=9)


def summed(labels: list[list[float]]) -> list[float]:
    terms = np.array([term for label in labels for term in label], dtype=np.float64)
    return list(map(float, label_sums(terms, np.array([len(label) for label in labels], dtype=np.int64))))


def bits(sums: list[float]) -> list[str]:
    return [value.hex() for value in sums]


@given(labels_of_terms)
def test_sums_are_those_of_one_label_after_the_other(labels: list[list[float]]) -> None:
    slow = reference.label_sums([term for label in labels for term in label], [len(label) for label in labels])
    assert bits(summed(labels)) == bits(slow)
    if sys.version_info >= (3, 12):
        assert bits(slow) == bits([float(sum(label)) for label in labels])


@given(labels_of_terms)
def test_sums_are_exact_to_the_last_digit_or_so(labels: list[list[float]]) -> None:
    assert summed(labels) == pytest.approx([math.fsum(label) for label in labels], rel=1e-15)


def test_what_is_lost_of_a_sum_is_added_in_the_end() -> None:
    assert summed([[-1e16, -1.0, -1.0], [], [-math.inf, -1.0], [-0.0]]) == [-1e16 - 2, 0.0, -math.inf, 0.0]
