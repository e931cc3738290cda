"""Small chat templates and tokenizers, each built as a family of models builds its own."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from tests.fakes import CHATML, CORPUS, MIXTRAL_CHAT, llama_tokenizer

# Full stops, colons and brackets before line breaks, indented lines: what tokenizers merge across.
SEAMS = (
    "Answer the question about the document with one of the given labels and nothing else.\nQuestion: Which?\n"
    "Labels:\n- invoice: a request for payment (net 30).\n- none of the above!\n- (other)\nDocument:\n   An indented\n"
    "Document:\n\n(1)…\n\n\nEnd of document.\nLabel: Document:\n/usr/bin\nDocument:\n- a list\n- of things.\n"
) * 4
SPECIAL = (
    "<s>", "</s>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>",
    "<|return|>", "<|start|>", "<|message|>", "<|channel|>", "<start_of_turn>", "<end_of_turn>", "<|turn>", "<turn|>",
    "<|eot|>", "<|header|>", "<|/header|>", "[INST]", "[/INST]",
)  # fmt: skip
ADDED = (
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<|channel>", "<channel|>", "<seed:think>",
    "<|start_thinking|>", "<|end_thinking|>",
)  # fmt: skip

TEKKEN_TOKENS = 20_000  # of 131,072
GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
# A word may take one sign before it, signs take the line breaks behind them.
CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)
# The same; signs take slashes, too, and marks belong to words.
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)  # fmt: skip


def byte_level(pattern: str | None) -> Any:
    """Bytes as letters, behind a pattern; GPT-2's own where none is given."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = GPT2 if pattern is None else _split(pattern)
    tokenizer.decoder = decoders.ByteLevel()
    return _trained(tokenizer, pre_tokenizers.ByteLevel.alphabet(), ADDED)


def sentence_pieces(prepend: str, *, breaks: bool) -> Any:
    """Spaces as ▁ and the whole text as one word, as in Llama 2 and in Gemma, which has tokens of line breaks."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend, split=True)
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))], show_progress=False
    )
    tokenizer.train_from_iterator([line for text in (SEAMS, CORPUS) for line in text.split("\n")], trainer)
    # The trainer made the bytes control tokens, which in a model of this kind they are not.
    learnt = json.loads(tokenizer.to_str())
    learnt["added_tokens"] = learnt["added_tokens"][:1]
    tokenizer = Tokenizer.from_str(json.dumps(learnt))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend, split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )  # fmt: skip
    return _dressed(tokenizer, (*ADDED, *(("\n", "\n\n", "\n\n\n", "▁▁", "▁▁▁▁") if breaks else ())), unk="<unk>")


def collapsing() -> Any:
    """All white space is one space, as in T5: no line break is left to stand between the spans."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.pre_tokenizer = GPT2
    tokenizer.decoder = decoders.ByteLevel()
    return _trained(tokenizer, pre_tokenizers.ByteLevel.alphabet(), ADDED)


def of_words() -> Any:
    """Each word a token, and one token for all that are not known."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(special_tokens=["<unk>"], show_progress=False)
    tokenizer.train_from_iterator([SEAMS], trainer)
    return _dressed(tokenizer, (), unk="<unk>")


def mistral_tokenizer(folder: Path) -> Any:
    """Mistral's third tokenizer, in which `[INST]` is a control token."""
    tokenizer = llama_tokenizer(folder, "mistral_instruct_tokenizer_240323.model.v3")
    tokenizer.chat_template = MIXTRAL_CHAT.replace("' [INST] '", "'[INST] '").replace("' [/INST]'", "'[/INST]'")
    return tokenizer


def tekken_tokenizer(_: Path) -> Any:
    """The beginning of Mistral's later tokenizer: bytes behind a pattern; signs take line breaks and slashes."""
    tekken = json.loads((resources.files("mistral_common") / "data" / "tekken_240911.json").read_text("utf-8"))
    letters = bytes_to_unicode()
    tokens = [base64.b64decode(entry["token_bytes"]) for entry in tekken["vocab"][:TEKKEN_TOKENS]]
    ranks = {token: rank for rank, token in enumerate(tokens)}
    spelled = {token: "".join(letters[byte] for byte in token) for token in tokens}
    merges = [
        (spelled[token[:cut]], spelled[token[cut:]])
        for token in tokens
        for cut in range(1, len(token))
        if token[:cut] in ranks and token[cut:] in ranks
    ]
    tokenizer = Tokenizer(models.BPE({spelled[token]: rank for token, rank in ranks.items()}, merges))
    tokenizer.pre_tokenizer = _split(tekken["config"]["pattern"])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>", "[INST]", "[/INST]"])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.chat_template = "{{ bos_token }}" + _turns("[INST]X[/INST]", "X</s>", "")
    return fast


