"""FlashAttention 3 in the kernel's place: when it is taken, and that what it is given makes the dense attention."""

import logging
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from pinpoint.engine.forward import flash3, tiles, varlen
from pinpoint.engine.forward.packing import PackedRow
from pinpoint.engine.forward.varlen import make_calls
from tests.numeric.forward.test_attention import CPU, HEADS, SLOW, dense, random_states, rows
from tests.reference.tiles import slow_attend
from tests.reference.varlen import slow_kernel


def slow_flash3(
    query: Tensor, key: Tensor, value: Tensor, *, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, max_seqlen_q: int,
    max_seqlen_k: int, softmax_scale: float, is_causal: bool, num_splits: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """The operator by its schema, computed as torch's kernel is by its slow twin."""
    out, lse = slow_kernel(
        query, key, value, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, scale=softmax_scale,
        return_aux=SimpleNamespace(lse=True), window_size=(-1, 0 if is_causal else -1), enable_gqa=True,
        num_splits=num_splits,
    )  # fmt: skip
    return out, lse, torch.empty(0), torch.empty(0)


@pytest.fixture
def in_its_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int | None]]:
    """It is there for CPU tensors as well; the windows that were asked for."""
    from torch.nn.attention import varlen as torch_varlen

    asked = list[int | None]()

    def takes(query: Tensor, window: int | None) -> bool:
        asked.append(window)
        return window is None

    monkeypatch.setattr(flash3, "takes", takes)
    monkeypatch.setattr(flash3, "_kernel", lambda device: slow_flash3)
    monkeypatch.setattr(torch_varlen, "varlen_attn", slow_kernel)
    monkeypatch.setattr(tiles, "attend", slow_attend)
    varlen._varlen_options.cache_clear()
    yield asked
    varlen._varlen_options.cache_clear()


@pytest.mark.parametrize("heads", HEADS)
@settings(SLOW, max_examples=6)
@given(row=rows())
def test_what_it_is_given_makes_the_dense_attention(in_its_place: list[int | None], heads: str, row: PackedRow) -> None:
    states = random_states(row, *HEADS[heads])
    out = varlen.attend(*states, 0.3, make_calls(row, CPU))
    torch.testing.assert_close(out, dense(*states, 0.3, row), rtol=1e-5, atol=1e-5)
    sinks = torch.linspace(-1, 2, len(states[0]))
    out = varlen.attend(*states, 0.3, make_calls(row, CPU), sinks)
    torch.testing.assert_close(out, dense(*states, 0.3, row, sinks=sinks), rtol=1e-5, atol=1e-5)
    assert set(in_its_place) <= {None}


@settings(SLOW, max_examples=6)
@given(row=rows())
def test_windows_are_torchs(in_its_place: list[int | None], row: PackedRow) -> None:
    states = random_states(row, *HEADS["grouped"])
    out = varlen.attend(*states, 0.3, make_calls(row, CPU, 3))
    torch.testing.assert_close(out, dense(*states, 0.3, row, 3), rtol=1e-5, atol=1e-5)
    assert None not in in_its_place


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A card and what is installed beside it, as a test says; loading it gives, or raises, what `found` is."""
    said: dict[str, Any] = {"installed": True, "capability": (9, 0), "found": object(), "loads": 0}

    def load(name: str) -> None:
        said["loads"] += 1
        if isinstance(said["found"], Exception):
            raise said["found"]
        monkeypatch.setattr(torch.ops, flash3.PACKAGE, SimpleNamespace(fwd=said["found"]), raising=False)

    monkeypatch.setattr(flash3, "find_spec", lambda name: ModuleSpec(name, None) if said["installed"] else None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: said["capability"])
    monkeypatch.setattr(flash3, "importlib", SimpleNamespace(import_module=load))
    flash3._kernel.cache_clear()
    yield said
    flash3._kernel.cache_clear()


def test_it_is_loaded_once_where_it_is_installed_on_a_card_that_it_is_made_for(
    card: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pinpoint"):
        assert flash3._kernel(0) is flash3._kernel(0) is card["found"]
    assert (card["loads"], caplog.messages) == (1, ["attention: FlashAttention 3"])


@pytest.mark.parametrize("change", [{"installed": False}, {"capability": (8, 9)}, {"capability": (10, 0)}])
def test_elsewhere_nothing_is_loaded_and_nothing_said(
    card: dict[str, Any], change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    card |= change
    with caplog.at_level(logging.INFO, "pinpoint"):
        assert flash3._kernel(0) is None
    assert (card["loads"], caplog.messages) == (0, [])


@pytest.mark.parametrize("error", [ImportError("undefined symbol: x\nmore"), OSError("libcudart.so.13: no such file")])
def test_one_that_cannot_be_loaded_is_told_once_and_torchs_is_used(
    card: dict[str, Any], error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    card["found"] = error
    assert flash3._kernel(0) is None is flash3._kernel(0)
    [said] = caplog.messages
    assert str(error).splitlines()[0] in said and "more" not in said


def test_a_cpu_and_other_numbers_are_not_its(card: dict[str, Any]) -> None:
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        assert not flash3.takes(torch.zeros(1, 1, 8, dtype=dtype), None)
    on_card = SimpleNamespace(is_cuda=True, device=torch.device("cuda", 0))
    query: Any = SimpleNamespace(dtype=torch.bfloat16, **vars(on_card))
    assert flash3.takes(query, None) and not flash3.takes(query, 7)
    assert not flash3.takes(SimpleNamespace(dtype=torch.float16, **vars(on_card)), None)  # type: ignore[arg-type]
