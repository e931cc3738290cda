"""Training rows: one packed forest each, with the right label's tokens as targets.

Two layouts, as in the product: one question and many short texts, or one document and many questions. A row holds
several answers at little more than the price of one.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from pathlib import Path

from pinpoint.engine.forward.packing import PackedRow, pack
from pinpoint.prompting import template
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.span_tree import NO_PARENT, Forest
from training import messages, model
from training.choices import MOST_LABELS, Choice, Concept, concept_choice, mention_choice, yes_no
from training.packets import boundary_choice
from training.predicates import predicate
from training.sources import document_concepts, intent_concepts, load_intents, message_concept
from training.topics import topic_concepts

TRADE = frozenset(("order-to-cash", "stock-and-sales", "shipping"))
# (row length, rows a batch, share of the batches): compiled once each, about the same number of tokens. The longest
# teaches the far positions of the context.
SHAPES = ((256, 16, 0.5), (512, 8, 0.42), (2048, 2, 0.08))
# Share of the rows of a lesson, by the length of a row. Without rows of their own, predicates are crowded out by the
# questions where documents begin, which are a matter of yes and no as well. The rest are choices among labels. A row of
# predicates holds twice the answers of another: they come to about 0.22 of all, beginnings to 0.14.
LESSONS: dict[int, dict[str, float]] = {
    256: {"predicates": 0.22},
    512: {"predicates": 0.15, "boundaries": 0.24},
    2048: {"predicates": 0.15, "boundaries": 0.4},
}
# Kinds that are taken for each other on sight: told by what stands in them and not by what they are headed.
CONFUSED = (("invoice", "receipt"), ("invoice", "bill"), ("receipt", "invoice"), ("letter", "email"))
CONFUSED_SHARE = 0.1  # of the lists of kinds
TOPICS_ASKED = 0.15  # of the texts that predicates are about, beside those that any list may be about


class RowMaker:
    """Draws tasks and lays them into rows."""

    def __init__(self, encoder: PromptEncoder, intents_path: Path) -> None:
        self.encoder = encoder
        self.intents = intent_concepts(load_intents(intents_path).trained)
        self.kinds = document_concepts()
        frame = encoder.frame
        self.root = encoder.opening(template.root())
        self._mention_share, self._mention_reach = 0.0, 0.0
        self.ending = encoder.pieces([*template.ending(), template.Piece(frame.closing, True)])

    def rows(self, rng: random.Random, length: int, count: int, *, first_lessons: bool = False) -> list[PackedRow]:
        """`count` rows of at most `length` tokens.

        The first lessons are almost only lists of words of which one stands in the text: names cannot be learned by
        heart there, so the model learns to find and copy before it learns what things are called.
        """
        made: list[PackedRow] = []
        self._mention_share, self._mention_reach = (0.9, 0.4) if first_lessons else (0.12, 1.0)
        while len(made) < count:
            lesson = "" if first_lessons else _drawn(rng, LESSONS[length])
            if lesson == "boundaries":
                row = self._boundaries(rng, length)
            elif lesson == "predicates":
                row = self._predicates(rng, length)
            else:
                row = self._labels_first(rng, length) if rng.random() < 0.6 else self._document_first(rng, length)
            if row is not None:
                made.append(row)
        return made

    def draw_concepts(self, rng: random.Random, long: bool) -> tuple[list[Concept], list[Concept]]:
        """Concepts to draw texts of, and wrong ones beside them."""
        size = rng.choice((2, 3, 4, 5, 5, 6, 8, 8, 10, 10, 12, MOST_LABELS))
        source = rng.random()
        if long or source < 0.25:
            # The papers of trade are most alike and most asked for: every third list is about them.
            families = TRADE if rng.random() < 0.35 else {rng.choice(self.kinds)[0]}
            near = [c for f, c in self.kinds if f in families]
            pool = [c for _, c in self.kinds]
            share = 1.0 if families is TRADE else rng.choice((0.0, 0.4, 0.8))
            picked = {c.key: c for c in rng.sample(near, min(len(near), round(size * share)))}
            if rng.random() < CONFUSED_SHARE:
                two = rng.choice(CONFUSED)
                picked = {c.key: c for _, c in self.kinds if c.key.removeprefix("document:") in two} | picked
            for concept in rng.sample(pool, len(pool)):
                if len(picked) >= size:
                    break
                picked.setdefault(concept.key, concept)
            concepts = list(picked.values())
        elif source < 0.36:
            concepts = topic_concepts(rng, min(size, 8))
        elif source < 0.72:
            concepts = rng.sample(self.intents, size)
        else:
            intents = [messages.sample_intent(rng)]
            if rng.random() < 0.6:
                intents += messages.near_intents(rng, intents[0], max(1, round((size - 1) * rng.choice((0.3, 0.6, 1)))))
            while len(intents) < size:
                other = messages.sample_intent(rng)
                if all(other.key != known.key for known in intents):
                    intents.append(other)
            concepts = [message_concept(intent) for intent in intents[:size]]
        rng.shuffle(concepts)
        right = max(1, min(len(concepts), rng.randint(1, 6)))
        return concepts[:right], concepts[right:]

    def _labels_first(self, rng: random.Random, length: int) -> PackedRow | None:
        texts = 8 if length <= 256 else 6
        right, wrong = self.draw_concepts(rng, long=length > 256 and rng.random() < 0.85)
        if rng.random() < self._mention_share:
            drawn = [rng.choice(right).text(rng) for _ in range(min(texts, len(right) + 2))]
            choice = mention_choice(rng, drawn, [c.text(rng) for c in wrong[:8]], self._mention_reach)
        else:
            choice = concept_choice(rng, right, wrong, texts)
        if choice is None:
            return None
        layout = _Layout(self, length)
        question = layout.question(choice)
        added = 0
        for example in choice.examples:
            document = self._document(example.text, length)
            added += layout.add([self.root, question, document + self.ending], choice.task.labels[example.answer].name)
        return layout.row() if added else None

    def _boundaries(self, rng: random.Random, length: int) -> PackedRow | None:
        layout = _Layout(self, length)
        choice = boundary_choice(rng, length // 120)
        question = layout.question(choice)
        added = 0
        for example in choice.examples:
            document = self._document(example.text, length, whole=True)
            added += layout.add([self.root, question, document + self.ending], choice.task.labels[example.answer].name)
        return layout.row() if added else None

    def _predicates(self, rng: random.Random, length: int) -> PackedRow | None:
        """Texts of several sources, each with some statements that hold of it and some that do not."""
        layout = _Layout(self, length)
        added = failed = 0
        other = ""
        while failed < 2 and added < length // 24:
            right, wrong = self.draw_concepts(rng, long=rng.random() < (0.25 if length <= 256 else 0.6))
            if rng.random() < TOPICS_ASKED:
                right, wrong = topic_concepts(rng, rng.randint(3, 8)), []
            concept = right[0]
            text = concept.text(rng)
            document = self._document(text, length)
            most = rng.choice((2, 3, 4)) if length <= 256 else rng.choice((3, 4, 6))
            wrong = [*right[1:], *wrong] or self.draw_concepts_around(rng, concept, [])[1]
            for _ in range(most):
                task, holds = predicate(rng, concept, wrong, text[: length + length // 2], other)
                question = self.encoder.pieces(template.yes_no_question(task, task.labels[0], model.PROMPT_VERSION))
                done = layout.add([self.root, document, question + self.ending], template.YES if holds else template.NO)
                added, failed = added + done, failed + (not done)
            other = text
        return layout.row() if added else None

    def _document_first(self, rng: random.Random, length: int) -> PackedRow | None:
        layout = _Layout(self, length)
        text, document, added = "", [], 0
        for _ in range(12 if length <= 512 else 24):
            if not text:
                right, wrong = self.draw_concepts(rng, long=length > 256 and rng.random() < 0.9)
                concept = right[0]
                wrong = [*right[1:], *wrong]
                text = concept.text(rng)
                if length > 512:
                    text = "\n".join([text, *(concept.text(rng) for _ in range(rng.randint(3, 9)))])
                document = self._document(text, length)
            if rng.random() < self._mention_share:
                mention = mention_choice(rng, [text], [c.text(rng) for c in wrong[:8]], self._mention_reach)
                if mention is None:
                    continue
                choice = mention
            else:
                choice = concept_choice(rng, [replace(concept, text=partial(_given, text))], wrong, 1)
            answer = choice.task.labels[choice.examples[0].answer]
            if rng.random() < 0.12:
                asked = answer if rng.random() < 0.5 else rng.choice(choice.task.labels)
                question = self.encoder.pieces(
                    template.yes_no_question(yes_no(rng, choice).task, asked, model.PROMPT_VERSION)
                )
                target = template.YES if asked is answer else template.NO
            else:
                question, target = layout.question(choice), answer.name
            added += layout.add([self.root, document, question + self.ending], target)
            right, wrong = self.draw_concepts_around(rng, concept, wrong)
        return layout.row() if added else None

    def draw_concepts_around(
        self, rng: random.Random, concept: Concept, wrong: list[Concept]
    ) -> tuple[list[Concept], list[Concept]]:
        """Another list for the same text: some of the same wrong labels, in another number."""
        others = {c.key: c for c in wrong}
        prefix = concept.key.partition(":")[0]
        # Topics overlap: the wrong ones stay as they were drawn beside each other.
        pool = {"document": [c for _, c in self.kinds], "intent": self.intents, "topic": []}.get(prefix)
        if pool is None:
            pool = [message_concept(messages.sample_intent(rng)) for _ in range(6)]
        for other in rng.sample(pool, min(len(pool), 6)):
            others[other.key] = other
        others.pop(concept.key, None)
        picked = list(others.values())
        rng.shuffle(picked)
        return [concept], picked[: max(1, rng.choice((1, 2, 3, 4, 4, 6, 9, MOST_LABELS - 1)))]

    def _document(self, text: str, length: int, *, whole: bool = False) -> list[int]:
        opening, body, closing = template.document(text)
        share = 1.0 if whole else {256: 0.66, 512: 0.5}.get(length, 0.8)
        tokens = self.encoder.text(body.text, trusted=False)[: round(length * share)]
        return self.encoder.pieces([opening]) + tokens + self.encoder.pieces([closing])


def _drawn(rng: random.Random, shares: dict[str, float]) -> str:
    """One of the names by its share, or none."""
    at = rng.random()
    for name, share in shares.items():
        if at < share:
            return name
        at -= share
    return ""


def _given(text: str, rng: random.Random) -> str:
    """Draw always the same text."""
    return text


class _Layout:
    """A forest that is filled up to a number of tokens."""

    def __init__(self, maker: RowMaker, length: int) -> None:
        self.maker, self.length = maker, length
        self.forest = Forest()
        self.used = 0

    def question(self, choice: Choice) -> list[int]:
        return self.maker.encoder.pieces(template.choice_question(choice.task, model.PROMPT_VERSION))

    def add(self, spans: list[list[int]], answer: str) -> bool:
        encoder = self.maker.encoder
        trie = build_trie([encoder.label_tokens(answer)], encoder.stop)
        new = self.forest.new_tokens(spans)
        if new == 0 or self.used + new + len(trie.tokens) > self.length:
            return False  # the same text under the same question is there already, or there is no room
        parent = NO_PARENT
        for span in spans:
            parent = self.forest.add(span, parent)
        self.forest.ask(parent, trie)
        self.used += new + len(trie.tokens)
        return True

    def row(self) -> PackedRow:
        return pack(self.forest)
