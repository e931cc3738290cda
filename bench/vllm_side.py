"""vLLM's side of the comparison: `python bench/vllm_side.py WORK --out FILE [--quantization fp8] [--eager]`.

Needs vLLM and a card, nothing of this project: WORK is what `bench/against.py work` wrote, prompts and labels as token
ids. The model is Mixtral 8x7B at full size with random weights, quantised by vLLM as it loads: normal numbers, so that
products see bits of the usual spread (vLLM's own dummy weights do not exceed 0.001). Prefix caching is on, and emptied
before every round, since the next job's documents are others. Ways:

- one token: the prompt, one token with the log-probabilities of the 20 best (or of the labels' first tokens).
- exact: the same, then the rest of every label behind the prompt that is in the cache by then: as `prompt_logprobs` of
  prompt and label, a request for each label, and as one token behind each node of the labels' trie.
- JSON: 21 tokens. Reasons: 64 tokens of 16 prompts that are in the cache already.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("VLLM_USE_FLASHINFER_SAMPLER", "0")
os.environ.setdefault("VLLM_HOST_IP", "127.0.0.1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

CONFIG = {
    "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "vocab_size": 32000, "hidden_size": 4096,
    "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "head_dim": 128, "num_local_experts": 8, "num_experts_per_tok": 2, "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-5, "rope_theta": 1e6, "sliding_window": None, "hidden_act": "silu", "torch_dtype": "bfloat16",
    "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": False,
}  # fmt: skip
BEST, JSON_TOKENS, REASON_TOKENS = 20, 21, 64
CAPTURED = [1, 2, 4, 8, 16, 24, 32, 64, 128, 256, 512]  # rows of the steps that are recorded
EIGHT, SHORT, MANY = "1,000 tokens, 8 labels", "300 tokens, 8 labels", "1,000 tokens, 200 labels"
QUESTIONS, ALONE = "470 tokens, 56 questions of 2 labels", "one document of 1,000 tokens, 8 labels"
REASONS = "300 tokens, reasons"
LONG = ("8,000 tokens, 8 labels", "30,000 tokens, 8 labels")
FEW = 8  # documents whose 200 labels are scored exactly: told as documents a second all the same


class Job:
    """One job of WORK."""

    def __init__(self, raw: dict[str, Any], most: int | None = None) -> None:
        spans = raw["spans"]
        self.questions, self.stop = raw["questions"], raw["stop"]
        chosen = raw["prompts"][: (most or raw["documents"]) * self.questions]
        self.paths = [[spans[span] for span in path] for path in chosen]
        self.prompts = [[token for span in path for token in span] for path in self.paths]
        self.labels = [raw["label_sets"][which] for which in raw["labels_of"][: len(chosen)]]
        self.documents = len(chosen) // self.questions

    def labels_first(self) -> list[list[int]]:
        """The same tokens with the question before the document: what documents share is in the cache then."""
        return [[token for span in (path[0], path[-1], *path[1:-1]) for token in span] for path in self.paths]


class Side:
    """The engine and how it is asked."""

    def __init__(self, args: argparse.Namespace, longest: int) -> None:
        began = time.monotonic()
        _realistic_weights()
        from vllm import LLM, SamplingParams

        self.params = SamplingParams
        folder = Path(tempfile.mkdtemp())
        (folder / "config.json").write_text(json.dumps(CONFIG | {"num_hidden_layers": args.layers}), "utf-8")
        more: dict[str, Any] = {}
        if args.batched_tokens:
            more["max_num_batched_tokens"] = args.batched_tokens
        if not args.eager:
            more["compilation_config"] = {"cudagraph_capture_sizes": CAPTURED}
        self.llm = LLM(
            model=str(folder), load_format="dummy", quantization=args.quantization or None, dtype="bfloat16",
            skip_tokenizer_init=True, enable_prefix_caching=True, enforce_eager=args.eager,
            max_model_len=max(8192, longest + 256),
            gpu_memory_utilization=args.memory, seed=0, **more,
        )  # fmt: skip
        self.seconds_to_load = time.monotonic() - began

    def ask(self, prompts: list[list[int]], params: Any) -> list[Any]:
        """All of them in one call."""
        return list(self.llm.generate([{"prompt_token_ids": one} for one in prompts], params, use_tqdm=False))

    def one(self, **more: Any) -> Any:
        """Parameters of one token, the likeliest."""
        return self.params(temperature=0.0, max_tokens=1, ignore_eos=True, detokenize=False, **more)

    def first(self, job: Job, prompts: list[list[int]] | None = None) -> None:
        """One token with the log-probabilities of the best 20."""
        for part in _warming(job, prompts or job.prompts):
            self.ask(part, self.one(logprobs=BEST))

    def first_of_labels(self, job: Job) -> None:
        """One token with the log-probabilities of the labels' first tokens."""
        for part, labels in zip(_warming(job, job.prompts), _warming(job, job.labels), strict=True):
            self.ask(part, [self.one(logprob_token_ids=sorted({label[0] for label in own})) for own in labels])

    def by_prompt_logprobs(self, job: Job) -> None:
        """Every label behind its prompt, scored as part of a prompt that is in the cache up to there."""
        self.first_of_labels(job)
        requests = [[*prompt, *label] for prompt, own in zip(job.prompts, job.labels, strict=True) for label in own]
        self.ask(requests, self.one(prompt_logprobs=0, skip_reading_prefix_cache=False))

    def by_nodes(self, job: Job) -> None:
        """One token behind every node of the labels' trie, with the log-probabilities of what follows there."""
        self.first_of_labels(job)
        requests, params = [], []
        for prompt, own in zip(job.prompts, job.labels, strict=True):
            for node, wanted in _nodes(own, job.stop).items():
                requests.append([*prompt, *node])
                params.append(self.one(logprob_token_ids=wanted))
        self.ask(requests, params)

    def write(self, prompts: list[list[int]], tokens: int) -> None:
        """So many tokens behind each prompt."""
        params = self.params(temperature=0.0, max_tokens=tokens, ignore_eos=True, detokenize=False)
        for one in self.ask(prompts, params):
            assert len(one.outputs[0].token_ids) == tokens

    def seconds(self, run: Callable[[], object], rounds: int, warm: Callable[[], object] | None = None) -> list[float]:
        """Of each round after one that is not counted, the cache emptied before each."""
        took = []
        for turn in range(rounds + 1):
            self.llm.reset_prefix_cache()
            if warm:
                warm()
            began = time.perf_counter()
            run()
            if turn:
                took.append(time.perf_counter() - began)
        return took


