"""The composable pieces of documents: field groups, parties, prose, lists and headings, each a function of the case.

A block returns its text, or nothing when the case leaves it out; the kinds differ in the data they give to these \
  blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from .case import Case
from .grammar import alternatives, lines

Block: TypeAlias = Callable[[Case], str]
Pair: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """A labelled fact: synonyms of the label and forms of the value; as many forms as synonyms belong one to one."""

    labels: tuple[str, ...]
    values: tuple[str, ...]

    def draw(self, case: Case) -> Pair:
        """A label and the template of its value."""
        labels, values = self.labels, self.values
        at = int(case.random() * len(labels))
        value = values[at] if len(values) == len(labels) else values[int(case.random() * len(values))]
        return case.fill(labels[at]), value


def fields(text: str) -> tuple[Field, ...]:
    """Fields from lines ``label|synonym = value template|other form``."""
    split = (line.split(" = ", 1) for line in lines(text))
    return tuple(Field(alternatives(label.strip()), alternatives(value.strip())) for label, value in split)


def arrange(case: Case, pairs: list[Pair]) -> str:
    """Labels and values set out in the style of the document."""
    if not pairs:
        return ""
    style = case.style
    how = style.arrangement if case.random() < 0.85 else case.pick(("lines", "inline", "stacked", "columns"))
    pairs = [(style.label(label), value) for label, value in pairs]
    if how == "columns" and len(pairs) > 1:
        return "\n".join(label for label, _ in pairs) + "\n" + "\n".join(value for _, value in pairs)
    if how == "grid" and len(pairs) > 1:
        return style.cell.join(label for label, _ in pairs) + "\n" + style.cell.join(value for _, value in pairs)
    if how == "stacked":
        return "\n".join(f"{label}\n{value}" for label, value in pairs)
    texts = [label + style.separator + value for label, value in pairs]
    if how == "inline":
        return style.joint.join(texts)
    if how == "pairs":
        return "\n".join(style.joint.join(texts[at : at + 2]) for at in range(0, len(texts), 2))
    return "\n".join(texts)


def form(
    marks: tuple[Field, ...],
    others: tuple[Field, ...] = (),
    low: int = 2,
    high: int = 8,
    headings: tuple[str, ...] = ("details", "general information", "summary", "information", "data", "general"),
) -> Block:
    """A group of fields: some that tell the kind (more when there is no title to tell it) and some of the others.

    The first three marks are the strongest ones; an untitled document has at least one of these.
    """

    def block(case: Case) -> str:
        if case.titled:
            least, most = (0, 1) if case.sparse else (1, 4)
        else:
            least, most = 2, 5
        chosen = case.some(marks, least, most)
        if not case.titled and not any(field in chosen for field in marks[:3]):
            chosen.append(case.pick(marks[:3]))
        wanted = case.scaled(low, high) - len(chosen)
        chosen += case.some(others, min(1, max(0, wanted)), max(0, wanted))
        if case.random() < 0.6:
            case.rng.shuffle(chosen)
        pairs = [(label, case.fill(value)) for label, value in (field.draw(case) for field in chosen)]
        text = arrange(case, pairs)
        if text and case.random() < 0.15:
            text = case.style.heading(case.pick(headings)) + case.pick((":\n", "\n", ": ", "\n---\n")) + text
        return text

    return block


def party(heads: str, prefix: str, who: str, chance: float = 0.8) -> Block:
    """A company or person with address and contacts, as a letterhead block, keyed fields or one line."""

    def block(case: Case) -> str:
        if case.random() > chance or (case.size < 0.2 and case.random() < 0.6):
            return ""
        name = case.slot(who)
        street, town, city, region, postal, country = case.address()
        form = case.random()
        if form < 0.35:
            word = case.fill(prefix)
            word = word + " " if word else ""
            pairs = [
                (f"{word}{case.fill('name|name|company|contact name||id')}".strip() or "name", name),
                (f"{word}{case.fill('address|address|street|addr.')}", street),
                (f"{word}{case.fill('city|city|town')}", city),
                (f"{word}{case.fill('region|state|county|province')}", region),
                (f"{word}{case.fill('postal code|postcode|zip|zip code|post code')}", postal),
                (f"{word}country", country),
                (f"{word}{case.fill('contact|attn|contact person')}", case.slot("person")),
                (f"{word}{case.fill('phone|tel|telephone|phone no.')}", case.phone()),
                (f"{word}{case.fill('email|e-mail')}", case.slot("mail")),
                (f"{word}{case.fill('vat no.|tax id|vat reg no|gstin')}", case.slot("vatid")),
            ]
            keep = [pair for pair in pairs[1:6] if case.random() < 0.7]
            keep += [pair for pair in pairs[6:] if case.random() < 0.25]
            text = arrange(case, [pairs[0], *keep])
            if case.random() < 0.3 and (head := case.fill(heads)):
                head = head + case.fill(" details| details| information|| data")
                text = case.style.heading(head) + case.pick((":\n", "\n", ": ", "\n\n")) + text
            return text
        parts = [name, street, town]
        if case.random() < 0.3:
            parts.insert(1, case.fill("[Attn: |c/o |FAO |]") + case.slot("person"))
        if case.random() < 0.55:
            parts.append(country)
        if case.random() < 0.35:
            parts.append(case.fill("[Tel|Phone|T|Tel.|Fax][: |. | ]") + case.phone())
        if case.random() < 0.2:
            parts.append(case.slot("mail"))
        if case.random() < 0.15:
            parts.append(case.fill("[VAT|VAT No|Tax ID|Reg. no.|GSTIN][: | ]") + case.slot("vatid"))
        if form > 0.9:
            parts = parts[:1]
        head = case.style.label(case.fill(heads))
        if not head:
            return "\n".join(parts) if form < 0.75 else ", ".join(parts)
        if form < 0.7:
            return head + case.pick((":", "", ":", " -")) + "\n" + "\n".join(parts)
        return head + case.style.separator + case.pick((", ", " ", ", ", "; ")).join(parts)

    return block


def say(pool: str, low: int = 1, high: int = 3, chance: float = 1.0, mark: bool = False) -> Block:
    """A paragraph of sentences from the pool; one that marks the kind is never left out of an untitled document."""
    templates = lines(pool)

    def block(case: Case) -> str:
        if not (mark and not case.titled) and (case.random() > chance):
            return ""
        chosen = case.some(templates, low, case.scaled(low, high))
        texts = [case.sentence(template) for template in chosen]
        if len(texts) > 3 and case.random() < 0.6:
            cut = case.between(1, len(texts) - 1)
            return " ".join(texts[:cut]) + case.pick(("\n", "\n\n")) + " ".join(texts[cut:])
        return " ".join(texts)

    return block


def tell(pools: tuple[str, ...], joint: str = " ") -> Block:
    """Prose that follows an order: sentences from each of the pools in turn, more of them in longer documents."""
    stages = tuple(lines(pool) for pool in pools)

    def block(case: Case) -> str:
        share = min(1.0, 0.4 + case.size)
        texts: list[str] = []
        for at, stage in enumerate(stages):
            if at and case.random() > share:
                continue
            count = 1 + int(case.size * case.random() * 3.5)
            chosen = case.rng.sample(stage, min(count, len(stage))) if count > 1 else [case.pick(stage)]
            texts.append(" ".join(case.sentence(template) for template in chosen))
        joints = (joint, "\n", "\n\n") if len(texts) > 2 and case.size > 0.5 else (joint,)
        return case.pick(joints).join(texts)

    return block


def listing(pool: str, low: int = 2, high: int = 6, chance: float = 1.0, repeat: bool = False) -> Block:
    """A list of entries, bulleted, numbered or bare; a repeating one draws each entry anew from the pool."""
    templates = lines(pool)

    def block(case: Case) -> str:
        if case.random() > chance:
            return ""
        count = case.scaled(low, high)
        chosen = [case.pick(templates) for _ in range(count)] if repeat else case.some(templates, count, count)
        style = case.style
        texts = [case.sentence(template) for template in chosen]
        if style.numbered:
            return "\n".join(f"{at}. {text}" for at, text in enumerate(texts, 1))
        return "\n".join(style.bullet + text for text in texts)

    return block


def under(heading: str, block: Block, chance: float = 0.75) -> Block:
    """The block below a heading, which is sometimes left out."""

    def headed(case: Case) -> str:
        text = block(case)
        if not text or case.random() > chance:
            return text
        return case.style.heading(case.fill(heading)) + case.pick(("\n", ":\n", ": ", "\n\n")) + text

    return headed


def maybe(chance: float, block: Block) -> Block:
    """The block, or nothing."""
    return lambda case: block(case) if case.random() < chance else ""


def either(*blocks: Block) -> Block:
    """One of the blocks."""
    return lambda case: case.pick(blocks)(case)


def both(*blocks: Block) -> Block:
    """The blocks one below the other."""
    return lambda case: "\n".join(text for block in blocks if (text := block(case)))


def line(*templates: str) -> Block:
    """One line from a template, as it stands."""
    return lambda case: case.fill(case.pick(templates))


def rows_of(*templates: str) -> Block:
    """Lines whose cells, between `;;`, stand apart as the document's style has it: in columns, or behind bars."""

    def block(case: Case) -> str:
        joint = case.memo.setdefault("joint", case.pick((" | ", " | ", "  ", " ", "    ", "\t")))
        filled = (case.fill(template) for template in templates)
        return "\n".join(joint.join(part.strip() for part in text.split(";;")) for text in filled if text.strip())

    return block
