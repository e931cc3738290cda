"""Writing a quantised checkpoint: the same bytes whatever happens on the way, and nothing half done."""

import errno
import json
import os
import shutil
import signal
import subprocess
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from typer.testing import CliRunner, Result

from pinpoint.checkpoints.sources import embedded_folder
from pinpoint.checkpoints.weight_files import CHECKSUMS_FILE, CONFIG_FILE, INDEX_FILE, read_headers
from pinpoint.cli import app
from pinpoint.engine.loading import checkpoint_writer
from pinpoint.engine.loading.checkpoint_writer import Written, write
from pinpoint.engine.loading.quantize_job import JOURNAL_FILE, Job, prepare
from pinpoint.errors import CapacityError, ModelError, PinpointError
from pinpoint.planning.activations import Precision
from tests import warm
from tests.models import chatml_tokenizer, configurations, load_cpu, save_random
from tests.numeric.sixteen_bits import cast, fuse_mixtral, save_embedded, shard

SMALL_SHARD = 100_000


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """16-bit checkpoints of random weights, by family and by layout."""
    root, tokenizer = tmp_path_factory.mktemp("sources"), chatml_tokenizer()
    found = {
        family: save_random(configurations(len(tokenizer))[family], tokenizer, root / family)
        for family in ("mixtral", "qwen2", "qwen3_moe")
    }
    found["fused"] = fuse_mixtral(found["mixtral"], root / "fused")
    found["sharded"] = shard(found["mixtral"], root / "sharded", 3)
    found["float16"] = cast(found["mixtral"], root / "float16", torch.float16)
    found["float32"] = cast(found["mixtral"], root / "float32", torch.float32)
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def quantise(source: Path, folder: Path, precision: Precision = "int8", shard_bytes: int = SMALL_SHARD) -> Written:
    return write(prepare(source, folder, precision, shard_bytes))


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["quantize", *map(str, words)])


def test_the_embedded_model_comes_out_byte_for_byte(tmp_path: Path) -> None:
    result = run(save_embedded(tmp_path / "source"), tmp_path / "made")
    assert result.exit_code == 0, result.output
    assert contents(tmp_path / "made") == contents(embedded_folder())


@pytest.mark.parametrize("precision", ["int8", "fp8", "nf4"])
@pytest.mark.parametrize("family", ["mixtral", "qwen2", "qwen3_moe", "fused", "sharded", "float16", "float32"])
def test_what_is_written_is_what_streaming_makes(
    family: str, precision: Precision, sources: dict[str, Path], tmp_path: Path
) -> None:
    quantise(sources[family], tmp_path / "made", precision)
    written = load_cpu(tmp_path / "made", precision=precision, compute_dtype="bfloat16").model.state_dict()
    assert {tensor.dtype for tensor in written.values()} >= {torch.float32, torch.bfloat16}
    for dtype in ("bfloat16", "float32"):
        streamed = load_cpu(sources[family], precision=precision, compute_dtype=dtype).model.state_dict()
        assert streamed.keys() == written.keys()
        for name, tensor in written.items():
            if tensor.dtype != torch.bfloat16:  # all that is quantised; the rest is in the compute dtype
                assert tensor.dtype == streamed[name].dtype, name
                assert torch.equal(tensor.view(torch.uint8), streamed[name].view(torch.uint8)), name
            elif dtype == "bfloat16":
                assert torch.equal(tensor, streamed[name]), name


def test_the_layout_of_the_source_leaves_no_trace(sources: dict[str, Path], tmp_path: Path) -> None:
    for layout in ("mixtral", "fused", "sharded"):
        quantise(sources[layout], tmp_path / layout)
    assert contents(tmp_path / "mixtral") == contents(tmp_path / "fused") == contents(tmp_path / "sharded")


def test_large_models_are_written_in_shards_with_an_index(sources: dict[str, Path], tmp_path: Path) -> None:
    done = quantise(sources["mixtral"], tmp_path / "many")
    one = quantise(sources["mixtral"], tmp_path / "one", shard_bytes=10**9)
    assert (one.shards, done.weight_bytes) == (1, one.weight_bytes)
    shards = sorted((tmp_path / "many").glob("*.safetensors"))
    assert len(shards) == done.shards > 3
    assert shards[0].name == f"model-00001-of-{done.shards:05d}.safetensors"
    index = json.loads((tmp_path / "many" / INDEX_FILE).read_text())
    assert index["metadata"]["total_size"] == done.weight_bytes
    assert index["weight_map"].keys() == load_file(tmp_path / "one" / "model.safetensors").keys()
    for path in shards:
        tensors = load_file(path)
        # A group that is larger than a shard has one of its own.
        groups = {name.removesuffix("_scale").removesuffix(".scale").removesuffix(".weight") for name in tensors}
        assert sum(tensor.nbytes for tensor in tensors.values()) <= SMALL_SHARD or len(groups) == 1
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "many").iterdir()} == {0o644}
    assert not (tmp_path / "one" / INDEX_FILE).exists()


