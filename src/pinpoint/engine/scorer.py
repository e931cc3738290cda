"""The room's door: a loaded model that scores forests of spans. The other rooms see this and no tensor."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch

from pinpoint.engine import baseline, gpu
from pinpoint.engine.forest_pass import ForestPass
from pinpoint.engine.forest_scorer import ForestScorer
from pinpoint.engine.forward.head import PEAK_LOGIT, check_head
from pinpoint.engine.forward.rules import unsupported
from pinpoint.engine.loading.load import LoadedModel
from pinpoint.engine.readings import Memory, ModelInfo
from pinpoint.errors import ModelError
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.prompt_proof import check_prompts
from pinpoint.prompting.span_tree import Forest

log = logging.getLogger("pinpoint")

# What the machine has left is read no more often than this: it takes longer to read than all else of `memory`.
AVAILABLE_READ_S = 1.0
# What answers call 8-bit weights with 8-bit activations: what was taught without these does not count with them.
WEIGHTS_AND_ACTIVATIONS = "w8a8"
# Two ways through the same head differ by the rounding of one matrix product.
HEAD_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.25}


class Scorer(ForestScorer):
    """Scores forests on one loaded model. One forward pass at a time: callers take turns.

    Attributes:
        read_tokens: longest prompt with its label that can be read, in chunks where it takes more than a pass; and what
            is kept at most of all that are read in chunks at the same time.
        compared: prompts that are those of the model's chat template.
        start: what health tells of the start: its token budget, and where its seconds went.
    """

    def __init__(self, loaded: LoadedModel, token_budget: int, prefix_store_bytes: int = 0) -> None:
        with gpu.failures_refused(lambda error: _tokenizer_fails(error, loaded.name)):
            super().__init__(loaded, token_budget, prefix_store_bytes)
            self.compared = check_prompts(self.prompts)
        context, made = loaded.context_tokens, loaded.plan
        self.read_tokens = context if made is None else min(context, made.read_tokens(token_budget))
        self.start: dict[str, Any] = {}
        with gpu.device_errors(), gpu.failures_refused(_fails_in_company):
            self._check_head()
            self._check_pass()
        self._process = psutil.Process()
        self._available_bytes, self._read_s = 0, -AVAILABLE_READ_S
        self._baseline_bytes = 0
        self._baseline_bytes = self.memory().allocated_bytes
        on_cuda = loaded.device.type == "cuda"
        self.baseline = baseline.Baseline(lambda: baseline.requested_bytes(loaded.device)) if on_cuda else None

    @property
    def activations(self) -> dict[str, Any]:
        """What health tells of 8-bit activations: the modules that are kept from them; empty without any."""
        loaded = self.loaded
        if loaded.activations == "compute":
            return {}
        kept = {name: round(error, 4) for name, error in loaded.kept.items()}
        return {"activations": {"held_in": loaded.activations, "kept": kept}}

    @property
    def drifted(self) -> bool:
        """Whether memory is lost for good: the worker should answer what it has and ask to be replaced."""
        return self.baseline is not None and self.baseline.drifted

    @property
    def context_tokens(self) -> int:
        """Longest prompt with its label."""
        return self.loaded.context_tokens

    @contextmanager
    def run(self, forest: Forest, *, explain: bool = False) -> Iterator[ForestPass]:
        """Score every ask of `forest`, and read its chunks; the keys and values of the pass live until the end of the
        `with` block: of spans that are open in the forest, and with `explain` of all prompts. Those of chunks live as
        long as their prefill.

        Labels are exact, but for those that an ask allows to be bounded (`Ask.exact_best`) and that cannot matter.

        Raises:
            OutOfMemory: the forest does not fit the device after all; score it in parts, after `release`.
            DeviceError: the device failed.
        """
        steps_before = self._steps_made
        with gpu.device_errors():
            done = self._score(forest, explain=explain)
        try:
            yield done
        finally:
            done.close()
        # Not after a failed pass: what it holds goes with its exception.
        held_bytes, recorded = self.held_bytes, steps_before < self._steps_made
        if self.baseline is not None and self.baseline.check(self.store.bytes + held_bytes, recorded) == 0:
            self._baseline_bytes = torch.cuda.memory_allocated(self.loaded.device) - held_bytes

    def record(self) -> list[int]:
        """Record passes of some lengths, as far as this model's can be; from here on they are a part of the baseline.

        Returns:
            The lengths.
        """
        with gpu.device_errors():
            lengths = self.recorder.record(self.token_budget)
        self.rebase()
        log.info("recorded passes: lengths=%s", ",".join(map(str, lengths)) or "none")
        return lengths

    def rebase(self) -> None:
        """Take what is held after the next pass for the baseline: what was there before is no measure of it."""
        if self.baseline is not None:
            self.baseline = baseline.Baseline(lambda: baseline.requested_bytes(self.loaded.device))

    def release(self) -> None:
        """Give back what a failed pass left behind."""
        gpu.release()

    def _check_head(self) -> None:
        tokens = self.prompts.encoder.opening() or [self.prompts.encoder.stop]
        usual = HEAD_TOLERANCE[self.loaded.compute_dtype]
        large = usual + 4 * PEAK_LOGIT * torch.finfo(self.loaded.compute_dtype).eps
        for peak, tolerance in ((None, usual), (PEAK_LOGIT, large)):
            apart = check_head(self.loaded.model, tokens, peak)
            if not apart <= tolerance:
                raise ModelError(
                    "unsupported_head",
                    f"this model's logits are {apart:.2g} in log-probability from what exact scoring makes of its "
                    "states; use another model",
                    "MODEL_NAME",
                )

    def _check_pass(self) -> None:
        """Score a small forest twice, its beginning kept: what a model asks of a pass that is not there, it asks now.

        Raises:
            ModelError: it cannot be scored so.
        """
        forest = Forest()
        token, other = [token for token in range(3) if token != self.prompts.encoder.stop][:2]
        root = forest.add([token] * 5, shared=True)
        for length in (7, 12):
            forest.ask(
                forest.add([other] * length, root), build_trie([(token,), (token, other)], self.prompts.encoder.stop)
            )
        for _ in range(2):
            self._score(forest, explain=False)
        self.store.clear()

    def info(self, labels_sha: str) -> ModelInfo:
        """What answers, for the response."""
        loaded = self.loaded
        precision = loaded.precision if loaded.activations == "compute" else WEIGHTS_AND_ACTIVATIONS
        return ModelInfo(loaded.name, loaded.revision, precision, self.prompts.version, labels_sha)

    def memory(self) -> Memory:
        """What the device holds now; on a CPU, what this process holds of the machine's memory."""
        if self.loaded.device.type == "cuda":
            device = self.loaded.device
            return Memory(
                allocated_bytes=torch.cuda.memory_allocated(device),
                reserved_bytes=torch.cuda.memory_reserved(device),
                free_bytes=torch.cuda.mem_get_info(device)[0],
                baseline_bytes=self._baseline_bytes,
            )
        resident = self._process.memory_info().rss
        if time.monotonic() - self._read_s >= AVAILABLE_READ_S:
            self._available_bytes, self._read_s = psutil.virtual_memory().available, time.monotonic()
        return Memory(resident, resident, self._available_bytes, self._baseline_bytes)


def _tokenizer_fails(error: Exception, name: str) -> ModelError:
    """What its files say of a tokenizer is believed until it is used."""
    return ModelError(
        "model_unreadable",
        f"the tokenizer of {name} fails on ordinary text ({type(error).__name__}: {str(error)[:100]}); look at what "
        "tokenizer_config.json and tokenizer.json say, or fetch them again",
        "MODEL_NAME",
    )


def _fails_in_company(error: Exception) -> ModelError:
    return unsupported(f"a pass over several documents fails ({type(error).__name__})")
