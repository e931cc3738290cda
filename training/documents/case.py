"""The case behind one document: who trades with whom, when, in which currency, written in which style.

A document is only believable when its parts agree, so every fact that may appear twice is drawn once per case and kept.
"""

from __future__ import annotations

from datetime import timedelta

from .draws import Draws
from .facts import FRESH, STABLE
from .lexicon import KEPT, LEXICON


class Case(Draws):
    """All random facts of one document, drawn when first asked for."""

    def sibling(self) -> Case:
        """Another case of the same sender, written in the same style some days apart."""
        other = Case(self.rng)
        other.style, other._trade = self.style, self._trade
        other.today = self.today + timedelta(days=self.between(-40, 40))
        kept = ("seller", "me", "town", "land", "myfirst", *(("buyer", "you") if self.chance(0.4) else ()))
        other.memo |= {name: self.memo[name] for name in kept if name in self.memo}
        return other

    def slot(self, name: str) -> str:
        """The text of a slot: kept facts stay the same, others are drawn anew, then the lexicon is asked."""
        kept = self.memo.get(name)
        if kept is not None:
            return kept
        fresh = FRESH.get(name)
        if fresh is not None:
            return fresh(self)
        stable = STABLE.get(name)
        if stable is not None:
            text = self.memo[name] = stable(self)
            return text
        text = self.fill(self.pick(LEXICON[name]))
        if name in KEPT:
            self.memo[name] = text
        return text
