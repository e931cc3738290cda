"""What CUDA computes against the reference: the checks that `bench/gpu.py` also runs, each with its tolerance."""

from collections.abc import Callable

import pytest

from bench import gpu_checks
from bench.gpu_rows import Row

CHECKS = (
    gpu_checks.lse_layout,
    gpu_checks.attention_of_forests,
    gpu_checks.attention_of_short_runs,
    gpu_checks.int8_linear,
    gpu_checks.experts,
    gpu_checks.grouped,
    gpu_checks.quantised_bits,
    gpu_checks.embedded_model,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_cuda_computes_what_the_reference_does(check: Callable[[], list[Row]]) -> None:
    rows = check()
    assert any(row.ok for row in rows), "a check without a limit checks nothing"
    assert [row for row in rows if row.ok is False] == []
