"""Text to tokens: our text and text from outside, each its own way.

Our text (the template, the chat format) may hold control tokens such as `[INST]`; text from outside never becomes one,
whatever it says. Each run is encoded as a continuation, so that tokenizers which put a space before the first word
(SentencePiece) do not put one in the middle of a prompt.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pinpoint.errors import ModelError
from pinpoint.prompting.template import Piece

# Stands in for the two turns when the chat template is taken apart; plain enough that no tokenizer treats it specially.
_USER_MARK = "PINPOINTUSERTURN"
_MODEL_MARK = "PINPOINTMODELTURN"
_PROBE_LABELS = ("invoice", "Purchase order", "none of the above", "42", "ünïcode", "(other)")
_LABEL_CACHE_ENTRIES = 8192


@dataclass(frozen=True, slots=True)
class ChatFrame:
    """What the chat template puts around the user's text and around the answer.

    Attributes:
        opening: text before the user's content, with the start-of-text token where the template has one.
        closing: text from the end of the user's content to where the model begins to write.
        gap: text between that point and the answer's first character, often one space or nothing.
        stop: text that ends the model's turn.
    """

    opening: str
    closing: str
    gap: str
    stop: str


def chat_frame(tokenizer: Any) -> ChatFrame:
    """Take a tokenizer's chat template apart; a tokenizer without one gets a plain frame.

    Raises:
        ModelError: the template does not show the user's and the model's text verbatim.
    """
    if not getattr(tokenizer, "chat_template", None):
        return ChatFrame(tokenizer.bos_token or "", "", " ", tokenizer.eos_token or "")
    user = [{"role": "user", "content": _USER_MARK}]
    prompt = tokenizer.apply_chat_template(user, tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template([*user, {"role": "assistant", "content": _MODEL_MARK}], tokenize=False)
    opening, user_found, closing = prompt.partition(_USER_MARK)
    before, model_found, after = whole.partition(_MODEL_MARK)
    if not (user_found and model_found):
        raise ModelError(
            "chat_template", "the model's chat template does not show its turns verbatim; use another model"
        )
    # Some templates (Mixtral's) put the space that precedes the answer into the model's turn, some into the prompt.
    gap = before[len(prompt) :] if before.startswith(prompt) else ""
    return ChatFrame(opening, closing, gap, after.strip() or tokenizer.eos_token or "")


class PromptEncoder:
    """Encodes pieces and labels for one model. Not tied to a thread: it holds one tokenizer object for each kind of
    text.

    Setting `split_special_tokens` changes the state of the tokenizer that it is set on, which is not safe when two
    threads share that object, so text from outside has an object of its own that is never used any other way.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._trusted = tokenizer
        self._untrusted = copy.deepcopy(tokenizer)
        self.frame = chat_frame(tokenizer)
        self.control_ids = frozenset(tokenizer.all_special_ids) | frozenset(
            index for index, token in tokenizer.added_tokens_decoder.items() if token.special
        )
        self.stop = self._stop_id()
        # The answer's tokens depend on what precedes them; a line break precedes it safely in every tokenizer we know.
        self._anchor = "\n"
        self._anchor_trusted = self._encode(self._anchor, trusted=True)
        self._anchor_untrusted = self._encode(self._anchor, trusted=False)
        self.label_tokens = lru_cache(maxsize=_LABEL_CACHE_ENTRIES)(self._label_tokens)
        self._check_labels_extend_prompts()

    def pieces(self, pieces: Iterable[Piece]) -> list[int]:
        """Token ids of a part of the prompt."""
        merged: list[Piece] = []
        for piece in pieces:
            if merged and merged[-1].trusted and piece.trusted:
                merged[-1] = Piece(merged[-1].text + piece.text, True)
            else:
                merged.append(piece)
        return [token for piece in merged for token in self.text(piece.text, trusted=piece.trusted)]

    def text(self, text: str, *, trusted: bool) -> list[int]:
        """Token ids of one run of text that continues a prompt."""
        anchor = self._anchor_trusted if trusted else self._anchor_untrusted
        ids = self._encode(self._anchor + text, trusted=trusted)
        if ids[: len(anchor)] == anchor:
            return ids[len(anchor) :]
        return self._encode(text, trusted=trusted)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of token ids that the model wrote, without control tokens."""
        text: str = self._trusted.decode(tokens, skip_special_tokens=True)
        return text.strip()

    def opening(self) -> list[int]:
        """Token ids of what the chat template puts before the user's text."""
        return self._encode(self.frame.opening, trusted=True)

    def _label_tokens(self, label: str) -> tuple[int, ...]:
        """Token ids of a label as the model would write it: the same after every prompt."""
        return tuple(self.text(self.frame.gap + label, trusted=False))

    def _encode(self, text: str, *, trusted: bool) -> list[int]:
        tokenizer = self._trusted if trusted else self._untrusted
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
        if self._trusted.eos_token_id is None:
            raise ModelError("no_stop_token", "the model's tokenizer names no end-of-turn token; use another model")
        return int(self._trusted.eos_token_id)

    def _check_labels_extend_prompts(self) -> None:
        """Encoding prompt and label together must begin with the prompt's own tokens, else a score means nothing."""
        ending = self.frame.closing
        for label in _PROBE_LABELS:
            prompt = self._encode(f"Label:{ending}", trusted=True)
            both = self._encode(f"Label:{ending}{self.frame.gap}{label}", trusted=True)
            if both[: len(prompt)] != prompt:
                raise ModelError(
                    "label_boundary",
                    "this tokenizer merges the end of the prompt with the label, so labels cannot be scored exactly; "
                    "use a model whose chat template ends the user's turn with a control token or a line break",
                )


def contains_control(ids: Sequence[int], control_ids: frozenset[int]) -> bool:
    """Whether any of the ids is a control token."""
    return not control_ids.isdisjoint(ids)
