"""Walk through README.md, the tutorial and deploy.md as a newcomer, and keep what came out: `make walk`.

Everything is run in a clean clone of the last commit, where `make run` is the first command and makes the environment.
docs/walk.md then has each command with its output, README.md the answer to test_input.json as it is today, and
docs/picture.svg shows it. What needs an account meets the emulated platform of the tests, what needs a card is named
with the reason. What a newcomer would bring, an inbox and tables, is made first.
"""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]
WALKED = ROOT / "docs/walk.md"
PAGES = ("README.md", "docs/tutorial.md", "docs/deploy.md")
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
ANSWER = re.compile(r"(?<=^```json\n)\{\"results\".*?\n(?=```$)", re.MULTILINE | re.DOTALL)
# Beginnings of commands that are not run, and why.
LEFT_OUT = {
    "MODEL_NAME=": "needs a GPU and a download",
    "make test": "the gate itself, minutes long",
    "docker ": "needs a container engine; `make image-check` replays the image without one",
}
# What is run in the place of what an account or a large download is needed for. Longer words first.
MIXTRAL, SMALL = "mistralai/Mixtral-8x7B-Instruct-v0.1", "small-mixtral"
STAND_INS = {
    "https://api.runpod.ai/v2/ENDPOINT_ID": "$RUNPOD_ENDPOINT_BASE_URL/pinpoint-test",
    "RUNPOD_API_KEY=… ": "",
    "ENDPOINT_ID": "pinpoint-test",
    f"{MIXTRAL} /runpod-volume/models/mixtral-int8": f"{SMALL} {SMALL}-int8",
    "/runpod-volume/models/mixtral-int8 --push YOU/mixtral-8x7b-instruct-int8": f"{SMALL}-int8",
}
BY_PLATFORM, BY_MODEL = "against the emulated platform of the tests and one worker", "on two layers of random weights"
# What changes the shell that the commands behind it are run in.
SHELL = ("export ", "source ")
# Those that go on until they are stopped, and what says that they are ready: a port, or a word of theirs.
SERVERS: dict[str, int | str] = {
    "python handler.py --rp_serve_api": 8123,
    "make serve": 8000,
    "python -m pinpoint review": "http://",
}
PLAN = "python -m pinpoint plan"
LINES = 96  # of an output; of a longer one the middle is left out
HEAD = """# The documents, walked

`make walk` ran every command of the README, the tutorial and the page about deployment as it stands there, one after
the other, in a clean clone on a machine with two cores and no GPU, and wrote this page. The gate fails when a command
of them is not here; what `plan` prints is made by `make docs`. Where it says *run as*, an account or a large download
was stood in for. Others used the machine meanwhile: no time here says how fast anything is.

Before the walk: an `inbox/` of three text files, `scans/` with a PDF, `job.json`, `mails.csv`, and `documents.csv` with
100 documents, all of generated texts of three kinds.
"""


def commands(page: str) -> list[str]:
    """The commands of its shell blocks in their order, each once: lines, with those that belong to the one before."""
    found = dict[str, None]()
    for block in BLOCK.findall(page):
        lines = iter(block.splitlines())
        for line in lines:
            if not line.strip() or line.startswith("#"):
                continue
            told = [re.sub(r"\s+# .*", "", line)]
            while told[-1].endswith("\\"):
                told.append(next(lines))
            if here := re.search(r"<<'(\w+)'$", told[-1]):
                while told[-1] != here[1]:
                    told.append(next(lines))
            found["\n".join(told)] = None
    return list(found)


def walked(page: str) -> list[tuple[str, str]]:
    """The commands of docs/walk.md, each with what is told of it."""
    return re.findall(r"^```bash\n(.*?)\n```\n\n(.+?)(?=\n```bash|\n## |\Z)", page, re.MULTILINE | re.DOTALL)


def stood_in(command: str) -> str:
    """What is run of it here."""
    for theirs, ours in STAND_INS.items():
        command = command.replace(theirs, ours)
    return command


