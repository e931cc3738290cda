"""The prompts that are measured against each other, as text with holes.

`{document}` and `{options}` are filled with text from outside; all else is ours. What the model is to write is either
an option's text or its code, after `answer`, which already stands in its turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from bench.prompt_items import GROWING_KINDS, MANY, Item
from pinpoint.prompting.template import Piece

ROOT = "Answer the question about the document with one of the given labels and nothing else.\n"
DOCUMENT = "Document:\n{document}\n\n"


def letters(index: int) -> str:
    """A, B … Z."""
    return ascii_uppercase[index]


def pairs(index: int) -> str:
    """AA, AB … ZZ."""
    return letters(index // 26) + letters(index % 26)


def numbers(index: int) -> str:
    """1, 2, …"""
    return str(index + 1)


@dataclass(frozen=True, slots=True)
class Variant:
    """One prompt.

    Attributes:
        name: as it stands in tables.
        user: the user's turn.
        line: one option, with `{name}` and maybe `{code}`.
        code: of an option, by its place; None if options have no code.
        scored: what the model is to write: `{name}`, `{code}` or both.
        answer: what the model's turn already holds.
        reverse: the options from last to first.
        title: yes and no as Yes and No.
    """

    name: str
    user: str
    line: str = "- {name}\n"
    code: Callable[[int], str] | None = None
    scored: str = "{name}"
    answer: str = ""
    reverse: bool = False
    title: bool = False

    @property
    def asks(self) -> bool:
        """Whether it asks for yes or no about one label."""
        return "{asked}" in self.user

    def suits(self, item: Item) -> bool:
        """Whether it asks what `item` asks, and has codes enough."""
        if item.kind == MANY:
            return self.name in _OF_MANY
        if item.kind.partition("/")[0] in GROWING_KINDS and "/" in item.kind:
            return self.name in _OF_GROWING
        if item.asked and not item.kind.startswith("yes "):
            return self.name in _OF_PREDICATES
        return self.asks == bool(item.asked)

    def pieces(self, document: str, labels: Sequence[str], asked: str) -> Iterator[Piece]:
        """The user's turn."""
        for part in re.split(r"( ?\{\w+\})", self.user):
            if part.strip() in ("{document}", "{asked}"):
                filled = {"{document}": document, "{asked}": asked}[part.strip()]
                yield Piece(part.replace(part.strip(), filled), False)
            elif part == "{options}":
                for place, label in enumerate(labels):
                    yield from _filled(self.line, label, self.code(place) if self.code else "")
            elif part:
                yield Piece(part, True)

    def answers(self, labels: Sequence[str]) -> list[str]:
        """What the model would write for each label."""
        if self.asks and self.code is None:
            return [self.scored.format(name=label.title() if self.title else label) for label in labels]
        return [
            self.scored.format(name=label, code=self.code(place) if self.code else "")
            for place, label in enumerate(labels)
        ]


def _filled(line: str, name: str, code: str) -> Iterator[Piece]:
    for part in re.split(r"( ?\{name\})", line.replace("{code}", code)):
        if part.strip() == "{name}":
            yield Piece(part.replace("{name}", name), False)
        elif part:
            yield Piece(part, True)


def _lettered(name: str, user: str, line: str = "{code}. {name}\n", **rest: str) -> Variant:
    return Variant(name, user, line, letters, rest.pop("scored", "{code}"), **rest)  # type: ignore[arg-type]


_V1_QUESTION = "Question: Which label fits the document best?\nLabels:\n{options}"
_V1_DOCUMENT = "Document:\n{document}\nEnd of document.\n"
_LETTER = "{options}\nAnswer with the letter only."
_WHICH = "Which of these options fits the document best?\n"

