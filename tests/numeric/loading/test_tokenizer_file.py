"""A tokenizer that transformers reads otherwise than its file says is told of, and no other."""

import json
import logging
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from pinpoint.checkpoints.sources import embedded_folder
from pinpoint.engine.loading.tokenizer_file import warn_of_other_tokens
from tests.unit.prompting.families import tokenizer


def told(folder: Path, caplog: pytest.LogCaptureFixture) -> bool:
    caplog.clear()
    with caplog.at_level(logging.WARNING, "pinpoint"):
        warn_of_other_tokens(folder, AutoTokenizer.from_pretrained(folder, local_files_only=True))
    return bool(caplog.records)


@pytest.mark.parametrize(
    ("kind", "model_type", "named", "other"),
    [
        ("cl100k", "mistral", "PreTrainedTokenizerFast", False),
        ("llama 2", "llama", "LlamaTokenizerFast", False),  # cut in another way, into the same tokens
        ("gemma", "gemma2", "GemmaTokenizerFast", False),
        ("llama 2", "qwen2", "LlamaTokenizerFast", True),  # the words of Qwen's own class, whatever is named
        ("cl100k", "llama", "GPT2Tokenizer", True),
    ],
)
def test_other_tokens_than_the_files_are_told_of(
    kind: str, model_type: str, named: str, other: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer(kind).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tokenizer_class": named}))
    assert told(tmp_path, caplog) == other
    if other:
        assert str(tmp_path) in caplog.text and "makes other tokens of text than the file says" in caplog.text


def test_the_embedded_tokenizer_is_what_its_file_says(caplog: pytest.LogCaptureFixture) -> None:
    assert not told(embedded_folder(), caplog)
