"""`python -m pinpoint serve`, before it serves."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from pinpoint.cli import app


@pytest.mark.parametrize("port", ["-1", "65536", "70000", "http"])
def test_serve_refuses_what_is_no_port(port: str) -> None:
    result = CliRunner().invoke(app, ["serve", "--port", port])
    assert result.exit_code == 2 and "--port" in result.stderr and isinstance(result.exception, SystemExit)
