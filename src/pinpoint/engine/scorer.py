"""The room's door: a loaded model that scores forests of spans. Everything outside `engine/` sees this and no tensor."""

from __future__ import annotations

import psutil
import torch

from pinpoint.api.response import Memory, ModelInfo
from pinpoint.engine.load import LoadedModel
from pinpoint.engine.packing import pack
from pinpoint.engine.scoring import score
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.template import PROMPT_VERSION


class Scorer:
    """Scores forests on one loaded model. One forward pass at a time: callers take turns.

    Attributes:
        prompts: lays documents and tasks into forests for this model.
        token_budget: most tokens of one forward pass.
    """

    def __init__(self, loaded: LoadedModel, token_budget: int) -> None:
        self.loaded = loaded
        self.token_budget = token_budget
        self.prompts = PromptBuilder(PromptEncoder(loaded.tokenizer))
        self._baseline_bytes = 0
        self._baseline_bytes = self.memory().allocated_bytes

    @property
    def context_tokens(self) -> int:
        """Longest prompt with its label."""
        return self.loaded.context_tokens

    def score(self, forest: Forest) -> list[list[float]]:
        """Log-probability of every label of every ask of `forest`, in their order, from one forward pass."""
        return score(self.loaded.model, pack(forest))

    def info(self, labels_sha: str) -> ModelInfo:
        """What answers, for the response."""
        loaded = self.loaded
        return ModelInfo(loaded.name, loaded.revision, loaded.precision, PROMPT_VERSION, labels_sha)

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
        resident = psutil.Process().memory_info().rss
        return Memory(resident, resident, psutil.virtual_memory().available, self._baseline_bytes)