def _split(pattern: str) -> Any:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _trained(tokenizer: Tokenizer, alphabet: list[str], added: tuple[str, ...]) -> Any:
    trainer = trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([SEAMS, CORPUS], trainer)
    return _dressed(tokenizer, added)


def _dressed(tokenizer: Tokenizer, added: tuple[str, ...], unk: str | None = None) -> Any:
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    tokenizer.add_tokens([AddedToken(name, special=False, normalized=False) for name in added])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="<|endoftext|>", unk_token=unk
    )
    fast.chat_template = CHATML
    return fast


TOKENIZERS = {
    "gpt-2": lambda: byte_level(None),
    "cl100k": lambda: byte_level(CL100K),
    "o200k": lambda: byte_level(O200K),
    "llama 2": lambda: sentence_pieces("first", breaks=False),
    "always a space": lambda: sentence_pieces("always", breaks=False),
    "gemma": lambda: sentence_pieces("never", breaks=True),
}


@cache
def tokenizer(name: str) -> Any:
    """Made once: a test that gives it another template puts the old one back."""
    return TOKENIZERS[name]()


@dataclass(frozen=True, slots=True)
class Family:
    """A template and what it must come apart into."""

    template: str
    opening: str
    closing: str
    stop: str
    gap: str = ""
    is_prompt: bool = True
    is_turn: bool = True
    dated: bool = False
    header: str = ""


def _turns(user: str, model: str, generation: str, head: str = "") -> str:
    """A template: `head`, then a user's and a model's turn in which X stands for the content."""
    said = "{{ m['content'] }}"
    return (
        f"{head}{{% for m in messages %}}{{% if m['role'] == 'user' %}}{user.replace('X', said)}{{% else %}}"
        f"{model.replace('X', said)}{{% endif %}}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{generation}{{% endif %}}"
    )


