"""Text to tokens: our text and text from outside, each its own way.

The chat format may hold control tokens such as `[INST]`; text from outside never becomes one, whatever it says, be the
token called special or only added (`</think>`). Otherwise a prompt's tokens are those of the whole text encoded at
once. Spans are encoded apart, so their seams stand where no tokenizer merges: behind a line break, before a letter
(`prompt_proof` compares, at load). What comes before such a seam is encoded with all that shares its line.

Each run is encoded as a continuation, so that tokenizers which put a space before the first word (SentencePiece) do not
put one in the middle of a prompt.
"""

from __future__ import annotations

import copy
import string
from collections.abc import Iterable, Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer, models

from pinpoint.errors import ModelError
from pinpoint.prompting import template
from pinpoint.prompting.byte_cache import ByteCache
from pinpoint.prompting.chat_frame import chat_frame, control_tokens
from pinpoint.prompting.template import Piece

# Labels that must be scorable behind every prompt, and such as begin with signs, which may merge with what precedes
# them: those are refused one by one.
_PROBE_WORDS = ("invoice", "Purchase order", "none of the above", "42", "ünïcode")
_PROBE_SIGNS = ("(other)", "/etc", "- x", "…")
_LABELS_BYTES = 8_000_000  # some 20,000 labels of 20 characters
_LABEL_BYTES, _LABEL_CHAR_BYTES = 300, 44  # that one takes at most: four bytes a character, and a token of its own