def test_the_checksums_are_those_that_sha256sum_knows(sources: dict[str, Path], tmp_path: Path) -> None:
    quantise(sources["mixtral"], tmp_path)
    lines = (tmp_path / CHECKSUMS_FILE).read_text().splitlines()
    assert {line.split("  ")[1] for line in lines} == {path.name for path in tmp_path.iterdir()} - {CHECKSUMS_FILE}
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--quiet", CHECKSUMS_FILE], cwd=tmp_path, check=True)


KILLED = """
import os, signal, sys
from pathlib import Path
from pinpoint.engine.loading import checkpoint_writer
from pinpoint.engine.loading.quantize_job import prepare

source, destination, where, countdown, shard_bytes = sys.argv[1:]
real, countdown = getattr(checkpoint_writer, where), int(countdown)

def deadly(*arguments):
    global countdown
    if countdown == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    countdown -= 1
    return real(*arguments)

setattr(checkpoint_writer, where, deadly)
checkpoint_writer.write(prepare(Path(source), Path(destination), "int8", int(shard_bytes)))
"""


@pytest.mark.parametrize(
    ("where", "countdown", "finished"),
    [
        ("check_finite", 0, 0),  # before the first tensor
        ("check_finite", 17, 2),  # in the middle of quantising
        ("_flush", 3, 1),  # a weight file is written, and not yet under its name
        ("_write_journal", 3, 3),  # it has its name, and the journal does not know it
        ("_write_small_files", 0, -1),  # all weights are there
        ("checksums_text", 0, -1),  # all but the checksums and the configuration
    ],
)
def test_killed_in_the_middle_it_finishes_when_started_again(
    where: str, countdown: int, finished: int, sources: dict[str, Path], tmp_path: Path
) -> None:
    source, made, whole = sources["mixtral"], tmp_path / "made", tmp_path / "whole"
    shards = quantise(source, whole).shards
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    done = warm.run([str(script), *map(str, (source, made, where, countdown, SMALL_SHARD))], os.environ)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = sorted(made.glob("model*.safetensors"))
    assert len(left) == (finished if finished >= 0 else shards)
    # What has its final name is whole, and nothing takes the folder for a model.
    assert all(path.read_bytes() == (whole / path.name).read_bytes() for path in left)
    assert not (made / CONFIG_FILE).exists()
    with pytest.raises(ModelError):
        load_cpu(made)
    known = json.loads((made / JOURNAL_FILE).read_text())["finished"] if (made / JOURNAL_FILE).exists() else {}
    before = {path: path.stat() for path in left if path.name in known}
    result = run(source, made, "--shard-gb", SMALL_SHARD / 1e9)
    assert result.exit_code == 0, result.output
    assert contents(made) == contents(whole)
    kept = f"{len(known)} of them by an earlier run"
    assert (kept in " ".join(result.stdout.split())) == bool(known)
    assert all(
        (path.stat().st_ino, path.stat().st_mtime_ns) == (was.st_ino, was.st_mtime_ns) for path, was in before.items()
    )


class Stop(Exception):
    """Ends a run where a test wants it to end."""