_PLAIN = (
    Variant("v1 labels first", f"{ROOT}{_V1_QUESTION}{_V1_DOCUMENT}Label:"),
    Variant("v1 document first", f"{ROOT}{_V1_DOCUMENT}{_V1_QUESTION}Label:"),
    _lettered("letter", f"{DOCUMENT}{_WHICH}{_LETTER}"),
    Variant("text", DOCUMENT + "Which of these labels fits the document best?\n{options}\nAnswer with the label only."),
    _lettered("letter, paren", f"{DOCUMENT}{_WHICH}{_LETTER}", line="{code}) {name}\n"),
    Variant("number", f"{DOCUMENT}{_WHICH}{{options}}\nAnswer with the number only.", "{code}. {name}\n", numbers,
            "{code}"),
    _lettered("letter, categories", DOCUMENT + "Which category does the document belong to?\n" + _LETTER),
    _lettered("letter, end fence", f"{_V1_DOCUMENT}{_WHICH}{_LETTER}"),
    _lettered("letter, announced", "Read the document and answer the question about it.\n\n" + DOCUMENT + _WHICH
              + _LETTER),
    _lettered("letter, text", "Text:\n{document}\n\nWhich of these options fits the text best?\n" + _LETTER),
    _lettered("letter, quoted text", 'Text: """{document}"""\n\nWhich of these options fits the text best?\n'
              + _LETTER),
    _lettered("letter, tags", f"<document>\n{{document}}\n</document>\n\n{_WHICH}{_LETTER}"),
    _lettered("letter, Answer:", f"{DOCUMENT}{_WHICH}{{options}}\nAnswer with the letter only.\nAnswer:"),
    _lettered("letter, begun", f"{DOCUMENT}{_WHICH}{_LETTER}", answer="Answer:", scored=" {code}"),
    _lettered("letter and text", f"{DOCUMENT}{_WHICH}{{options}}\nAnswer with the letter and the option.",
              scored="{code}. {name}"),
    _lettered("text of lettered", f"{DOCUMENT}{_WHICH}{{options}}\nAnswer with the text of the option only.",
              scored="{name}"),
    Variant("text, JSON", DOCUMENT + "Which of these labels fits the document best?\n{options}\n"
            "Answer with the label in double quotes.", answer='"'),
    Variant("two letters", f"{DOCUMENT}{_WHICH}{{options}}\nAnswer with the two letters only.", "{code}. {name}\n",
            pairs, "{code}"),
    _lettered("letter, options first", f"{_WHICH}{{options}}\n{DOCUMENT}Answer with the letter only."),
    _lettered("letter, asked twice", "Which of the options below fits this document best?\n\n" + DOCUMENT + _WHICH
              + _LETTER),
)  # fmt: skip

_ONE_OF = "Answer with one of the labels and nothing else.\n"
_READ = "Read the document and answer the question about it.\n"
_CATEGORY = "Question: Which category does the document belong to?\nCategories:\n{options}"
_TOLD = (
    Variant("document first, no root", f"{_V1_DOCUMENT}{_V1_QUESTION}Label:"),
    _lettered("letter, root", ROOT + _V1_DOCUMENT + "Question: Which of these options fits the document best?\n"
              "{options}Answer with the letter only.\nLabel:"),
    _lettered("letter, v1 words", f"{ROOT}{_V1_DOCUMENT}{_V1_QUESTION}Answer with the letter of the label only.\n"
              "Label:"),
    Variant("document first, told after", f"{_V1_DOCUMENT}{_V1_QUESTION}{_ONE_OF}Label:"),
    Variant("document first, read it", f"{_READ}{_V1_DOCUMENT}{_V1_QUESTION}{_ONE_OF}Label:"),
    Variant("document first, category", f"{_V1_DOCUMENT}{_CATEGORY}"
            "Answer with one of the categories and nothing else.\nCategory:"),
    Variant("document first, category, Answer:", f"{_V1_DOCUMENT}{_CATEGORY}"
            "Answer with one of the categories and nothing else.\nAnswer:"),
    Variant("document first, category, read it", f"{_READ}{_V1_DOCUMENT}{_CATEGORY}"
            "Answer with one of the categories and nothing else.\nCategory:"),
    Variant("document first, category, read it, Answer:", f"{_READ}{_V1_DOCUMENT}{_CATEGORY}"
            "Answer with one of the categories and nothing else.\nAnswer:"),
    # What many questions have in common before what differs, so that a job of many reads it once.
    *(
        Variant(f"category, told before, {name}", f"{_READ}{_V1_DOCUMENT}Question: {question}")
        for name, question in (
            ("listed", "Which category does the document belong to? Answer with one of these categories and nothing "
                       "else.\nCategories:\n{options}Category:"),
            ("short", "Which of these categories does the document belong to? Answer with one of them and nothing "
                      "else.\n{options}Category:"),
            ("short, Answer:", "Which of these categories does the document belong to? Answer with one of them and "
                               "nothing else.\n{options}Answer:"),
            ("fits, Answer:", "Which of these fits the document best? Answer with one of them and nothing else.\n"
                              "{options}Answer:"),
        )
    ),
    _lettered("letter, category", f"{_V1_DOCUMENT}{_CATEGORY}Answer with the letter of the category only.\n"
              "Category:"),
)  # fmt: skip

_YES_NO = "{options}\nAnswer with the letter only."
_YES: tuple[Variant, ...] = (
    Variant("v1 yes", f"{ROOT}{_V1_DOCUMENT}Question: Does this label fit the document?\n- {{asked}}\nLabels:\n"
            "{options}Label:"),
    Variant("Yes", DOCUMENT + 'Does the label "{asked}" fit the document? Answer with Yes or No only.', title=True),
    Variant("yes", DOCUMENT + 'Does the label "{asked}" fit the document? Answer with yes or no only.'),
    Variant("Yes, apart", DOCUMENT + "Does this label fit the document?\n- {asked}\nAnswer with Yes or No only.",
            title=True),
    Variant("Yes, example", DOCUMENT + 'Is this document an example of "{asked}"? Answer with Yes or No only.',
            title=True),
    _lettered("yes lettered", DOCUMENT + 'Does the label "{asked}" fit the document?\n' + _YES_NO),
    _lettered("yes lettered, apart", DOCUMENT + "Does this label fit the document?\n- {asked}\n" + _YES_NO),
)  # fmt: skip