def shortened(output: str) -> str:
    """An output without its middle, if it is long."""
    # What pip says of where this machine looks for packages is about this machine alone.
    lines = [line.rstrip() for line in output.splitlines() if not line.startswith("WARNING: Location ")]
    if len(lines) > LINES:
        lines = [*lines[: LINES // 2], f"… {len(lines) - LINES} lines", *lines[-LINES // 2 :]]
    return "\n".join(line if len(line) <= 300 else line[:297] + "…" for line in lines)


def readme_answer(answer: Mapping[str, Any]) -> str:
    """An answer as the README shows it: whole but for `timing` and `memory`, a few fields a line."""
    (result,) = answer["results"]
    decided, read, model = (
        json.dumps(one) for one in (result["answers"]["category"], result["input"], answer["model"])
    )
    for field in ('"labels"', '"scores"', '"margin"'):
        decided = decided.replace(f", {field}", f",\n        {field}")
    model = model.replace(', "labels_sha"', ',\n           "labels_sha"')
    return (
        f'{{"results": [\n   {{"id": "{result["id"]}", "status": "{result["status"]}",\n'
        f'    "answers": {{"category": {{\n        {decided[1:]}}},\n'
        f'    "input": {read}, "warnings": {json.dumps(result["warnings"])}}}],\n'
        f' "usage": {json.dumps(answer["usage"])},\n "model": {model}}}\n'
    )


def bring(clone: Path) -> None:
    """What the commands are about."""
    from tests.file_makers import text_pdf
    from tests.models import configurations, mixtral_tokenizer, save_random
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
    mails = ("My parcel is two weeks late and nobody answers. I want my money back.", "Thank you, that was quick.")
    (clone / "mails.csv").write_text("\n".join(["text", *(f'"{one}"' for one in mails), ""]))
    rows = [f"{json.dumps(text.replace(chr(34), ''))},{label}" for label in labels for text in texts[label][3:]]
    rng.shuffle(rows)
    (clone / "documents.csv").write_text("\n".join(["text,label", *rows[:100], ""]), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = mixtral_tokenizer(Path(folder))
    save_random(configurations(len(tokenizer))["mixtral"], tokenizer, clone / SMALL)


@contextmanager
def platform(folder: Path) -> Iterator[dict[str, str]]:
    """An emulated endpoint with a worker; what the environment of its clients names."""
    from tests.worker.emulator import API_KEY, ENDPOINT, Platform
    from tests.worker.product import product_worker

    with Platform() as emulated, product_worker(emulated, folder, "w1"):
        emulated.endpoint, emulated.key = ENDPOINT, API_KEY
        yield {"RUNPOD_ENDPOINT_BASE_URL": emulated.base_url, "RUNPOD_API_KEY": API_KEY}


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
    ours = ("PINPOINT_", "RUNPOD_", "PYTHON", "VIRTUAL_ENV", "OMP_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    kept |= {"PATH": f"{clone}/.venv/bin:{kept['PATH']}", "COLUMNS": "110"}
    running: tuple[str, subprocess.Popen[bytes], Path] | None = None
    shell = ""
    for place, command in enumerate(told):
        print(f"$ {command.splitlines()[0]}", flush=True)
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
        if command.startswith(SHELL):
            shell += f"{command}\n"
        run = stood_in(command)
        with tempfile.TemporaryDirectory() as folder:
            if "ENDPOINT_ID" in command:
                with platform(Path(folder)) as names:
                    yield command, ran(shell + run, clone, kept | names)
            else:
                yield command, ran(shell if command.startswith(SHELL) else shell + run, clone, kept)
    if running:
        yield stopped(*running)


def ran(script: str, clone: Path, env: Mapping[str, str]) -> str:
    """What a script prints, and its exit code where that is not 0."""
    done = subprocess.run(["bash", "-c", script], cwd=clone, env=env, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr + (f"\nexit code {done.returncode}" if done.returncode else "")


def stopped(command: str, process: subprocess.Popen[bytes], said: Path) -> tuple[str, str]:
    """End a server; what it printed."""
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(60)
    return command, said.read_text(errors="replace")


def section(page: str, clone: Path, before: Mapping[str, str]) -> Iterator[str]:
    """A page's part of docs/walk.md; `before` is what was run already."""
    told = commands((ROOT / page).read_text(encoding="utf-8"))
    why = {one: reason for one in told for start, reason in LEFT_OUT.items() if one.startswith(start)}
    outputs = {**before}
    run = [one for one in told if one not in why and one not in outputs and not one.startswith(PLAN)]
    outputs |= walk(clone, run)
    yield f"## {page}\n"
    for command in told:
        yield f"```bash\n{command}\n```\n"
        if command.startswith(PLAN):
            words = shlex.split(command.removeprefix(PLAN))
            call = f"import sys; sys.path.insert(0, 'docs'); import generate; generate.put(generate.plan({words}))"
            yield f"<!-- [[[cog\n{call}\n]]] -->\n<!-- [[[end]]] -->\n"
        elif command in why:
            yield f"Not run: {why[command]}.\n"
        else:
            if (here := stood_in(command)) != command:
                how = BY_PLATFORM if "ENDPOINT_ID" in command else BY_MODEL
                yield f"Run as this, {how}:\n\n```text\n{here}\n```\n"
            output = shortened(outputs[command].replace(str(clone), "~/pinpoint").strip("\n"))
            yield f"```text\n{output or '(nothing)'}\n```\n"


def main() -> None:
    """Walk and write."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "pinpoint"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        first = commands((ROOT / PAGES[0]).read_text(encoding="utf-8"))[0]
        outputs = dict(walk(clone, [first]))
        bring(clone)
        parts = [HEAD]
        for page in PAGES:
            parts += section(page, clone, outputs if page == PAGES[0] else {})
    WALKED.write_text("\n".join(parts), encoding="utf-8")
    printed = outputs[first]
    answer, _ = json.JSONDecoder().raw_decode(printed, printed.index("{\n"))
    readme = ROOT / "README.md"
    readme.write_text(
        ANSWER.sub(lambda _: readme_answer(answer), readme.read_text(encoding="utf-8"), count=1), encoding="utf-8"
    )
    subprocess.run([sys.executable, "docs/picture.py"], cwd=ROOT, input=json.dumps(answer).encode(), check=True)


if __name__ == "__main__":
    main()
