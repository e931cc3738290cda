"""The plain ways of doing the same in transformers, on the same loaded model: what Pinpoint is measured against.

* `generate_and_parse`: the usual classifier at its best. One `generate` a document that stops with the label's last
  token, the text parsed for a label.
* `generate_json`: the usual classifier as it is mostly met: it writes a JSON object, either the label and a confidence
  (`label_answer`), or what Pinpoint answers, a score for every label (`scores_answer`). A model that was not taught to
  is made to write as many tokens as one takes; what it writes is not looked at.
* `score_by_rows`: the best plain way, the algorithm of CAPPr (which itself does not run on transformers 5). The keys
  and values of the shared beginning are computed once and expanded; documents are padded into a batch; then each
  document's cache is expanded again and every label is a row of its own.

Axes: N documents of a batch, L labels.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from transformers import DynamicCache, GenerationConfig, PreTrainedModel

from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.taxonomy import Task

# Padded together, longest first. 32 documents of 300 tokens took 1.28 s at 4, 1.30 at 8, 1.55 at 16 and 1.74 at 32 on
# 2 cores (medians of 2).
BATCH_DOCUMENTS = 4


@contextmanager
def plain_attention(model: PreTrainedModel) -> Iterator[None]:
    """The model with transformers' own attention."""
    before = model.config._attn_implementation
    model.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def label_answer(names: Sequence[str]) -> str:
    """The small answer: a label, and how sure the model says it is."""
    return json.dumps({"label": names[0], "confidence": 0.97})


def scores_answer(names: Sequence[str]) -> str:
    """An answer that says what Pinpoint's does: a label, and a score for every label."""
    return json.dumps({"label": names[0], "scores": dict.fromkeys(names, 0.97)})


@torch.inference_mode()
def generate_and_parse(scorer: Scorer, task: Task, documents: Sequence[Sequence[int]]) -> list[str | None]:
    """The label that each document's generated answer names, None where it names none."""
    model, encoder = scorer.loaded.model, scorer.prompts.encoder
    longest = max(len(encoder.label_tokens(label.name)) for label in task.labels) + 1
    config = GenerationConfig(
        max_new_tokens=longest, do_sample=False, eos_token_id=encoder.stop, pad_token_id=encoder.stop
    )
    names = {encoder.decode(encoder.label_tokens(label.name)): label.id for label in task.labels}
    answers = []
    with plain_attention(model):
        for document in documents:
            path = scorer.prompts.lay(task, document)[0].path
            ids = torch.tensor([[token for span in path for token in span]], device=model.device)
            out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
            answers.append(names.get(encoder.decode(out[0, ids.shape[1] :].tolist())))
    return answers


@torch.inference_mode()
def generate_json(scorer: Scorer, task: Task, documents: Sequence[Sequence[int]], length: int) -> None:
    """One `generate` a document of `length` tokens."""
    model, stop = scorer.loaded.model, scorer.prompts.encoder.stop
    config = GenerationConfig(
        max_new_tokens=length, min_new_tokens=length, do_sample=False, eos_token_id=stop, pad_token_id=stop
    )
    with plain_attention(model):
        for document in documents:
            path = scorer.prompts.lay(task, document)[0].path
            ids = torch.tensor([[token for span in path for token in span]], device=model.device)
            model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)


@torch.inference_mode()
def score_by_rows(
    scorer: Scorer, task: Task, documents: Sequence[Sequence[int]], batch_documents: int = BATCH_DOCUMENTS
) -> list[list[float]]:
    """[N][L] log-probabilities, as `Scorer` gives them."""
    encoder = scorer.prompts.encoder
    labels = [[*encoder.label_tokens(label.name), encoder.stop] for label in task.labels]
    paths = [scorer.prompts.lay(task, document)[0].path for document in documents]
    shared = list(paths[0][0]) + (list(paths[0][1]) if all(p[1] == paths[0][1] for p in paths) else [])
    tails = [[token for span in path for token in span][len(shared) :] for path in paths]
    scores: dict[int, list[float]] = {}
    order = sorted(range(len(tails)), key=lambda i: -len(tails[i]))
    with plain_attention(scorer.loaded.model):
        prefix, ids = DynamicCache(), torch.tensor([shared], device=scorer.loaded.device)
        scorer.loaded.model.base_model(ids, past_key_values=prefix, use_cache=True)
        for start in range(0, len(order), batch_documents):
            batch = order[start : start + batch_documents]
            rows = score_batch(scorer, prefix, len(shared), [tails[i] for i in batch], labels)
            scores |= dict(zip(batch, rows, strict=True))
    return [scores[i] for i in range(len(paths))]


def score_batch(
    scorer: Scorer, prefix: DynamicCache, shared: int, tails: list[list[int]], labels: list[list[int]]
) -> list[list[float]]:
    """[N][L] log-probabilities of labels that end in STOP, behind tails of one prefix of `shared` tokens."""
    model, device = scorer.loaded.model, scorer.loaded.device
    cache = copy.deepcopy(prefix)
    cache.batch_repeat_interleave(len(tails))
    ids, seen = padded(tails, device)
    mask = torch.cat([torch.ones(len(tails), shared, dtype=torch.long, device=device), seen], dim=1)
    positions = shared + torch.arange(ids.shape[1], device=device)[None].expand(len(tails), -1)
    hidden = model.base_model(
        ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
    ).last_hidden_state
    last = hidden[torch.arange(len(tails), device=device), seen.sum(1) - 1]  # [N, H]
    first = torch.log_softmax(model.lm_head(last).float(), dim=-1)  # [N, V]
    cache.batch_repeat_interleave(len(labels))
    label_ids, label_seen = padded([label[:-1] for label in labels], device)
    count = label_ids.shape[1]
    lengths = (shared + seen.sum(1)).repeat_interleave(len(labels))
    hidden = model.base_model(
        label_ids.repeat(len(tails), 1),
        attention_mask=torch.cat([mask.repeat_interleave(len(labels), 0), label_seen.repeat(len(tails), 1)], dim=1),
        position_ids=lengths[:, None] + torch.arange(count, device=device)[None],
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state  # [N · L, count, H]
    log_probs = torch.log_softmax(model.lm_head(hidden).float(), dim=-1).view(len(tails), len(labels), count, -1)
    targets, steps = padded([label[1:] for label in labels], device)  # [L, count], 0 where a label is shorter
    of_targets = log_probs.gather(3, targets.expand(len(tails), -1, -1)[..., None])[..., 0] * steps
    firsts = first[:, torch.tensor([label[0] for label in labels], device=device)]
    scores: list[list[float]] = (firsts + of_targets.sum(-1)).tolist()
    return scores


def padded(rows: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """[rows, longest] ids and which of them are real, padded on the right."""
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    seen = torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)], seen[i, : len(row)] = torch.tensor(row), 1
    return ids.to(device), seen.to(device)
