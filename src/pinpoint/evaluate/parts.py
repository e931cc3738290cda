"""Parts of a data set that share no document and no near-duplicate of one.

    texts ── shingles ── MinHash, bands ── pairs that may be alike ── Jaccard, exact ── groups ── parts

A text that was seen while fitting, or one like it, says nothing about texts that were not. So whatever is alike is one
group, and groups are dealt out whole. Alike are two texts whose sets of shingles (five characters in a row, after
`normalised`) have a Jaccard index of at least `ALIKE`. MinHash (Broder, 1997) with bands only proposes pairs; each is
measured exactly before it counts, so texts are never put together by chance. A pair just at the limit is proposed with
a probability of 0.997, one at 0.9 with one of 1 - 2e-8. One text inside another, much longer one is not found.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from pinpoint.errors import PinpointError

ALIKE = 0.8
SHINGLE = 5  # characters: short messages have enough of them, and one word that differs leaves most of a page alone
BANDS, ROWS = 32, 8
FIT, TEST = 0, 1
AT_ONCE = 2048

_SEPARATORS = re.compile(r"[\W_]+")
_PRIME = np.uint64(0x9E3779B97F4A7C15)  # odd, its bits well mixed (the golden ratio's)


def normalised(text: str) -> str:
    """The text without what a copy may differ in: case, compatibility forms, punctuation, white space."""
    return _SEPARATORS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def shingles(text: str) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Hashes of the different runs of five characters of a normalised text, sorted; a shorter one is a run itself."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    length = min(SHINGLE, len(codes))
    hashes = np.zeros(max(1, len(codes) - length + 1), dtype=np.uint64)
    for offset in range(length):
        hashes = _mixed(hashes ^ codes[offset : offset + len(hashes)])
    return np.unique(hashes)


def jaccard(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    """Shared values over all values of two sorted arrays without repeats."""
    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared / (len(first) + len(second) - shared)


def groups_of(texts: Sequence[str], documents: Sequence[Hashable | None] | None = None) -> list[int]:
    """The group of each text: the index of the first text that it is alike, by itself or through others.

    Args:
        texts: of the documents.
        documents: what each is a part of; those with the same one that is not None are one group whatever they say.
    """
    leader = list(range(len(texts)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    def join(first: int, second: int) -> None:
        low, high = sorted((find(first), find(second)))
        leader[high] = low

    same: dict[Hashable, int] = {}
    clean = [normalised(text) for text in texts]
    for index, text in enumerate(clean):
        join(same.setdefault(("text", text), index), index)
        if documents is not None and documents[index] is not None:
            join(same.setdefault(("document", documents[index]), index), index)
    distinct = sorted({same["text", text] for text in clean})
    sets = {index: shingles(clean[index]) for index in distinct}
    for first, second in _proposed(sets):
        if find(first) != find(second) and jaccard(sets[first], sets[second]) >= ALIKE:
            join(first, second)
    return [find(index) for index in range(len(texts))]


def deal(
    texts: Sequence[str], labels: Sequence[str], groups: Sequence[int], weights: Sequence[float], seed: int = 0
) -> list[int]:
    """The part of each document, so that no group is in two parts and each label is shared out by the weights.

    The same documents are dealt alike in whatever order they come, and alike for everybody who has the same seed.

    Args:
        texts: of the documents.
        labels: the right one of each.
        groups: of each, from `groups_of`.
        weights: how large each part shall be, in any unit.
        seed: of the order in which groups are dealt.
    """
    members = defaultdict[int, list[int]](list)
    for index, group in enumerate(groups):
        members[group].append(index)
    order = {group: min(_drawn(seed, texts[index]) for index in inside) for group, inside in members.items()}
    held = [Counter[str]() for _ in weights]
    parts = [0] * len(texts)
    # Large groups first: what is dealt later evens out what they upset.
    for group in sorted(members, key=lambda group: (-len(members[group]), order[group])):
        inside = Counter(labels[index] for index in members[group])
        label = min(inside, key=lambda name: (-inside[name], name))
        part = min(
            (number for number, weight in enumerate(weights) if weight > 0),
            key=lambda number: (
                (held[number][label] + inside[label]) / weights[number],
                (held[number].total() + inside.total()) / weights[number],
            ),
        )
        held[part] += inside
        for index in members[group]:
            parts[index] = part
    return parts


def split(
    texts: Sequence[str],
    labels: Sequence[str],
    test_share: float = 0.5,
    seed: int = 0,
    documents: Sequence[Hashable | None] | None = None,
) -> list[int]:
    """`FIT` or `TEST` for each document.

    Raises PinpointError `too_few_documents` where one part would be empty, with the counts.
    """
    groups = groups_of(texts, documents)
    parts = deal(texts, labels, groups, (1 - test_share, test_share), seed)
    if len(set(parts)) < 2:
        raise PinpointError(
            "too_few_documents",
            f"{len(texts)} documents, near-duplicates counted once {len(set(groups))}: "
            f"too few for a part to fit on and a part of {test_share:g} to test on",
            "DATA",
        )
    return parts


def apart_from(texts: Sequence[str], others: Sequence[str]) -> list[int]:
    """Positions of the texts that are neither among the others nor alike one of them, be it through a third."""
    groups = groups_of([*others, *texts])
    taken = set(groups[: len(others)])
    return [index for index, group in enumerate(groups[len(others) :]) if group not in taken]


def _drawn(seed: int, text: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{normalised(text)}".encode("utf-8", "replace")).digest()


def _mixed(values: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    values = values * _PRIME
    mixed: np.ndarray[Any, np.dtype[np.uint64]] = values ^ (values >> np.uint64(29))
    return mixed


def _proposed(sets: dict[int, np.ndarray[Any, np.dtype[np.uint64]]]) -> Iterator[tuple[int, int]]:
    """Pairs that share all rows of a band of their signatures."""
    salts = _mixed(_mixed(np.arange(1, BANDS * ROWS + 1, dtype=np.uint64)))
    signatures = {index: _signature(values, salts).reshape(BANDS, ROWS) for index, values in sets.items()}
    for band in range(BANDS):
        buckets = defaultdict[bytes, list[int]](list)
        for index, signature in signatures.items():
            buckets[signature[band].tobytes()].append(index)
        for bucket in buckets.values():
            yield from ((first, second) for place, second in enumerate(bucket) for first in bucket[:place])


def _signature(
    values: np.ndarray[Any, np.dtype[np.uint64]], salts: np.ndarray[Any, np.dtype[np.uint64]]
) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """The smallest of the values under each of the salted hashes; a few thousand values at a time."""
    least = np.full(len(salts), np.iinfo(np.uint64).max, dtype=np.uint64)
    for start in range(0, len(values), AT_ONCE):
        hashes = _mixed(_mixed(values[start : start + AT_ONCE, None] ^ salts))
        least = np.minimum(least, hashes.min(axis=0))
    return least