_FITS = "Question: Does this label fit the document?\n- {asked}\n"
_ONLY = "Answer with Yes or No only.\n"
_LISTED = "Labels:\n- Yes\n- No\n"
_FITS_ONLY = "Question: Does this fit the document? Answer with Yes or No only.\n"
# Those that a job can hold beside a choice, since they share its document: of version 1 with its root, others without.
_YES_TOO = tuple(
    Variant(name, user, title=True)
    for name, user in (
        ("Yes, listed", f"{ROOT}{_V1_DOCUMENT}{_FITS}{_LISTED}Label:"),
        ("Yes, listed, only", f"{ROOT}{_V1_DOCUMENT}{_FITS}{_LISTED}{_ONLY}Label:"),
        ("Yes, only", f"{ROOT}{_V1_DOCUMENT}{_FITS}{_ONLY}Label:"),
        ("Yes, fits", f"{ROOT}{_V1_DOCUMENT}Question: Does this fit the document?\n- {{asked}}\n{_ONLY}Label:"),
        ("Yes, true", f"{ROOT}{_V1_DOCUMENT}Question: Is this true of the document?\n- {{asked}}\n{_ONLY}Label:"),
        ("Yes, as asked", f"{ROOT}{_V1_DOCUMENT}Question: {{asked}}\n{_ONLY}Label:"),
        ("Yes, as asked, listed", f"{ROOT}{_V1_DOCUMENT}Question: {{asked}}\n{_LISTED}{_ONLY}Label:"),
        ("Yes, only, open", f"{ROOT}{_V1_DOCUMENT}{_FITS}{_ONLY.strip()}"),
        ("Yes, only, no root", f"{_V1_DOCUMENT}{_FITS}{_ONLY}Label:"),
        ("Yes, listed, Answer:", f"{_V1_DOCUMENT}{_FITS}Answers:\n- Yes\n- No\n{_ONLY}Answer:"),
        *(
            (
                f"Yes, {name}, {'read it, ' if opening else ''}Answer:",
                f"{opening}{_V1_DOCUMENT}{question}{_ONLY}Answer:",
            )
            for opening in ("", _READ)
            for name, question in (
                ("only", _FITS),
                ("fits", "Question: Does this fit the document?\n- {asked}\n"),
                ("true", "Question: Is this true of the document?\n- {asked}\n"),
                ("as asked", "Question: {asked}\n"),
            )
        ),
        # What many questions have in common before what differs.
        ("Yes, told before, fits, Label:", f"{ROOT}{_V1_DOCUMENT}{_FITS_ONLY}- {{asked}}\nLabel:"),
        *(
            (f"Yes, told before, {name}", f"{_READ}{_V1_DOCUMENT}Question: {question}Answer:")
            for name, question in (
                ("label", "Does this label fit the document? Answer with Yes or No only.\n- {asked}\n"),
                ("fits", "Does this fit the document? Answer with Yes or No only.\n- {asked}\n"),
                ("true", "Is this true of the document? Answer with Yes or No only.\n- {asked}\n"),
                ("as asked", "Answer with Yes or No only. {asked}\n"),
                ("listed", "Does this label fit the document? Answer with Yes or No only.\nLabel: {asked}\n"),
            )
        ),
    )
)
_OF_PREDICATES = ("v1 yes", "Yes, apart", *(v.name for v in _YES_TOO))
_YES += (Variant("yes, only", f"{ROOT}{_V1_DOCUMENT}{_FITS}Answer with yes or no only.\nLabel:"), *_YES_TOO)

_REVERSED = ("yes lettered", "v1 labels first", "v1 document first", "letter, v1 words", "letter", "text",
             "letter, paren", "number", "letter, categories", "letter, text", "letter, tags",
             "two letters", "document first, category", "letter, category", "category, told before, short")  # fmt: skip

_OF_MANY = ("v1 labels first", "v1 document first", "document first, category", "category, told before, short",
            "text", "number", "two letters", "text <", "number <", "two letters <")  # fmt: skip

# What versions 2 and 3 ask of short lists and of long ones.
LETTERED, NAMED = "letter, v1 words", "v1 document first"
# What may follow it.
CATEGORY, LETTERED_CATEGORY = "document first, category", "letter, category"
TOLD_BEFORE = "category, told before, short"
_OF_GROWING = tuple(
    name + mark for name in (LETTERED, NAMED, CATEGORY, LETTERED_CATEGORY, TOLD_BEFORE) for mark in ("", " <")
)

VARIANTS = (
    _PLAIN
    + _TOLD
    + _YES
    + tuple(
        Variant(v.name + " <", v.user, v.line, v.code, v.scored, v.answer, reverse=True)
        for v in _PLAIN + _TOLD + _YES
        if v.name in _REVERSED
    )
)
