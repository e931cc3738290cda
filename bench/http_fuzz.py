"""schemathesis against the server's own OpenAPI: `python bench/http_fuzz.py SCHEMATHESIS [--seconds 600]`.

Starts the server with the embedded model and a key, and runs every check but `positive_data_acceptance`: a body of the
right types may be refused for what no schema says, such as two equal options or a text without a visible character.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer

from tests.http.running import start

KEY = "fuzz"


def main(
    schemathesis: Annotated[str, typer.Argument(help="Its command's file, in an environment of its own.")],
    seconds: Annotated[int, typer.Option(help="How long.")] = 600,
) -> None:
    """Run it, print what it says, and end as it ends."""
    command = str(Path(schemathesis).absolute())  # it runs in a folder of its own
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with start("-m", "pinpoint", "serve", log=log, PINPOINT_API_KEY=KEY, PINPOINT_HOST="127.0.0.1") as server:
            server.wait_until_ready()
            done = subprocess.run(
                [
                    command, "run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {KEY}",
                    "--phases", "coverage,fuzzing", "--max-time", str(seconds), "--checks", "all",
                    "--exclude-checks", "positive_data_acceptance", "--continue-on-failure", "--no-color",
                ],
                cwd=folder, check=False,
            )  # fmt: skip
            assert server.process.poll() is None, "the server ended"
        lines = log.read_text(encoding="utf-8")
        print(f"the server's log: {lines.count('Traceback')} tracebacks, {lines.count('status=ok')} answered")
    raise typer.Exit(done.returncode)


if __name__ == "__main__":
    typer.run(main)
