"""Words in a document that speak to a model and not to a person: told to the sender, never taken out.

A score is computed over the caller's labels alone, so such words can move an answer, and no more. That somebody put
them there is worth knowing all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pinpoint.documents.visible import counted

_READ_CHARS = 500_000  # of a document; further in, nobody would put it
_PATTERNS = re.compile(
    r"(?:ignore|disregard|forget|override)\s+(?:(?:all|any|every|the|your|my|these|those|previous|prior|above|earlier|"
    r"preceding|system|other)\s+){1,4}(?:instructions?|prompts?|rules|directions|guidelines|context)"
    r"|(?:ignoriere|vergiss)\s+(?:alle\s+|deine\s+|die\s+|bisherigen?\s+|vorherigen?\s+){1,4}(?:anweisungen|vorgaben)"
    r"|ignore[rz]?\s+(?:toutes\s+)?les\s+instructions\s+(?:précédentes|ci-dessus)"
    r"|(?:you\s+are|act\s+as|pretend\s+to\s+be)\s+(?:now\s+)?(?:an?\s+)?(?:ai|language\s+model|assistant|chatbot|llm)\b"
    r"|(?:classify|label|categori[sz]e|mark)\s+(?:this|the)\s+(?:document|file|text|page|e?-?mail|invoice)\s+as\b"
    r"|(?:answer|respond|reply)\s+(?:only\s+)?with\s+(?:the\s+)?(?:label|word|category|class)\b"
    r"|\b(?:system\s+prompt|jailbreak)\b|\[/?INST\]|<\|(?:im_start|im_end|system|user|assistant|eot_id)\|?>|<</?SYS>>",
    re.IGNORECASE,
)


def suspicious(pages: Iterable[str]) -> list[str]:
    """A warning where a document holds words that look like instructions to a model; none of them is repeated."""
    count, left = 0, _READ_CHARS
    for page in pages:
        count += sum(1 for _ in _PATTERNS.finditer(page[:left]))
        left -= len(page)
        if left <= 0:
            break
    return [f"words that look like instructions to a model in {counted(count, 'place')}"] if count else []
