"""Synthetic messages: what a person might write to a company or an assistant, with labels for what was meant.

An intent is an action on a thing ("book:flight") or a whole subject ("subject:angry").  Its message, its label wording
and its description are drawn independently from the tables in ``data/``, so that message and label often share no word,
sometimes a stem, sometimes the very words; a model trained on them has to read both.
"""

import random
import re
from dataclasses import dataclass

from . import lexicon, noise
from .lexicon import Form, Thing
from .templates import Fill, compile_template, render

__all__ = ["Intent", "description", "message", "name", "near_intents", "sample_intent"]

SUBJECT_SHARE = 0.12  # of the sampled intents; their messages vary less than those of the product
SCENE_SHARE = 0.38  # of the messages tell something around the thing
PRONOUN_SHARE = 0.3  # of those with a scene do not name the thing again
WORDS_LIMIT = 40
DESCRIPTION_WORDS_LIMIT = 14
_SUBJECT = "subject"
_VOWEL_SOUNDS = (
    "hour",
    "x-ray",
    "sms",
    "mot",
    "atm",
    "etf",
)  # "an hour", "an sms" -- though they start with a consonant
_PARTICLE_VERB = re.compile(  # "call off it" is put right
    r"\b(bring|bump|call|crank|cut|dig|give|power|pull|push|put|set|shut|switch|turn) "
    r"(back|down|off|on|out|up) (it|them)\b"
)
_PERSON = frozenset("X")
_ADDRESSED = frozenset({"urgency", "team"})  # groups of subjects whose messages may greet and thank
_WITHOUT_ONE = frozenset("HKFT")  # kinds of thing that are "it" and never "one": an illness, a dish, a fee, a transfer


@dataclass(frozen=True)
class Intent:
    """What a message wants; a key is "action:thing" or "subject:name"."""

    key: str
    domain: str


def sample_intent(rng: random.Random) -> Intent:
    """Any intent; things are drawn evenly, then an action that suits."""
    if rng.random() < SUBJECT_SHARE:
        return _subject_intent(rng.choice(list(lexicon.subjects())))
    while True:
        thing = rng.choice(list(lexicon.things()))
        fitting = lexicon.actions_of(thing)
        if fitting:
            return _intent(rng.choice(fitting), thing)


def near_intents(rng: random.Random, intent: Intent, count: int) -> list[Intent]:
    """Up to `count` different intents that are easily taken for `intent` but mean something else."""
    found: dict[str, Intent] = {}
    for _ in range(count * 12):
        if len(found) == count:
            break
        other = _near(rng, intent)
        if other is not None and not any(_same(other, known) for known in (intent, *found.values())):
            found[other.key] = other
    return list(found.values())


def message(rng: random.Random, intent: Intent) -> str:
    """What a person who has `intent` writes, 4 to 40 words."""
    while True:
        text = _message(rng, intent)
        if 4 <= len(text.split()) <= WORDS_LIMIT:
            return text


def name(rng: random.Random, intent: Intent) -> str:
    """A short label for `intent`."""
    action, thing = _split(intent)
    if thing is None:
        text = render(rng, compile_template(rng.choice(lexicon.subjects()[action].labels)), _values(rng))
    else:
        source = rng.choice(lexicon.actions()[action].labels)
        form = _form(rng, thing, action, source, canonical=0.5)
        text = render(rng, compile_template(source), _words(rng, thing, form))
    return noise.label_style(rng, text)


def description(rng: random.Random, intent: Intent) -> str:
    """A longer label for `intent`, 4 to 14 words."""
    while True:
        text = _description(rng, intent)
        if 4 <= len(text.split()) <= DESCRIPTION_WORDS_LIMIT:
            return text


def _description(rng: random.Random, intent: Intent) -> str:
    action, thing = _split(intent)
    if thing is None:
        return render(rng, compile_template(rng.choice(lexicon.subjects()[action].descriptions)), _values(rng))
    source = rng.choice(lexicon.actions()[action].descriptions)
    return render(rng, compile_template(source), _words(rng, thing, _form(rng, thing, action, source, canonical=0.5)))


def _intent(action: str, thing: str) -> Intent:
    return Intent(f"{action}:{thing}", lexicon.things()[thing].domain)


def _subject_intent(key: str) -> Intent:
    group = lexicon.subjects()[key].group
    return Intent(f"{_SUBJECT}:{key}", group)


def _split(intent: Intent) -> tuple[str, Thing | None]:
    """The action and its thing, or the subject's key and None."""
    action, _, rest = intent.key.partition(":")
    return (rest, None) if action == _SUBJECT else (action, lexicon.things()[rest])


def _near(rng: random.Random, intent: Intent) -> Intent | None:
    action, thing = _split(intent)
    if thing is None:
        group = [key for key, subject in lexicon.subjects().items() if subject.group == intent.domain]
        return _subject_intent(rng.choice(group))
    draw = rng.random()
    if draw < 0.45:
        return _intent(rng.choice(lexicon.actions_of(thing.key)), thing.key)
    neighbours = lexicon.things_in(thing.domain)
    if draw < 0.85:
        fitting = [key for key in neighbours if action in lexicon.actions_of(key)]
        if len(fitting) < 3 or rng.random() < 0.2:
            fitting = list(lexicon.things_of(action))
        return _intent(action, rng.choice(fitting))
    other = rng.choice(neighbours)
    return _intent(rng.choice(lexicon.actions_of(other)), other)