def stopped_after(shards: int, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the job until so many weight files are finished."""
    real, left = checkpoint_writer._write_shard, shards

    def limited(*arguments: object) -> str:
        nonlocal left
        if left == 0:
            raise Stop
        left -= 1
        return real(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(checkpoint_writer, "_write_shard", limited)
        write(job)


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_a_finished_file_that_changed_since_is_written_again(
    precision: Precision, sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, made = sources["mixtral"], tmp_path / "made"
    stopped_after(3, prepare(source, made, precision, SMALL_SHARD), monkeypatch)
    first, second, _ = sorted(made.glob("*.safetensors"))
    flip_a_bit(first)
    second.unlink()
    assert quantise(source, made, precision).kept_shards == 1
    quantise(source, tmp_path / "whole", precision)
    assert contents(made) == contents(tmp_path / "whole")


@pytest.mark.parametrize("change", ["size of files", "precision", "source", "fp8"])
def test_what_another_job_left_unfinished_is_not_mixed_in(
    change: str, sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, made = sources["mixtral"], tmp_path / "made"
    stopped_after(2, prepare(source, made, "int8", SMALL_SHARD), monkeypatch)
    precision: Precision = "nf4" if change == "precision" else "fp8" if change == "fp8" else "int8"
    shard_bytes = 10**9 if change == "size of files" else SMALL_SHARD
    if change == "source":
        source = shutil.copytree(source, tmp_path / "other")
        weights = load_file(source / "model.safetensors")
        save_file({name: value * 2 for name, value in weights.items()}, source / "model.safetensors", {"format": "pt"})
    assert quantise(source, made, precision, shard_bytes).kept_shards == 0
    quantise(source, tmp_path / "whole", precision, shard_bytes)
    assert contents(made) == contents(tmp_path / "whole")


def test_a_checkpoint_is_replaced_only_when_told_to(sources: dict[str, Path], tmp_path: Path) -> None:
    made = tmp_path / "made"
    quantise(sources["mixtral"], made)
    before = contents(made)
    result = run(sources["mixtral"], made)
    assert result.exit_code == 1
    assert "already holds config.json" in result.output
    assert contents(made) == before
    assert run(sources["mixtral"], made, "--overwrite", "--precision", "nf4").exit_code == 0
    quantise(sources["mixtral"], tmp_path / "whole", "nf4", 10**9)
    assert contents(made) == contents(tmp_path / "whole")
    assert run(made, made, "--overwrite").exit_code == 1
    source = contents(sources["mixtral"])
    assert run(sources["mixtral"], sources["mixtral"], "--overwrite").exit_code == 1
    assert contents(sources["mixtral"]) == source


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_verify_finds_a_single_bit(sources: dict[str, Path], tmp_path: Path) -> None:
    done = quantise(sources["mixtral"], tmp_path)
    result = run("--verify", tmp_path)
    assert (result.exit_code, "are as they were written" in result.output) == (0, True)
    damaged = tmp_path / f"model-00002-of-{done.shards:05d}.safetensors"
    flip_a_bit(damaged)
    result = run("--verify", tmp_path)
    assert result.exit_code == 1
    assert str(damaged) in "".join(result.output.split("\n"))
    with pytest.raises(ModelError, match="other bytes"):
        load_cpu(tmp_path, verify_checksums=True)
    damaged.unlink()
    assert run("--verify", tmp_path).exit_code == 1
    (tmp_path / CHECKSUMS_FILE).unlink()
    assert "has no SHA256SUMS" in run("--verify", tmp_path).output


def edit_config(folder: Path, **fields: object) -> None:
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps(config | fields))


def edit_weights(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


EXPERTS = "model.layers.1.block_sparse_moe.experts"
EXPERT = f"{EXPERTS}.2.w3.weight"
NORM = "model.norm.weight"


def spoil_truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def spoil_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(b"\xff" * 16 + path.read_bytes()[16:])


def spoil_empty(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def spoil_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def spoil_no_config(folder: Path) -> None:
    (folder / CONFIG_FILE).unlink()


def spoil_config(folder: Path) -> None:
    (folder / CONFIG_FILE).write_text('{"model_type": "mixtral", "hidden_size": "many"')


def spoil_nan(folder: Path) -> None:
    edit_weights(folder, lambda tensors: tensors[EXPERT].view(-1)[5].fill_(float("nan")))


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (spoil_truncated, "model.safetensors is cut short or damaged"),
    "no header": (spoil_header, "model.safetensors is cut short or damaged"),
    "empty": (spoil_empty, "model.safetensors is cut short or damaged"),
    "only a pickle": (spoil_pickle, "pytorch_model.bin is of another kind"),
    "no config.json": (spoil_no_config, "config.json"),
    "half a config.json": (spoil_config, "config.json"),
    "one expert less": (lambda f: edit_weights(f, lambda t: t.pop(EXPERT)), "there is no number 2, and there are 3"),
    "an expert less": (
        lambda f: edit_weights(f, lambda t: [t.pop(name) for name in list(t) if f"{EXPERTS}.3." in name]),
        "has the shape",
    ),
    "no last norm": (lambda f: edit_weights(f, lambda t: t.pop(NORM)), "the first is model.norm.weight"),
    "another head": (
        lambda f: edit_config(f, architectures=["MixtralForSequenceClassification"]),
        "whose head is not a language model's",
    ),
    "another shape": (lambda f: edit_config(f, vocab_size=7), "where its configuration needs [7, 64]"),
    "8-bit floats": (
        lambda f: edit_weights(f, lambda t: t.update({EXPERT: t[EXPERT].to(torch.float8_e4m3fn)})),
        "is stored as F8_E4M3",
    ),
    "quantised by others": (
        lambda f: edit_config(f, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}),
        "already quantised (bitsandbytes)",
    ),
    "not a number": (spoil_nan, "model.layers.1.mlp.experts.gate_up_proj_scale comes of model.layers.1."),
}  # fmt: skip


@pytest.mark.parametrize("kind", SPOILED)
def test_a_spoiled_source_is_refused_and_nothing_is_left(kind: str, sources: dict[str, Path], tmp_path: Path) -> None:
    spoil, said = SPOILED[kind]
    source = shutil.copytree(sources["mixtral"], tmp_path / "source")
    spoil(source)
    result = run(source, tmp_path / "made")
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())
    assert "Traceback" not in result.output
    left = {path.name for path in (tmp_path / "made").glob("*")} - {JOURNAL_FILE}
    assert left == set()
    with pytest.raises(ModelError):
        load_cpu(source)


@pytest.mark.parametrize(
    "spoil", ["missing", "truncated", "swapped", "twice", "not a number", "index outside", "empty index", "no index"]
)
def test_a_spoiled_shard_is_named(spoil: str, sources: dict[str, Path], tmp_path: Path) -> None:
    source = shutil.copytree(sources["sharded"], tmp_path / "source")
    second = source / "model-00002-of-00003.safetensors"
    said = second.name
    if spoil == "missing":
        second.unlink()
    elif spoil == "truncated":
        second.write_bytes(second.read_bytes()[:-7])
    elif spoil == "swapped":
        shutil.copy(source / "model-00001-of-00003.safetensors", second)
    elif spoil == "twice":
        first, name = load_file(source / "model-00001-of-00003.safetensors"), "lm_head.weight"
        save_file({**load_file(second), name: -first[name]}, second, metadata={"format": "pt"})
        said = f"00001-of-00003.safetensors and {second} both hold {name}"
    elif spoil == "not a number":
        stored = load_file(second)
        name = max(name for name in stored if "experts" in name)
        stored[name][0, 0] = torch.inf
        save_file(stored, second, metadata={"format": "pt"})
        said = f"{name} in {second}, with values that are not finite"
    elif spoil == "empty index":
        (source / INDEX_FILE).write_text('{"metadata": {}, "weight_map": {}}')
        said = f"{source / INDEX_FILE} is not an index"
    elif spoil == "index outside":
        (source / INDEX_FILE).write_text('{"weight_map": {"x": "../model-00001-of-00003.safetensors"}}')
        said = "is not an index"
    else:
        (source / INDEX_FILE).write_text("{")
        said = "is not an index"
    result = run(source, tmp_path / "made")
    assert result.exit_code == 1
    assert said in "".join(result.output.split("\n"))
    assert not list((tmp_path / "made").glob("*.safetensors"))
    with pytest.raises(ModelError, match=said):
        load_cpu(source)


@pytest.mark.parametrize(
    ("number", "kept", "said"),
    [(9, False, "no number 2, and there are 4 up to 9"), (9, True, "no number 4, and there are 5 up to 9")],
)
def test_experts_with_other_numbers_are_not_taken_for_their_neighbours(
    number: int, kept: bool, said: str, sources: dict[str, Path], tmp_path: Path
) -> None:
    source = shutil.copytree(sources["mixtral"], tmp_path / "source")
    name = "model.layers.1.block_sparse_moe.experts.{}.w2.weight"

    def renumber(tensors: dict[str, Tensor]) -> None:
        tensors[name.format(number)] = tensors[name.format(2)].clone() if kept else tensors.pop(name.format(2))

    edit_weights(source, renumber)
    with pytest.raises(ModelError) as caught:
        prepare(source, tmp_path / "made", "int8")
    assert caught.value.code == "checkpoint_unsuitable"
    assert f"of {name.format('*')} there is {said}; see {source / 'model.safetensors'}" in caught.value.message


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_experts_that_are_stored_in_two_ways_are_refused(
    precision: Precision, sources: dict[str, Path], tmp_path: Path
) -> None:
    source = shutil.copytree(sources["mixtral"], tmp_path / "source")
    fused = load_file(sources["fused"] / "model.safetensors")
    name = next(name for name in fused if name.endswith("gate_up_proj"))
    edit_weights(source, lambda tensors: tensors.update({name: fused[name] + 1}))
    with pytest.raises(ModelError, match=f"{name} .*; see .*model.safetensors") as caught:
        load_cpu(source, precision=precision)
    assert caught.value.code == "checkpoint_unsuitable"


def test_what_two_files_have_alike_is_read_of_either(sources: dict[str, Path], tmp_path: Path) -> None:
    source = shutil.copytree(sources["sharded"], tmp_path / "source")
    first, second = (source / f"model-0000{number}-of-00003.safetensors" for number in (1, 2))
    name = "lm_head.weight"
    save_file({**load_file(second), name: load_file(first)[name]}, second, metadata={"format": "pt"})
    assert torch.equal(load_cpu(source).model.state_dict()[name], load_file(first)[name].float())


def test_what_is_quantised_already_is_refused(tmp_path: Path) -> None:
    result = run(embedded_folder(), tmp_path / "made")
    assert (result.exit_code, "already quantised to int8" in result.output) == (1, True)


def test_a_disk_without_room_is_told_beforehand(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = prepare(sources["mixtral"], tmp_path / "made", "int8", SMALL_SHARD)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=job.weight_bytes - 1))
    with pytest.raises(CapacityError) as caught:
        write(job)
    assert caught.value.code == "disk_full"
    assert list((tmp_path / "made").iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (SafetensorError('IoError(Os { code: 28, message: "No space left on device" })'), "disk_full"),
        (OSError(errno.EIO, "Input/output error"), "cannot_write"),
    ],
)
def test_a_disk_that_fills_up_leaves_what_is_finished(
    error: Exception, code: str, sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, made, real, left = sources["mixtral"], tmp_path / "made", save_file, 2

    def filling_up(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
        nonlocal left
        if left == 0:
            path.write_bytes(b"half a file")
            raise error
        left -= 1
        real(tensors, path, metadata=metadata)

    with monkeypatch.context() as patch, pytest.raises(PinpointError) as caught:
        patch.setattr(checkpoint_writer, "save_file", filling_up)
        quantise(source, made)
    assert caught.value.code == code
    assert sorted(path.suffix for path in made.iterdir()) == [".journal", ".safetensors", ".safetensors"]
    assert quantise(source, made).kept_shards == 2
    quantise(source, tmp_path / "whole")
    assert contents(made) == contents(tmp_path / "whole")


def test_no_more_than_one_fused_tensor_is_read_ahead(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sources["mixtral"]
    held = peak = 0

    def forget(size: int) -> None:
        nonlocal held
        held -= size

    def counted(job: Job, stack: object) -> Callable[[str], Tensor]:
        real_read = real(job, stack)  # type: ignore[arg-type]

        def read(key: str) -> Tensor:
            nonlocal held, peak
            tensor = real_read(key).clone()  # of its own, not a view of the file
            held += tensor.nbytes
            peak = max(peak, held)
            weakref.finalize(tensor.untyped_storage(), forget, tensor.nbytes)
            return tensor

        return read

    real = checkpoint_writer._reader
    monkeypatch.setattr(checkpoint_writer, "_reader", counted)
    quantise(source, tmp_path / "made")
    config = json.loads((source / CONFIG_FILE).read_text())
    fused = 2 * config["num_local_experts"] * 2 * config["intermediate_size"] * config["hidden_size"]
    total = sum(2 * torch.Size(stored.shape).numel() for stored in read_headers(source).values())
    tables = 2 * config["vocab_size"] * config["hidden_size"]
    # Tables and the like are not quantised: they are held until their file is written.
    assert fused <= peak <= max(fused, tables) + SMALL_SHARD
    assert peak < total / 2


def test_help_teaches_with_examples() -> None:
    said = " ".join(run("--help").output.replace("│", " ").split())
    for words in ("run the same command again", "--precision nf4", "--verify", "sha256sum -c", "Exit code 0"):
        assert words in said


def test_a_wrong_command_exits_with_2(tmp_path: Path) -> None:
    assert run(tmp_path).exit_code == 2
    assert run(tmp_path, tmp_path / "made", "--precision", "int4").exit_code == 2
    assert run(tmp_path / "no", tmp_path / "made").exit_code == 1
