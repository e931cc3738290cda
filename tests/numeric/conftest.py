"""Loaded models, one of each family, shared by the numeric tests."""

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from pinpoint.engine.loading.load import LoadedModel
from tests.models import chatml_tokenizer, configurations, embedded, load_cpu, mixtral_tokenizer, save_random
from tests.reference.scoring import plain_model

FAMILIES = ("embedded", "mixtral", "mistral", "llama", "qwen2", "qwen3_moe", "mixtral_32k")
Pair = tuple[LoadedModel, PreTrainedModel]


def _load(family: str, folder: Path) -> LoadedModel:
    if family == "embedded":
        return embedded()
    if family == "mixtral_32k":
        tokenizer = mixtral_tokenizer(folder / "tokenizer")
        return load_cpu(save_random(configurations(len(tokenizer))["mixtral"], tokenizer, folder / family))
    tokenizer = chatml_tokenizer()
    return load_cpu(save_random(configurations(len(tokenizer))[family], tokenizer, folder / family))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Products this small lose to the waiting of a second thread, by far where the machine is busy."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", params=FAMILIES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A model as the product loads it, and the same model as transformers has it."""
    loaded = _load(request.param, tmp_path_factory.mktemp(request.param))
    return loaded, plain_model(loaded.model)


@pytest.fixture(scope="session")
def small_mixtral(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The small random Mixtral alone, for tests over many forests."""
    loaded = _load("mixtral", tmp_path_factory.mktemp("small"))
    return loaded, plain_model(loaded.model)