_IM_USER, _IM_MODEL, _IM = "<|im_start|>user\nX<|im_end|>\n", "<|im_start|>assistant\nX<|im_end|>\n", "<|im_start|>"
_OFF = "{% if enable_thinking is defined and not enable_thinking %}"
_CLOSED = "<|im_end|>\n<|im_start|>assistant\n"
FAMILIES = {
    "chatml": Family(CHATML, "<|im_start|>user\n", _CLOSED, "<|im_end|>"),
    "chatml with a system turn of its own": Family(
        _turns(_IM_USER, _IM_MODEL, f"{_IM}assistant\n", f"{_IM}system\nYou help.<|im_end|>\n"),
        f"{_IM}system\nYou help.<|im_end|>\n<|im_start|>user\n", _CLOSED, "<|im_end|>",
    ),
    "chatml without generation prompt": Family(
        _turns(_IM_USER, _IM_MODEL, ""), f"{_IM}user\n", _CLOSED, "<|im_end|>", is_prompt=False
    ),
    "mixtral": Family(MIXTRAL_CHAT, "<s> [INST] ", " [/INST]", "<|endoftext|>", " "),
    "llama 2: a turn's end and the next one's beginning": Family(
        _turns("<s>[INST] X [/INST]", " X </s>", ""), "<s>[INST] ", " [/INST]", "</s>", " "
    ),
    "gpt-oss: channels": Family(
        _turns("<|start|>user<|message|>X<|end|>", "<|start|>assistant<|channel|>final<|message|>X<|return|>",
               "<|start|>assistant"),
        "<|start|>user<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>", "<|return|>",
        is_prompt=False,
    ),
    "qwen 3: a switch, and an empty block in finished turns": Family(
        _turns(_IM_USER, f"{_IM}assistant\n<think>\n\n</think>\n\nX<|im_end|>\n",
               f"{_IM}assistant\n{_OFF}<think>\n\n</think>\n\n{{% endif %}}"),
        f"{_IM}user\n", f"{_CLOSED}<think>\n\n</think>\n\n", "<|im_end|>",
    ),
    "an empty block in finished turns only": Family(
        _turns(_IM_USER, f"{_IM}assistant\n<think>\n\n</think>\n\nX<|im_end|>\n", f"{_IM}assistant\n"),
        f"{_IM}user\n", f"{_CLOSED}<think>\n\n</think>\n\n", "<|im_end|>", is_prompt=False,
    ),
    "qwen 3.5: history without its thoughts": Family(
        _turns(_IM_USER, _IM_MODEL, f"{_IM}assistant\n{_OFF}<think>\n\n</think>\n\n{{% else %}}<think>\n{{% endif %}}"),
        f"{_IM}user\n", f"{_CLOSED}<think>\n\n</think>\n\n", "<|im_end|>", is_turn=False,
    ),
    "nemotron 3: the switch closes the block": Family(
        _turns(_IM_USER, f"{_IM}assistant\n<think></think>X<|im_end|>\n",
               f"{_IM}assistant\n{_OFF}<think></think>{{% else %}}<think>\n{{% endif %}}"),
        f"{_IM}user\n", f"{_CLOSED}<think></think>", "<|im_end|>",
    ),
    "open in the prompt, closed in finished turns": Family(
        _turns(_IM_USER, f"{_IM}assistant\n<think></think>\nX<|im_end|>\n", f"{_IM}assistant\n<think>\n"),
        f"{_IM}user\n", f"{_CLOSED}<think></think>\n", "<|im_end|>", is_prompt=False,
    ),
    "deepseek 3.1: closed by a single token": Family(
        _turns("<|user|>X", "<|assistant|></think>X</s>",
               "<|assistant|>{% if thinking %}<think>{% else %}</think>{% endif %}", "<s>"),
        "<s><|user|>", "<|assistant|></think>", "</s>",
    ),
    "seed-oss: a budget of nothing": Family(
        _turns("<s>user\nX</s>", "<s>assistant\nX</s>",
               "<s>assistant\n{% if thinking_budget == 0 %}<seed:think>none</seed:think>{% endif %}"),
        "<s>user\n", "</s><s>assistant\n<seed:think>none</seed:think>", "</s>", is_turn=False,
    ),
    "gemma 4: an empty channel": Family(
        _turns("<|turn>user\nX<turn|>\n", "<|turn>model\nX<turn|>\n",
               "<|turn>model\n{% if not enable_thinking %}<|channel>thought\n<channel|>{% endif %}"),
        "<|turn>user\n", "<turn|>\n<|turn>model\n<|channel>thought\n<channel|>", "<turn|>", is_turn=False,
    ),
    "glm 4.5: the next turn ends this one": Family(
        _turns(f"<|user|>\nX{_OFF}/nothink{{% endif %}}", "<|assistant|>\n<think></think>\nX",
               f"<|assistant|>{_OFF}{{{{ '\\n<think></think>' }}}}{{% endif %}}"),
        "<|user|>\n", "/nothink<|assistant|>\n<think></think>\n", "<|user|>", is_prompt=False,
    ),
    "command: an answer has a header, and the generation prompt an empty block": Family(
        _turns("<|user|>X<|end|>", "<|assistant|><|start|>X<|return|><|end|>",
               "<|assistant|><|start_thinking|>{% if not reasoning %}<|end_thinking|>{% endif %}"),
        "<|user|>", "<|end|><|assistant|><|start_thinking|><|end_thinking|><|start|>", "<|return|>", is_turn=False,
        header="<|start|>",
    ),
    "gemma: roles renamed, content trimmed": Family(
        _turns("<start_of_turn>user\n{{ m['content'] | trim }}<end_of_turn>\n",
               "<start_of_turn>model\n{{ m['content'] | trim }}<end_of_turn>\n", "<start_of_turn>model\n", "<s>"),
        "<s><start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n", "<end_of_turn>",
    ),
    "llama 3.2: today's date": Family(
        _turns("<|header|>user<|/header|>\n\nX<|eot|>", "<|header|>assistant<|/header|>\n\nX<|eot|>",
               "<|header|>assistant<|/header|>\n\n",
               "<s><|header|>system<|/header|>\n\nToday: {{ strftime_now('%d %b %Y') }}\n\n<|eot|>"),
        "<s><|header|>system<|/header|>\n\nToday: 26 Jul 2024\n\n<|eot|><|header|>user<|/header|>\n\n",
        "<|eot|><|header|>assistant<|/header|>\n\n", "<|eot|>", dated=True,
    ),
    "phi 3": Family(
        _turns("<|user|>\nX<|end|>\n", "<|assistant|>\nX<|end|>\n", "<|assistant|>\n"),
        "<|user|>\n", "<|end|>\n<|assistant|>\n", "<|end|>",
    ),
    "olmo: the last turn has no end": Family(
        _turns("<|user|>\nX\n", "<|assistant|>\nX{% if not loop.last %}{{ eos_token }}\n{% endif %}",
               "<|assistant|>\n", "{{ bos_token }}"),
        "<s><|user|>\n", "\n<|assistant|>\n", "<|endoftext|>",
    ),
    "vicuna: a header of plain words": Family(
        _turns("USER: X", " ASSISTANT: X</s>", " ASSISTANT:"), "USER: ", " ASSISTANT:", "</s>", " "
    ),
    "a generation prompt that ends with a space": Family(
        _turns("USER: X\n", "ASSISTANT: X</s>\n", "ASSISTANT: "), "USER: ", "\nASSISTANT:", "</s>", " ",
        is_prompt=False,
    ),
    "alpaca: no control tokens at all": Family(
        _turns("### Instruction:\nX\n\n", "### Response:\nX\n\n", "### Response:\n"),
        "### Instruction:\n", "\n\n### Response:\n", "<|endoftext|>",
    ),
}  # fmt: skip

