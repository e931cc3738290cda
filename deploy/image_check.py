"""Replays the Dockerfile without a container engine, and tries what comes out: `make image-check`.

A chroot takes the container's place: Debian by debootstrap, this machine's Python of the image's version under
/usr/local, and then every instruction of the Dockerfile as it stands: apt, pip from the lock, copies out of the build
context, the self-test. What is built is then run on a read-only disk, behind the image's own entry point. That is all
but the base image's own bytes and the engine. It needs root, debootstrap and the network, 12 GB of disk and minutes.

sudo python3.12 -m deploy.image_check [--root FOLDER] [--keep]
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.dockerfile import Instruction, context, expand, pairs, parse

ROOT = Path(__file__).parents[1]
# What Python's own image installs for its standard library, besides certificates.
LIBRARIES = (
    "ca-certificates,netbase,tzdata,libssl3,libffi8,libsqlite3-0,zlib1g,libbz2-1.0,liblzma5,libreadline8,libuuid1"
)
# What this machine needs to reach Debian and PyPI, if anything.
THROUGH = ("PIP_CERT", "PIP_INDEX_URL", "SSL_CERT_FILE", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
RUN_S = 600  # for one run of what is built; seconds on a machine that does nothing else
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOME_ENV = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}


class Failed(Exception):
    """A step that did not do what it has to."""


class Image:
    """What the instructions have made so far: a tree, an environment, a folder, and how it starts."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.env: dict[str, str] = {}
        self.args: dict[str, str] = {}
        self.folder = "/"
        self.entry: list[str] = []
        self.command: list[str] = []

    def base(self, reference: str) -> None:
        """Debian and Python, as the base image has them but for its very bytes."""
        match = re.match(r"python:(\d+\.\d+)(\.\d+)?-slim-(\w+)", reference)
        if not match:
            raise Failed(f"not an image that can be replayed: {reference}")
        if match[1] != f"{sys.version_info[0]}.{sys.version_info[1]}":
            raise Failed(f"run this with Python {match[1]}, as the image")
        mirror = debian_mirror()
        command = ["debootstrap", "--variant=minbase", f"--include={LIBRARIES}", match[3], str(self.tree)]
        run([*command, mirror] if mirror else command, "debootstrap")
        put_python(self.tree)
        for name in (
            "/etc/resolv.conf",
            *(os.environ[one] for one in ("PIP_CERT", "SSL_CERT_FILE") if one in os.environ),
        ):
            target = self.tree / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, target)
        print(f"base: Debian {match[3]}, Python {sys.version.split()[0]} (the image's: {match[1]}{match[2] or ''})")

    def perform(self, one: Instruction) -> None:
        """One instruction."""
        values = self.args | self.env
        if one.word == "FROM":
            self.base(expand(one.rest, values))
        elif one.word == "ARG":
            self.args |= pairs(one.rest, values)
        elif one.word == "ENV":
            self.env |= pairs(one.rest, values)
        elif one.word == "WORKDIR":
            self.folder = one.rest
            (self.tree / one.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif one.word == "COPY":
            self.copy(expand(one.rest, values).split())
        elif one.word == "RUN":
            through = {name: os.environ[name] for name in THROUGH if name in os.environ}
            run(self.inside(["/bin/sh", "-c", one.rest]), one.rest[:60], env=HOME_ENV | through | self.args | self.env)
        elif one.word == "ENTRYPOINT":
            self.entry = one.words()
        elif one.word == "CMD":
            self.command = one.words()
        elif one.word != "EXPOSE":
            raise Failed(f"cannot be replayed: {one.word}")

    def copy(self, words: list[str]) -> None:
        """Files of the build context: all into a folder, or one to a name; a folder's contents, as Docker does."""
        *sources, target = words
        into = self.tree / self.folder.lstrip("/") / target
        files = list(context(ROOT, (ROOT / ".dockerignore").read_text(encoding="utf-8")))
        for source in sources:
            found = [path for path in files if fnmatch.fnmatchcase(path.as_posix(), source)]
            inside = [path for path in files if source in {parent.as_posix() for parent in path.parents}]
            if not found and not inside:
                raise Failed(f"COPY {source}: nothing in the build context")
            for path in found:
                place(ROOT / path, into / path.name if target.endswith("/") else into)
            for path in inside:
                place(ROOT / path, into / path.relative_to(source))

    def inside(self, command: list[str], read_only: bool = False, volume: Path | None = None) -> list[str]:
        """A command in the tree, in mount and process name spaces of its own; process 1 is the command."""
        steps = ['mount --bind "$0" "$0"']
        if read_only:
            steps += ['mount -o remount,ro,bind "$0"', 'mount -t tmpfs tmpfs "$0/tmp"']
        steps += ['mount --rbind /dev "$0/dev"', 'mount -t proc proc "$0/proc"']
        if volume:
            steps.append(f'mount --bind {volume} "$0/runpod-volume"')
        steps.append(f'exec chroot "$0" /usr/bin/env --chdir={self.folder} "$@"')
        script = " && ".join(steps)
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, str(self.tree), *command]

    def started(self, *command: str, volume: Path | None = None) -> list[str]:
        """The image run: its entry point on a read-only disk with a /tmp, and a network volume if there is one."""
        return self.inside([*self.entry, *(command or self.command)], read_only=True, volume=volume)

    @property
    def environment(self) -> dict[str, str]:
        """What a container of this image has."""
        return HOME_ENV | self.env


