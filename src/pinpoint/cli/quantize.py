"""`python -m pinpoint quantize`: write a 16-bit checkpoint once in 8 or 4 bits; it then loads with fewer bytes.

Exit code 0 when the checkpoint is there and whole, 1 when it is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from pinpoint.errors import PinpointError

if TYPE_CHECKING:
    from pinpoint.engine.loading.checkpoint_writer import Written

FAILED = 1
_GB = 1e9


def quantize(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder, or a name on the Hub, with 16-bit safetensors.")
    ],
    destination: Annotated[
        Path | None, typer.Argument(metavar="DESTINATION", help="The folder to write. Not needed with --verify.")
    ] = None,
    precision: Annotated[
        Literal["int8", "fp8", "nf4"],
        typer.Option(help="What linear layers and experts are held in; fp8 is served by Ada, Hopper and Blackwell."),
    ] = "int8",
    revision: Annotated[
        str, typer.Option(help="Branch, tag or commit of a name on the Hub.", envvar="MODEL_REVISION")
    ] = "main",
    shard_gb: Annotated[
        float, typer.Option(min=0.0001, max=1000, help="GB (10⁹ bytes) of a weight file at most; held in memory.")
    ] = 5.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the checkpoint in DESTINATION.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Write nothing: compare the files of a folder with its SHA256SUMS.")
    ] = False,
    push: Annotated[
        str, typer.Option(metavar="OWNER/NAME", help="Then upload it to this repository on the Hub, private if new.")
    ] = "",
) -> None:
    """Quantise SOURCE, experts included, and write it to DESTINATION as a checkpoint of its own.

    Tensors stream from the source's files into the destination's: the 16-bit model is never in memory, and no GPU is
    needed. What is held is one weight file and the largest fused tensor.

    If it is killed, or the disk fills up, run the same command again: finished files are checked and kept. Until all is
    there, the folder has no config.json and nothing takes it for a model.

    [bold]Examples[/bold]

    Mixtral from the Hub, once, onto a network volume; its workers then read half the bytes at every start:

    [cyan]python -m pinpoint quantize mistralai/Mixtral-8x7B-Instruct-v0.1 /runpod-volume/models/mixtral-int8[/cyan]

    [cyan]MODEL_NAME=/runpod-volume/models/mixtral-int8 python handler.py[/cyan]

    In 4 bits, from a folder:

    [cyan]python -m pinpoint quantize ./my-model ./my-model-nf4 --precision nf4[/cyan]

    Is everything still as it was written? (Or, anywhere: sha256sum -c SHA256SUMS)

    [cyan]python -m pinpoint quantize --verify /runpod-volume/models/mixtral-int8[/cyan]

    As a repository of your own, which RunPod can cache for an endpoint (HF_TOKEN may write); of one that lies there
    already, with --verify:

    [cyan]python -m pinpoint quantize --verify /runpod-volume/models/mixtral-int8 --push you/mixtral-int8[/cyan]

    Exit code 0: the checkpoint is there and whole. 1: it is not; the message says why. 2: the command is wrong.
    """
    if verify:
        _verify(destination or Path(source))
        _push(destination or Path(source), push)
        return
    if destination is None:
        raise typer.BadParameter("give the folder to write", param_hint="DESTINATION")
    try:
        written = _write(source, revision, destination, precision, round(shard_gb * _GB), overwrite)
    except PinpointError as error:
        _fail(error)
    files = "file" if written.shards == 1 else "files"
    kept = f", {written.kept_shards} of them by an earlier run" if written.kept_shards else ""
    _console().print(
        f"wrote {written.weight_bytes / _GB:.3f} GB of {precision} weights in {written.shards} {files}{kept}, to "
        f"{escape(str(destination))} in {written.seconds:.1f} s; checksums are beside them",
        soft_wrap=True,
    )
    _push(destination, push)


def _push(folder: Path, repository: str) -> None:
    if not repository:
        return
    from pinpoint.checkpoints.publish import publish

    try:
        done = publish(folder, repository)
    except PinpointError as error:
        _fail(error)
    _console().print(
        f"uploaded; set MODEL_NAME={escape(done.name)} and MODEL_REVISION={escape(done.commit)}", soft_wrap=True
    )


def _write(
    source: str,
    revision: str,
    destination: Path,
    precision: Literal["int8", "fp8", "nf4"],
    shard_bytes: int,
    overwrite: bool,
) -> Written:
    from pinpoint.checkpoints.sources import download, find_source

    found = find_source(source, revision)
    folder = download(found, weights=True).folder
    assert folder is not None, "downloaded"
    # Torch takes seconds: a source that is not there has been refused by now.
    from pinpoint.engine.loading.checkpoint_writer import write
    from pinpoint.engine.loading.quantize_job import prepare

    job = prepare(folder, destination, precision, shard_bytes, replace=overwrite)
    with _progress() as progress:
        task = progress.add_task(f"quantising to {precision}", total=job.weight_bytes)
        return write(job, lambda done: progress.advance(task, done))


def _verify(folder: Path) -> None:
    from pinpoint.checkpoints.weight_files import read_checksums, verify_checksums

    try:
        names = read_checksums(folder)
        total = sum((folder / name).stat().st_size for name in names if (folder / name).is_file())
        with _progress() as progress:
            task = progress.add_task("comparing checksums", total=total)
            files = verify_checksums(folder, lambda done: progress.advance(task, done))
    except PinpointError as error:
        _fail(error)
    _console().print(f"{files} files of {escape(str(folder))} are as they were written", soft_wrap=True)


def _progress() -> Progress:
    """A bar on a terminal, nothing into a pipe. On standard error: standard output is the answer."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _console() -> Console:
    return Console()


def _fail(error: PinpointError) -> NoReturn:
    Console(stderr=True).print(f"[red]pinpoint quantize:[/red] {escape(error.message)}", soft_wrap=True)
    raise typer.Exit(FAILED) from None