_RAISES = "{% if messages[0]['role'] != 'system' %}{{ raise_exception('A system turn must come first.') }}{% endif %}"
REFUSED = {
    "a system turn is required": (_RAISES + CHATML, "A system turn must come first."),
    "the assistant may not come last": (
        "{% if messages[-1]['role'] != 'user' %}{{ raise_exception('Ask me.') }}{% endif %}" + CHATML, "Ask me."
    ),
    "a syntax error": ("{% for m in messages %}{{ m['content'] }}", "Unexpected end of template"),
    "a name that is not there": ("{{ messages[0]['content'] }}{{ a.b.c }}", "'a' is undefined"),
    "parts only": (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] | selectattr('type', 'equalto', "
        "'text') %}{{ c['text'] }}{% endfor %}<|im_end|>\n{% endfor %}", "typed parts",
    ),
    "parts, and a string is dropped": (
        "{% for m in messages %}{% for c in m['content'] %}{{ c['text'] }}{% endfor %}<|im_end|>{% endfor %}",
        "typed parts",
    ),
    "no assistant turn": (
        "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] }}<|im_end|>{% endif %}{% endfor %}",
        "no turn of the assistant",
    ),
    "other letters": ("{% for m in messages %}{{ m['content'] | lower }}<|im_end|>{% endfor %}", "as it was said"),
    "a turn that is said twice": (
        "{% for m in messages %}{{ m['content'] }} {{ m['content'] }}<|im_end|>{% endfor %}", "once and in order"
    ),
    "deepseek r1: nothing closes the block": (
        _turns("<|user|>X", "<|assistant|>X</s>", "<|assistant|><think>\n"), "thinking block open"
    ),
    "open in finished turns, too": (
        _turns(_IM_USER, f"{_IM}assistant\n<think>\nX<|im_end|>\n", f"{_IM}assistant\n<think>\n"), "thinking block open"
    ),
    "open in the prompt alone, by markup that begins as the answer's does": (
        _turns("<|user|>X<|end|>", "<|assistant|><|start|>X<|return|><|end|>", "<|assistant|><|start_thinking|>"),
        "leaves a thinking block open before the answer with '<|start_thinking|>'",
    ),
    "an answer begun for the model": (
        _turns(_IM_USER, _IM_MODEL, f"{_IM}assistant\nSure, here is the answer"), "Sure, here is the answer"
    ),
}  # fmt: skip