def run(command: list[str], what: str, env: dict[str, str] | None = None) -> None:
    """Run a step; its output is shown when it fails."""
    began = time.monotonic()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{what}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-4000:]}")
    print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)


def place(source: Path, target: Path) -> None:
    """Copy a file with its rights."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def debian_mirror() -> str:
    """The mirror that this machine's apt uses, or an empty string."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Label: Debian"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.split("\n")[0].strip()


def put_python(tree: Path) -> None:
    """This interpreter under /usr/local, without its packages but pip."""
    home, version = Path(sys.base_prefix), f"{sys.version_info[0]}.{sys.version_info[1]}"
    library = f"lib/python{version}"
    left_out = shutil.ignore_patterns("site-packages", "test", "__pycache__", "*.a")
    shutil.copytree(home / library, tree / "usr/local" / library, ignore=left_out, dirs_exist_ok=True)
    (tree / "usr/local" / library / "site-packages").mkdir()
    shutil.copytree(home / "include", tree / "usr/local/include", dirs_exist_ok=True)
    shutil.copy2(home / f"bin/python{version}", tree / "usr/local/bin")
    for shared in (home / "lib").glob("libpython*.so*"):
        shutil.copy2(shared, tree / "usr/local/lib")
    for name in ("python", "python3"):
        (tree / "usr/local/bin" / name).symlink_to(f"python{version}")
    run(["chroot", str(tree), "/sbin/ldconfig"], "ldconfig")
    run(["chroot", str(tree), "/usr/local/bin/python", "-m", "ensurepip", "--default-pip"], "pip", HOME_ENV)


