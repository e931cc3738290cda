"""What people write about: things, actions and whole subjects, read from the text files in ``data/``.

``objects*.txt`` list things by domain: surface forms, a gloss, kinds and scenes (what people say around such a thing).
``actions.txt`` lists actions: the kinds of thing that they suit, label wordings (L), descriptions (D), messages (M).
``subjects.txt`` lists whole intents without an object: topics of a sentence, moods, small talk.
An action suits a thing when they share a kind; this product gives some thousands of intents.
"""

import functools
import itertools
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from .templates import Template, compile_template

DATA = Path(__file__).parent / "data"
_PREPOSITIONS = frozenset({"of", "for", "by", "to", "in", "on", "with", "at", "from", "about", "that", "the"})
_TOO_CLOSE = """
price amount; price discount; track late duration pending; availability stock book; end pause downgrade
refund return; dispute unrecognised why_charged waive; broken repair damaged; howto setup; lost stolen
recommend compare reviews; define explain unit_meaning; directions location; update_details correct edit
ingredients recipe; renew expiry apply; crash update_app; relief serious; time sport_schedule tickets
limit allowed; buy book price tickets; sick care feed; requirements apply allowed; increase set_goal raise
failed pending; locked failed; list_add create ingredients; end cancel; permissions share; waive refund
history origin; buy list_add stock; cause explain; copy print; copy backup; like reviews; recommend play
stop_media dislike; apply open_account; balance amount level history; praise like; damaged dislike return
complain_about dislike report_behaviour; delete end uninstall; damaged wrong_item; connect setup
broken locked crash; dearer amount history; learn recommend; buy recommend; search location; convert unit_meaning
limit requirements
"""  # actions that a reader could take for one another on the same thing: never each other's distractors


@dataclass(frozen=True)
class Form:
    """One way to name a thing; number is "s" (a car), "m" (luggage) or "p" (cars)."""

    text: str
    number: str

    @property
    def compact(self) -> bool:
        """Whether the form can stand before another noun ("car" repair, not "loan for a car" repair)."""
        words = self.text.split()
        return len(words) <= 3 and not _PREPOSITIONS.intersection(words)


@dataclass(frozen=True)
class Thing:
    """An object or topic; `owned` things take "my", others "the" or nothing."""

    key: str
    domain: str
    forms: tuple[Form, ...]
    gloss: str
    kinds: frozenset[str]
    scenes: tuple[Template, ...]
    owned: bool


@dataclass(frozen=True)
class Action:
    """What a person wants with a thing of one of `kinds`."""

    key: str
    kinds: frozenset[str]
    labels: tuple[str, ...]
    descriptions: tuple[str, ...]
    messages: tuple[str, ...]


@dataclass(frozen=True)
class Subject:
    """An intent of its own: its group, wordings and messages."""

    key: str
    group: str
    labels: tuple[str, ...]
    descriptions: tuple[str, ...]
    messages: tuple[str, ...]


def _lines(name: str) -> list[str]:
    text = (DATA / name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _parts(text: str, separator: str = ";") -> tuple[str, ...]:
    return tuple(part for part in (piece.strip() for piece in text.split(separator)) if part)


def _form(text: str) -> Form:
    if text[0] in "+~":
        return Form(text[1:], "p" if text[0] == "+" else "m")
    return Form(text, "s")


@functools.cache
def things() -> dict[str, Thing]:
    """All things by key; a key is the first form."""
    found: dict[str, Thing] = {}
    domain = ""
    for line in itertools.chain(*map(_lines, sorted(source.name for source in DATA.glob("objects*.txt")))):
        if line.startswith("=="):
            domain = line[2:].strip()
            continue
        fields = [field.strip() for field in line.split(" | ")]
        if len(fields) != 4:
            raise ValueError(f"objects.txt: {line!r} has {len(fields)} fields, not 4")
        owned = not fields[0].startswith("=")
        forms = tuple(_form(part) for part in _parts(fields[0].removeprefix("=")))
        key = forms[0].text
        if key in found:
            raise ValueError(f"objects.txt: {key!r} twice")
        scenes = tuple(compile_template(scene) for scene in _parts(fields[3]))
        found[key] = Thing(key, domain, forms, fields[1], frozenset(fields[2].split()), scenes, owned)
    return found


@functools.cache
def actions() -> dict[str, Action]:
    """All actions by key."""
    return {key: Action(key, frozenset(head.split()), *wording) for key, head, wording in _blocks("actions.txt")}


@functools.cache
def subjects() -> dict[str, Subject]:
    """All intents without an object by key."""
    return {key: Subject(key, group, *wording) for key, group, wording in _blocks("subjects.txt")}


Wordings = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def _blocks(name: str) -> list[tuple[str, str, Wordings]]:
    blocks: list[tuple[str, str, Wordings]] = []
    key, head = "", ""
    lists: dict[str, list[str]] = defaultdict(list)

    def close() -> None:
        if key:
            blocks.append((key, head, (tuple(lists["L"]), tuple(lists["D"]), tuple(lists["M"]))))

    for line in _lines(name):
        if line[0] == "@":
            close()
            key, head = (part.strip() for part in line[1:].split("|"))
            lists = defaultdict(list)
        elif line[:2] in ("L ", "D "):
            lists[line[0]].extend(_parts(line[2:]))
        elif line[:2] == "M ":
            lists["M"].append(line[2:].strip())
        else:
            raise ValueError(f"{name}: {line!r} starts with none of @ L D M")
    close()
    return blocks


@functools.cache
def actions_of(thing: str) -> tuple[str, ...]:
    """The keys of the actions that suit the thing."""
    kinds = things()[thing].kinds
    return tuple(key for key, action in actions().items() if action.kinds & kinds and "-" + key not in kinds)


@functools.cache
def things_of(action: str) -> tuple[str, ...]:
    """The keys of the things that the action suits."""
    return tuple(key for key in things() if action in actions_of(key))


@functools.cache
def things_in(domain: str) -> tuple[str, ...]:
    """The keys of the things in the domain that have an action."""
    return tuple(key for key, thing in things().items() if thing.domain == domain and actions_of(key))


@functools.cache
def actions_clash(left: str, right: str) -> bool:
    """Whether two actions on one thing could be taken for one another."""
    return left == right or any(left in group and right in group for group in _close_groups())


@functools.cache
def _close_groups() -> tuple[frozenset[str], ...]:
    return tuple(frozenset(group.split()) for group in _TOO_CLOSE.replace("\n", ";").split(";") if group)


@functools.cache
def things_clash(left: str, right: str) -> bool:
    """Whether two things could be taken for one another: all words of a form of one stand in a form of the other."""
    if left == right:
        return True
    ours = [_stems(form.text) for form in things()[left].forms]
    theirs = [_stems(form.text) for form in things()[right].forms]
    return any(one <= other or other <= one for one in ours for other in theirs)


def _stems(text: str) -> frozenset[str]:
    return frozenset(word.rstrip("s") for word in text.split())
