"""Near-duplicates the slow way: every pair, sets of strings, and the parts of a graph that hang together."""

from collections.abc import Sequence

from pinpoint.evaluate.parts import normalised


def runs(text: str, length: int = 5) -> set[str]:
    clean = normalised(text)
    return {clean[start : start + length] for start in range(max(1, len(clean) - length + 1))}


def alike(first: str, second: str, at_least: float) -> bool:
    one, other = runs(first), runs(second)
    return len(one & other) / len(one | other) >= at_least


def groups_at(texts: Sequence[str], at_least: float) -> list[set[int]]:
    """Of each text, all that it is alike directly or through others."""
    near = [{k for k, other in enumerate(texts) if alike(text, other, at_least)} for text in texts]
    found = list[set[int]]()
    for start in range(len(texts)):
        reached, todo = set[int](), [start]
        while todo:
            index = todo.pop()
            if index not in reached:
                reached.add(index)
                todo += near[index]
        found.append(reached)
    return found