def _warming(job: Job, items: list[Any]) -> list[list[Any]]:
    """Where documents have several questions, the first of each before the others, which find it in the cache."""
    if job.questions == 1:
        return [items]
    return [items[:: job.questions], [one for place, one in enumerate(items) if place % job.questions]]


def _nodes(labels: list[list[int]], stop: int) -> dict[tuple[int, ...], list[int]]:
    """Each beginning of a label but the empty one, and what follows it; the end only where labels go on there.

    Where no label begins another, their scores without the ends tell them apart as well, for half of the requests.
    """
    found: dict[tuple[int, ...], list[int]] = {}
    for label in labels:
        for length in range(1, len(label)):
            wanted = found.setdefault(tuple(label[:length]), [])
            if label[length] not in wanted:
                wanted.append(label[length])
    for label in labels:
        if tuple(label) in found:
            found[tuple(label)].append(stop)
    return found


def _realistic_weights() -> None:
    """Normal numbers of 1/√inputs instead of vLLM's dummy ones; vectors and single numbers are 1."""
    import torch
    from vllm.model_executor.model_loader import dummy_loader, weight_utils

    seeds = count(1)

    def fill(param: Any, low: float = 0.0, high: float = 0.0, seed: int = 1234) -> None:
        if not torch.is_floating_point(param) or param.device.type == "meta":
            return
        with torch.no_grad():
            if param.ndim < 2:
                param.fill_(1.0)
            elif param.element_size() > 1:
                generator = torch.Generator(param.device).manual_seed(next(seeds))
                param.normal_(0.0, param.shape[-1] ** -0.5, generator=generator)
            else:
                for part in param.data.reshape(-1, param.shape[-1]).split(65536):
                    part.copy_(torch.randn(part.shape, device=part.device).mul_(100.0).clamp_(-448.0, 448.0))

    weight_utils.initialize_single_dummy_weight = dummy_loader.initialize_single_dummy_weight = fill