def _same(left: Intent, right: Intent) -> bool:
    """Whether a reader could take the one for the other."""
    action, thing = _split(left)
    other_action, other_thing = _split(right)
    if thing is None or other_thing is None:
        return left.key == right.key
    return lexicon.actions_clash(action, other_action) and lexicon.things_clash(thing.key, other_thing.key)


def _form(rng: random.Random, thing: Thing, action: str, source: str, canonical: float) -> Form:
    """A way to name `thing` that fits the slots of `source`, a template of the action."""
    forms = thing.forms
    if lexicon.actions()[action].kinds == _PERSON:  # one becomes a plumber, not plumbing
        forms = tuple(form for form in forms if form.number != "m")
    if "{o}" in source:  # things in general: "smoking", "black holes"
        forms = tuple(form for form in forms if form.number != "s") or forms
    elif "{n}" in source:  # before another noun: "car" repair
        forms = tuple(form for form in forms if form.compact and form.number != "p") or forms
    elif "{x}" in source:  # its verb is in the singular
        forms = tuple(form for form in forms if form.number != "p") or forms
    return forms[0] if rng.random() < canonical else rng.choice(forms)


def _message(rng: random.Random, intent: Intent) -> str:
    action, thing = _split(intent)
    if thing is None:
        text = render(rng, compile_template(rng.choice(lexicon.subjects()[action].messages)), _values(rng))
        return noise.message_style(rng, text, wrap=intent.domain in _ADDRESSED)
    source = rng.choice(lexicon.actions()[action].messages)
    fill = _words(rng, thing, _form(rng, thing, action, source, canonical=0.3))
    if not thing.scenes or rng.random() > SCENE_SHARE:
        return noise.message_style(rng, render(rng, compile_template(source), fill))
    scene = render(rng, rng.choice(thing.scenes), _values(rng))
    if rng.random() < PRONOUN_SHARE and "{n}" not in source and "{o}" not in source:
        text = _PARTICLE_VERB.sub(r"\1 \3 \2", render(rng, compile_template(source), _pronouns(rng, thing, fill)))
        return noise.message_style(rng, noise.join(rng, scene, text))
    text = render(rng, compile_template(source), fill)
    first, second = (scene, text) if rng.random() < 0.6 else (text, scene)
    return noise.message_style(rng, noise.join(rng, first, second))


def _values(rng: random.Random) -> Fill:
    return lambda slot: noise.value(rng, slot)


def _words(rng: random.Random, thing: Thing, form: Form) -> Fill:
    """The slots of a template about `thing`, named by `form`; verbs agree with it."""
    text, plural = form.text, form.number == "p"

    def fill(slot: str) -> str:
        match slot:
            case "o" | "n":
                return text
            case "a":
                return _indefinite(form)
            case "my":
                if not thing.owned:
                    return _definite(form) if form.number == "s" else text
                draw = rng.random()
                return _definite(form) if draw < 0.2 else f"{'our' if draw < 0.28 else 'my'} {text}"
            case "the":
                return _definite(form) if form.number == "s" or thing.owned else text
            case "x":
                return _indefinite(form) if rng.random() < 0.5 else thing.gloss
            case "it":
                return "them" if plural else "it"
            case "is":
                return "are" if plural else "is"
            case "was":
                return "were" if plural else "was"
            case "has":
                return "have" if plural else "has"
            case "does":
                return "do" if plural else "does"
            case "s":
                return "" if plural else "s"
            case "es":
                return "" if plural else "es"
            case "this":
                return "these" if plural else "this"
            case _:
                return noise.value(rng, slot)

    return fill


def _pronouns(rng: random.Random, thing: Thing, fill: Fill) -> Fill:
    """As `fill`, but the thing is only "it", "that one" ...: the scene said what it is."""
    plural = thing.forms[0].number == "p"

    def without_name(slot: str) -> str:
        match slot:
            case "a" if thing.forms[0].number == "s" and not thing.kinds & _WITHOUT_ONE:
                return "one"
            case "my" | "the" | "a" | "o" | "n":
                return "them" if plural else "it"
            case "is" | "was" | "has" | "does" | "s" | "es" | "it" | "this":
                return _words(rng, thing, thing.forms[0])(slot)
            case _:
                return fill(slot)

    return without_name


def _definite(form: Form) -> str:
    return form.text if form.text.startswith(("the ", "my ")) else f"the {form.text}"


def _indefinite(form: Form) -> str:
    if form.number != "s":
        return form.text
    vowel = form.text[0] in "aeiou" and not form.text.startswith(("uni", "use", "eu", "one", "uti"))
    return f"{'an' if vowel or form.text.startswith(_VOWEL_SOUNDS) else 'a'} {form.text}"