class PromptEncoder:
    """Encodes pieces and labels for one model. Not tied to a thread: it holds one tokenizer object for each kind of
    text.

    Setting `split_special_tokens` changes the state of the tokenizer that it is set on, which is not safe when two
    threads share that object, so text from outside has an object of its own that is never used any other way.

    Attributes:
        tokenizer: the model's own, for text of ours.
        frame: what the chat template puts around a question and its answer.
        control_ids: ids that no text from outside is ever given.
        stop: id of the token that ends the model's turn.
        unknown: id of the token of what has none; None where everything has one.
        is_byte_pair: whether tokens come from merging neighbours (`long_text`).
    """

    def __init__(self, tokenizer: Any) -> None:
        """Take the chat template apart and see what the tokenizer merges.

        Raises:
            ModelError: `chat_template`, `no_stop_token`, `label_boundary` or `unsafe_tokenizer`: prompts cannot be
                encoded exactly, or text from outside would not stay text.
        """
        self.tokenizer = tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if isinstance(backend, Tokenizer) and isinstance(backend.model, models.BPE):
            backend.model.dropout = None  # merges left out at random are for training
        controls = control_tokens(tokenizer)
        self._untrusted = _splitting(tokenizer, controls)
        self.frame = chat_frame(tokenizer)
        self.is_byte_pair = isinstance(backend, Tokenizer) and isinstance(backend.model, models.BPE)
        self.unknown: int | None = tokenizer.unk_token_id
        self.control_ids = frozenset(controls)
        self.stop = self._stop_id()
        # The tokens of a run depend on what precedes it; behind a line break they do not.
        self._anchor = "\n"
        self._anchor_trusted = self._encode(self._anchor, trusted=True)
        self._anchor_untrusted = self._encode(self._anchor, trusted=False)
        self._check_outside_stays_text(controls)
        self._label_lead = self._find_label_lead(controls)
        self._labels = ByteCache[str, tuple[int, ...]](_LABELS_BYTES)

    def opening(self, pieces: Iterable[Piece] = ()) -> list[int]:
        """Token ids of what the chat template puts before the user's text, and of text of ours right behind it."""
        return self._encode(self.frame.opening + "".join(piece.text for piece in pieces), trusted=True)

    def pieces(self, pieces: Iterable[Piece]) -> list[int]:
        """Token ids of a part of the prompt that begins a line."""
        head, tail = self.runs(pieces)
        return (self.text(head, trusted=False) if head else []) + (self.text(tail, trusted=True) if tail else [])

    def runs(self, pieces: Iterable[Piece]) -> tuple[str, str]:
        """What of a part of the prompt that begins a line is encoded as text from outside, and what as ours.

        Up to the end of the last line that holds text from outside, all is encoded as if it came from there: no
        tokenizer then splits a word or a full stop from the line break behind it. Chat format may stand behind that
        line.
        """
        given = list(pieces)
        text = "".join(piece.text for piece in given)
        outside = sum(len(piece.text) for piece in given[: _last_outside(given) + 1])
        line_end = text.find("\n", outside) + 1 if outside else 0  # outside itself may end with a line break
        cut = line_end if line_end else outside
        return text[:cut], text[cut:]

    def text(self, text: str, *, trusted: bool) -> list[int]:
        """Token ids of one run of text that continues a prompt behind a line break."""
        anchor = self._anchor_trusted if trusted else self._anchor_untrusted
        ids = self._encode(self._anchor + text, trusted=trusted)
        if ids[: len(anchor)] == anchor:
            return ids[len(anchor) :]
        return self._encode(text, trusted=trusted)

    def show(self, token: int) -> str:
        """Text of one token."""
        text: str = self.tokenizer.decode([token], clean_up_tokenization_spaces=False)
        return text

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of token ids that the model wrote, without control tokens."""
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return text.strip()

    def label_tokens(self, label: str) -> tuple[int, ...]:
        """Token ids of a label as the model would write it: the same after every prompt.

        Empty where the tokenizer merges the label with the text before it.
        """
        tokens = self._labels.get(label)
        if tokens is None:
            tokens = self._behind(self._label_lead, self.frame.gap + label) or ()
            size_bytes = _LABEL_BYTES + _LABEL_CHAR_BYTES * max(len(label), len(tokens))
            self._labels.put(label, tokens, size_bytes)
        return tokens

    def longest_word_chars(self) -> int | None:
        """Most ASCII letters and digits that one token stands for; None where some of them have no token."""
        alphabet = string.ascii_letters + string.digits
        ids = self.text(alphabet, trusted=False)
        if not ids or self.unknown in ids:
            return None
        return max(sum(map(alphabet.__contains__, token)) for token in self._untrusted.get_vocab())

    def _behind(self, lead: str, text: str) -> tuple[int, ...] | None:
        """Token ids of text from outside behind `lead`; None where the two merge."""
        before, both = self._encode(lead, trusted=False), self._encode(lead + text, trusted=False)
        return tuple(both[len(before) :]) if both[: len(before)] == before else None

    def _encode(self, text: str, *, trusted: bool) -> list[int]:
        tokenizer = self.tokenizer if trusted else self._untrusted
        # Not verbose: it warns of texts beyond the context, which are cut or refused later, in words.
        ids: list[int] = tokenizer.encode(
            text, add_special_tokens=False, split_special_tokens=not trusted, verbose=False
        )
        return ids

    def _stop_id(self) -> int:
        ids = self._encode(self.frame.stop, trusted=True)
        for token in ids:
            if token in self.control_ids:
                return token
        raise ModelError("no_stop_token", "the model's tokenizer names no end-of-turn token; use another model")

    def _check_outside_stays_text(self, controls: dict[int, str]) -> None:
        # The token for unknown text is no one's to forge: it says nothing.
        able = self.control_ids - {self.tokenizer.unk_token_id}
        for text in controls.values():
            if not able.isdisjoint(self.text(f"a{text}b", trusted=False)):
                raise ModelError(
                    "unsafe_tokenizer",
                    f"this tokenizer turns {text!r} in a document into a control token, so a document could end its "
                    "own turn; use another model",
                    "MODEL_NAME",
                )

    def _find_label_lead(self, controls: dict[int, str]) -> str:
        """Text behind which a label, encoded as text from outside, has the tokens that it has behind the prompt.

        The prompt itself cannot stand there, since its control tokens would be split. Prompt and label encoded together
        must begin with the prompt's own tokens, else a score means nothing.
        """
        ending = "".join(piece.text for piece in template.ending()) + self.frame.closing
        prompt = self._encode(self._anchor + ending, trusted=True)
        wanted: dict[str, tuple[int, ...] | None] = {}
        for label in (*_PROBE_WORDS, *_PROBE_SIGNS):
            both = self._encode(self._anchor + ending + self.frame.gap + label, trusted=True)
            wanted[label] = tuple(both[len(prompt) :]) if both[: len(prompt)] == prompt else None
        last = max((ending.rfind(text) + len(text) for text in controls.values() if text in ending), default=0)
        if all(wanted[label] for label in _PROBE_WORDS):
            for lead in (ending[last:], self._anchor, ""):
                if all(tokens == self._behind(lead, self.frame.gap + label) for label, tokens in wanted.items()):
                    return lead
        raise ModelError(
            "label_boundary",
            "this tokenizer merges the end of the prompt with the label, so labels cannot be scored exactly; "
            "use a model whose chat template ends the user's turn with a control token or a line break",
            "MODEL_NAME",
        )


def contains_control(ids: Sequence[int], control_ids: frozenset[int]) -> bool:
    """Whether any of the ids is a control token."""
    return not control_ids.isdisjoint(ids)


def _last_outside(pieces: Sequence[Piece]) -> int:
    """Index of the last piece from outside, −1 where there is none."""
    return max((index for index, piece in enumerate(pieces) if not piece.trusted), default=-1)


def _splitting(tokenizer: Any, controls: dict[int, str]) -> Any:
    """A copy of the tokenizer to which every control token is special, so that `split_special_tokens` splits them all:
    left alone it spares those that are only added."""
    apart = copy.deepcopy(tokenizer)
    apart.add_tokens([AddedToken(text, special=True, normalized=False) for text in controls.values()], True)
    return apart
