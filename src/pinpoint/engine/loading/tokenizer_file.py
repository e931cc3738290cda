"""Whether transformers made of tokenizer.json what the file says.

From transformers 5 on a tokenizer's class may take the vocabulary and the merges of the file alone, and how text is
normalised and cut into words from its own code, by the model's type. With a tokenizer that is another family's, text
then becomes other tokens than those the model was trained with, and nothing fails.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

log = logging.getLogger("pinpoint")

FILE = "tokenizer.json"
# What families cut differently: numbers, line breaks, signs beside them, apostrophes, runs of spaces, other scripts.
PROBES = (
    "Answer the question.\n\nTotal due: 99.50 EUR, it's 12345  spaces\t(1)…\n\n\n Don't /x_y 5<6",
    "straße 請求書 счёт naïve cafe\u0301 \u00a0ﬁn №7:\n- a\n- b\n",
)
_NOTHING = {"type": "BPE", "vocab": {}, "merges": []}


def warn_of_other_tokens(folder: Path, tokenizer: Any) -> None:
    """Say in the log where a tokenizer makes other tokens of text than its file does by itself."""
    path, backend = folder / FILE, getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer) or not path.is_file():
        return
    held = json.loads(path.read_text(encoding="utf-8"))
    try:
        # The vocabulary is large, and read only where there is reason to.
        words = Tokenizer.from_str(json.dumps({**held, "model": _NOTHING, "added_tokens": [], "post_processor": None}))
        if all(_words(words, text) == _words(backend, text) for text in PROBES):
            return
        file = Tokenizer.from_file(str(path))
    except Exception:  # the library's own class; transformers took what it knows of such a file
        return
    for text in PROBES:
        ours, theirs = tokenizer.encode(text, add_special_tokens=False), file.encode(text, add_special_tokens=False)
        if ours != theirs.ids:
            pairs = enumerate(zip(ours, theirs.ids, strict=False))
            at = next((at for at, (one, other) in pairs if one != other), min(len(ours), len(theirs.ids)))
            log.warning(
                "tokenizer: %s as transformers reads it (%s) makes other tokens of text than the file says, %s where "
                "it has %s; prompts are of the former, which are wrong where the model was trained with the file's",
                path, type(tokenizer).__name__, tokenizer.convert_ids_to_tokens(ours[at : at + 1]),
                theirs.tokens[at : at + 1],
            )  # fmt: skip
            return


def _words(tokenizer: Tokenizer, text: str) -> list[str]:
    if tokenizer.normalizer is not None:
        text = tokenizer.normalizer.normalize_str(text)
    if tokenizer.pre_tokenizer is None:
        return [text]
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]