def measures(side: Side, work: dict[str, Any], rounds: int) -> Iterator[tuple[str, str, Callable[[], float]]]:
    """Way, job and what measures it: documents a second, tokens a second of reasons, milliseconds of one document."""

    def rate(job: Job, run: Callable[[], object], counted: int = rounds) -> float:
        return float(job.documents) / median(side.seconds(run, counted))

    for name in (EIGHT, SHORT, *LONG):
        if name not in work:
            continue
        job = Job(work[name])
        ways: dict[str, Callable[[Job], None]] = {
            "one token": side.first,
            "one token, labels first": lambda job: side.first(job, job.labels_first()),
            "exact, by prompt_logprobs": side.by_prompt_logprobs,
            "exact, by nodes": side.by_nodes,
            f"JSON of {JSON_TOKENS} tokens": lambda job: side.write(job.prompts, JSON_TOKENS),
        }
        if name in LONG:  # of which a list of labels is no part, and which have too many tokens to make objects of
            del ways["one token, labels first"], ways["exact, by prompt_logprobs"]
        for way, ask in ways.items():
            yield way, name, lambda ask=ask, job=job: rate(job, lambda: ask(job))  # type: ignore[misc]
    if ALONE not in work:
        return
    one = Job(work[ALONE])
    yield "one token", ALONE, lambda: 1e3 * median(side.seconds(lambda: side.first(one), 9))
    yield (
        f"JSON of {JSON_TOKENS} tokens",
        ALONE,
        lambda: 1e3 * median(side.seconds(lambda: side.write(one.prompts, JSON_TOKENS), 3)),
    )
    many, few = Job(work[MANY]), Job(work[MANY], FEW)
    yield "one token", MANY, lambda: rate(many, lambda: side.first(many))
    yield "one token, labels first", MANY, lambda: rate(many, lambda: side.first(many, many.labels_first()))
    yield "exact, by nodes", MANY, lambda: rate(many, lambda: side.by_nodes(many))
    asked = Job(work[QUESTIONS])
    yield "one token", QUESTIONS, lambda: rate(asked, lambda: side.first(asked))
    yield "one token, of the two labels", QUESTIONS, lambda: rate(asked, lambda: side.first_of_labels(asked))
    reasons = Job(work[REASONS])

    def written() -> float:
        took = side.seconds(
            lambda: side.write(reasons.prompts, REASON_TOKENS), rounds, lambda: side.write(reasons.prompts, 1)
        )
        return float(reasons.documents * REASON_TOKENS) / median(took)

    yield "written together", REASONS, written
    yield (
        f"exact, by prompt_logprobs, of {FEW} documents",
        MANY,
        lambda: rate(few, lambda: side.by_prompt_logprobs(few), 3),
    )
    yield f"JSON of {JSON_TOKENS} tokens", MANY, lambda: rate(many, lambda: side.write(many.prompts, JSON_TOKENS))


def told(side: Side, args: argparse.Namespace) -> dict[str, Any]:
    """Card, versions and what vLLM chose by itself."""
    from importlib.metadata import version

    import torch

    config = side.llm.llm_engine.vllm_config
    return {
        "card": torch.cuda.get_device_name(0),
        "versions": {name: version(name) for name in ("vllm", "torch", "transformers", "triton")},
        "quantization": args.quantization,
        "eager": args.eager,
        "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
        "max_num_seqs": config.scheduler_config.max_num_seqs,
        "cudagraph_mode": str(config.compilation_config.cudagraph_mode),
        "seconds_to_load": round(side.seconds_to_load, 1),
        "allocated_bytes": torch.cuda.memory_allocated(),
    }


def main() -> None:
    """Measure, write FILE after every figure, and print a table."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quantization", default="fp8", help="fp8, fp8_per_channel, or nothing for 16 bits")
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--batched-tokens", type=int, default=0, help="of a step; 0 is vLLM's own choice")
    parser.add_argument("--memory", type=float, default=0.85)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=400, help="no further figure is begun after so many")
    parser.add_argument("--eager", action="store_true", help="no compilation and no graphs")
    parser.add_argument("--only", default="", help="ways that begin with this")
    parser.add_argument("--without", default="-", help="no ways that begin with this")
    args = parser.parse_args()
    if not args.work.is_file():
        parser.error(f"there is no file {args.work}; `python bench/against.py work --out {args.work}` writes it")
    if find_spec("vllm") is None:
        parser.error("vLLM is not installed in this environment; it wants one of its own, on a machine with a card")
    work = json.loads(args.work.read_text("utf-8"))
    side = Side(args, max(len(prompt) for raw in work["jobs"].values() for prompt in Job(raw).prompts))
    found = {"work": work["digest"], **told(side, args), "figures": {}, "failed": {}, "seconds_of": {}}
    print(json.dumps(found), flush=True)
    for way, name, measure in measures(side, work["jobs"], args.rounds):
        started = time.monotonic()
        if not way.startswith(args.only) or way.startswith(args.without):
            continue
        if started - began > args.seconds:
            found["failed"][f"{name}: {way}"] = "no time was left"
            continue
        try:
            figure = measure()
        except Exception as error:
            traceback.print_exc()
            found["failed"][f"{name}: {way}"] = f"{type(error).__name__}: {str(error)[:300]}"
        else:
            found["figures"].setdefault(way, {})[name] = round(figure, 3)
            print(f"{name} | {way} | {figure:.4g} | {time.monotonic() - started:.1f} s", flush=True)
        found["seconds_of"][f"{name}: {way}"] = round(time.monotonic() - started, 1)
        args.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    found["seconds"] = round(time.monotonic() - began, 1)
    args.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    for way, by_job in found["figures"].items():
        for name, figure in by_job.items():
            print(f"{name:45} {way:45} {figure:10.4g}")
    print(json.dumps(found["failed"]), f"{found['seconds']} s")


if __name__ == "__main__":
    main()
