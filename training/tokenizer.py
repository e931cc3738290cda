"""The embedded model's tokenizer: byte-level BPE of 8,000 tokens over lower-cased text without accents.

Case and accents say little about what a document is, and a model of this size learns each spelling of a word apart;
folding them in the tokenizer makes INVOICE, Invoice and invoice one word.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from pinpoint.prompting import template
from pinpoint.prompting.taxonomy import Label, Task
from training import messages, topics
from training.messages.relatives import RELATIVES
from training.model import PROMPT_VERSION
from training.sources import document_concepts, intent_concepts, load_intents

VOCABULARY = 8000
CONTEXT = 2048
BOS, EOS, PAD, INST, INST_END = "<s>", "</s>", "<pad>", "[INST]", "[/INST]"
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}[INST] {{ message['content'] }} [/INST]"
    "{% else %} {{ message['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)


def train_tokenizer(intents: Path, folder: Path, seed: int = 1) -> PreTrainedTokenizerFast:
    """Train on a sample of all sources and save to `folder`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=3,
        special_tokens=[BOS, EOS, PAD, INST, INST_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(intents, seed), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS, pad_token=PAD,
        additional_special_tokens=[INST, INST_END], model_max_length=CONTEXT, clean_up_tokenization_spaces=False,
    )  # fmt: skip
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
    return fast


def corpus(intents: Path, seed: int) -> Iterator[str]:
    """Texts and label wordings in about the proportions of the training."""
    rng = random.Random(seed)
    trained = intent_concepts(load_intents(intents).trained)
    sample = Task("category", (Label("a", "invoice", "a request for payment"), Label("b", "receipt")))
    question = template.choice_question(sample, PROMPT_VERSION)
    yield from (piece.text for piece in chain(template.root(), question, template.document(""), template.ending()))
    for _ in range(12):
        for concept in (*(c for _, c in document_concepts()), *trained):
            for _ in range(3):
                yield concept.text(rng)
            yield " " + concept.name(rng)
            yield " " + concept.alias(rng)
            yield " " + concept.description(rng)
    for _ in range(25_000):
        intent = messages.sample_intent(rng)
        yield messages.message(rng, intent)
        yield " " + messages.name(rng, intent)
        yield " " + messages.description(rng, intent)
    for _ in range(6_000):
        yield topics.item(rng, tuple(topics.TOPICS.values()))
    for group in RELATIVES:
        for word in group:
            yield from (f" {word}",) * 4
