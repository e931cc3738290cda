"""Walk through README.md as a newcomer: run every command of it, and keep what came out in docs/walk.md.

python docs/walk.py CLONE

CLONE is a clean clone; `make run` is the first command, and makes its environment. Commands that cannot be run on a
machine without a GPU, an account or a container engine are named with the reason. Servers run while the commands behind
them are tried. What the commands need and a newcomer would bring (an inbox, tables) is made first.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
WALKED = ROOT / "docs/walk.md"
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Beginnings of commands that are not run, and why.
LEFT_OUT = {
    "MODEL_NAME=": "needs a GPU and a download",
    "make test": "the gate itself, minutes long",
    "docker build": "needs a container engine; `make image-check` replays it without one",
}
# Those that go on until they are stopped, and what says that they are ready: a port, or a word of theirs.
SERVERS: dict[str, int | str] = {
    "python handler.py --rp_serve_api": 8123,
    "make serve": 8000,
    "python -m pinpoint review": "http://",
}
PLAN = "python -m pinpoint plan"
LINES = 44  # of an output; of a longer one the middle is left out
HEAD = """# README, walked

`python docs/walk.py CLONE` ran every command of the [README](../README.md) as it stands there, one after the other, in
a clean clone on a machine with two cores and no GPU, and wrote this page. The gate fails when a command of it is
not here, and when the answer that the README shows is another one today; what `plan` prints is made by `make docs`.
Others used the machine meanwhile: no time here says how fast anything is. Python packages had been installed before.

Before the walk: an `inbox/` of three text files, `scans/` with a PDF, `job.json`, `mails.csv`, and `documents.csv` with
100 documents, all of generated texts of three kinds.
"""


def commands(readme: str) -> list[str]:
    """The commands of its shell blocks in their order, each once."""
    found = dict[str, None]()
    for block in BLOCK.findall(readme):
        for line in block.splitlines():
            if line.strip() and not line.startswith("#"):
                found[re.sub(r"\s+# .*", "", line)] = None
    return list(found)


def walked(page: str) -> list[tuple[str, str]]:
    """The commands of docs/walk.md, each with what is told of it."""
    return re.findall(r"^```bash\n(.*?)\n```\n\n(.+?)(?=\n```bash|\Z)", page, re.MULTILINE | re.DOTALL)


def shortened(output: str) -> str:
    """An output without its middle, if it is long."""
    # What pip says of where this machine looks for packages is about this machine alone.
    lines = [line for line in output.splitlines() if not line.startswith("WARNING: Location ")]
    if len(lines) > LINES:
        lines = [*lines[: LINES // 2], f"… {len(lines) - LINES} lines", *lines[-LINES // 2 :]]
    return "\n".join(line if len(line) <= 300 else line[:297] + "…" for line in lines)


def bring(clone: Path) -> None:
    """What the commands are about."""
    sys.path[:0] = [str(clone), str(clone / "src")]
    from tests.file_makers import text_pdf
    from training.documents import KINDS, generate

    kinds, rng = {kind.names[0]: kind for kind in KINDS}, random.Random(7)
    labels = ["invoice", "receipt", "contract"]
    texts = {label: [generate(rng, kinds[label])[1][60:360] for _ in range(170)] for label in labels}
    for name in ("inbox", "scans"):
        (clone / name).mkdir()
    for label in labels:
        (clone / "inbox" / f"{label}.txt").write_text(texts[label][0], encoding="utf-8")
    (clone / "scans/one.pdf").write_bytes(text_pdf([texts["invoice"][1]]))
    (clone / "job.json").write_text(json.dumps({"input": {"text": texts["receipt"][2], "labels": labels}}))
    (clone / "mails.csv").write_text('text\n"Where is my parcel?"\n"Thank you, that was quick."\n')
    rows = [f"{json.dumps(text.replace(chr(34), ''))},{label}" for label in labels for text in texts[label][3:]]
    rng.shuffle(rows)
    (clone / "documents.csv").write_text("\n".join(["text,label", *rows[:100], ""]), encoding="utf-8")


def ready(server: int | str, said: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers, or says its word."""
    until = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        if isinstance(server, str):
            if server in said.read_text(errors="replace"):
                return
        else:
            try:
                with urllib.request.urlopen(f"http://localhost:{server}/ping", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except urllib.error.HTTPError:
                return  # the SDK's own server has no such route
            except OSError:
                pass
        time.sleep(0.5)


def walk(clone: Path, told: list[str]) -> Iterator[tuple[str, str]]:
    """Run the commands; each with what it printed."""
    ours = ("PINPOINT_", "RUNPOD_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    kept |= {"PATH": f"{clone}/.venv/bin:{kept['PATH']}", "COLUMNS": "110"}
    running: tuple[str, subprocess.Popen[bytes], Path] | None = None
    for place, command in enumerate(told):
        server = next((one for start, one in SERVERS.items() if command.startswith(start)), None)
        if running and (server is not None or not ("localhost" in command or command.startswith("pip "))):
            yield stopped(*running)
            running = None
        if server is not None:
            said = clone / f"said-{place}"
            with said.open("wb") as file:
                process = subprocess.Popen(
                    ["bash", "-c", command], cwd=clone, env=kept, stdout=file, stderr=file, start_new_session=True
                )
            ready(server, said, process)
            running = (command, process, said)
            continue
        done = subprocess.run(["bash", "-c", command], cwd=clone, env=kept, capture_output=True, text=True, check=False)
        code = f"\nexit code {done.returncode}" if done.returncode else ""
        yield command, done.stdout + done.stderr + code
    if running:
        yield stopped(*running)


def stopped(command: str, process: subprocess.Popen[bytes], said: Path) -> tuple[str, str]:
    """End a server; what it printed."""
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(60)
    return command, said.read_text(errors="replace")


def main() -> None:
    """Walk and write."""
    parser = argparse.ArgumentParser(description="Walk through README.md in a clean clone")
    parser.add_argument("clone", type=Path)
    clone = parser.parse_args().clone.resolve()
    told = commands((ROOT / "README.md").read_text(encoding="utf-8"))
    why = {one: reason for one in told for start, reason in LEFT_OUT.items() if one.startswith(start)}
    first = ["make run"]
    outputs = dict(walk(clone, first))
    bring(clone)
    outputs |= walk(clone, [one for one in told if one not in why and one not in first and not one.startswith(PLAN)])
    parts = [HEAD]
    for command in told:
        parts.append(f"```bash\n{command}\n```\n")
        if command.startswith(PLAN):
            words = shlex.split(command.removeprefix(PLAN))
            call = f"import sys; sys.path.insert(0, 'docs'); import generate; generate.put(generate.plan({words}))"
            parts.append(f"<!-- [[[cog\n{call}\n]]] -->\n<!-- [[[end]]] -->\n")
        elif command in why:
            parts.append(f"Not run: {why[command]}.\n")
        else:
            output = outputs[command].replace(str(clone), "~/pinpoint").rstrip()
            parts.append(f"```text\n{shortened(output)}\n```\n")
    WALKED.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