def look(image: Image) -> Iterator[str]:
    """What the image does when it is run; each line is something that was seen."""
    plain = started(image)
    if "worker user=pinpoint" not in plain.stderr:
        raise Failed(f"it did not run as pinpoint: {plain.stderr[-2000:]}")
    if plain.returncode:
        raise Failed(f"test_input.json: exit code {plain.returncode}\n{plain.stderr[-4000:]}")
    label = json.loads(plain.stdout)["results"][0]["answers"]["category"]["label"]
    if label != "invoice":
        raise Failed(f"test_input.json is called {label}")
    yield "answers test_input.json on a read-only disk as user pinpoint"
    proof = started(image, "python", "-m", "pinpoint", "check")
    if proof.returncode:
        raise Failed(
            f"its torch does not score the embedded model exactly: {proof.stdout[-2000:]}{proof.stderr[-2000:]}"
        )
    version = started(image, "python", "-c", "import torch; print(torch.__version__)").stdout.strip()
    yield f"proves that its torch {version} scores the embedded model exactly"
    status = started(image, "cat", "/proc/self/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    if fields["Uid"].split() != ["10001"] * 4 or int(fields["CapBnd"], 16) or fields["NoNewPrivs"] != "1":
        raise Failed(f"rights: {fields['Uid']}, {fields['CapBnd']}, {fields['NoNewPrivs']}")
    yield "has no capability, and no way to one"
    with tempfile.TemporaryDirectory() as folder:  # root's, as a network volume of RunPod's
        said = started(image, "id", "-u", volume=Path(folder))
        if said.stdout.strip() != "0" or "worker user=root path=/runpod-volume/huggingface-cache" not in said.stderr:
            raise Failed(f"with a volume of root's: {said}")
        yield "stays root with a network volume that is root's, and says so"
        os.chown(folder, 10001, 10001)
        os.chown(Path(folder) / "huggingface-cache", 10001, 10001)
        if started(image, "id", "-u", volume=Path(folder)).stdout.strip() != "10001":
            raise Failed("root with a volume that pinpoint can write")
        yield "is pinpoint with a volume that pinpoint can write"
    yield from stopped(image)
    yield from served(image)


def started(image: Image, *command: str, volume: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One run to its end."""
    try:
        return subprocess.run(
            image.started(*command, volume=volume), env=image.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=RUN_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"").decode(errors="replace")
        raise Failed(f"{' '.join(command) or 'the worker'}: no end within {RUN_S} s\n{said[-4000:]}") from None


@contextmanager
def running(image: Image, *command: str, **env: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A container that goes on, and the process id of its process 1."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(image.started(*command), env=image.environment | env, stdout=said, stderr=said)
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            deadline = time.monotonic() + 30
            while not (first := children.read_text().split()) or "tini" not in command_line(first[0]):
                if time.monotonic() > deadline:
                    raise Failed("tini is not process 1")
                time.sleep(0.05)
            yield process, int(first[0])
        finally:
            process.kill()
            process.wait()


def command_line(process: str) -> str:
    """A process's program and arguments, if it is there."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def stopped(image: Image) -> Iterator[str]:
    """SIGTERM to process 1 while the model loads."""
    env = {
        "RUNPOD_WEBHOOK_GET_JOB": "http://127.0.0.1:9/job-take/$ID?gpu=none",
        "RUNPOD_WEBHOOK_POST_OUTPUT": "http://127.0.0.1:9/job-done/$RUNPOD_POD_ID/$ID?gpu=none",
        "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
        "RUNPOD_SKIP_GPU_CHECK": "true",
    }
    with running(image, **env) as (process, first):
        time.sleep(1.5)
        os.kill(first, signal.SIGTERM)
        began = time.monotonic()
        code = process.wait(timeout=20)
        if code not in (143, -signal.SIGTERM):
            raise Failed(f"SIGTERM during the load: exit code {code}")
        yield f"hears SIGTERM during the load: exit code 143 after {time.monotonic() - began:.1f} s"


def served(image: Image) -> Iterator[str]:
    """The same image behind a load balancer."""
    env = {"PINPOINT_ENDPOINT": "http", "PORT": "18231"}
    with running(image, **env):
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen("http://127.0.0.1:18231/ping", timeout=5) as answer:
                    if answer.status == 200:
                        break
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise Failed("/ping is not 200 after 2 minutes")
            time.sleep(0.3)
        yield "serves HTTP with PINPOINT_ENDPOINT=http: /ping is 200"


def main() -> None:
    """Replay, run, and say what was seen; exit code 1 when something is not as it has to be."""
    parser = argparse.ArgumentParser(description="Replay the Dockerfile without a container engine")
    parser.add_argument("--root", type=Path, help="where to build; an empty or new folder")
    parser.add_argument("--keep", action="store_true", help="leave the tree there, or use one that was left")
    given = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        sys.exit("needs root and debootstrap (apt-get install debootstrap); with Docker: docker build .")
    tree = given.root or Path(tempfile.mkdtemp(prefix="pinpoint-image-"))
    tree = tree.absolute()
    tree.mkdir(parents=True, exist_ok=True)
    tree.chmod(0o755)  # the container's own /, which every user of it walks through; mkdtemp makes it root's alone
    instructions = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    image = Image(tree)
    mark = tree / "built"
    began = time.monotonic()
    try:
        for one in instructions:
            if not mark.exists() or one.word not in ("FROM", "RUN", "COPY"):
                image.perform(one)
        mark.touch()
        du = ["du", "-sx", "--block-size=1000000", str(tree)]
        used = subprocess.run(du, capture_output=True, text=True, check=True).stdout.split()[0]
        print(f"built: {int(used) / 1000:.1f} GB", flush=True)
        for line in look(image):
            print(f"seen: {line}", flush=True)
    except Failed as error:
        sys.exit(f"image check failed: {error}")
    finally:
        if not given.keep:
            shutil.rmtree(tree, ignore_errors=True)
    print(f"image check passed in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
