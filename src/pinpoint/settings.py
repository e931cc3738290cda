"""Settings: environment → one frozen value. Every field has its unit, its default and its reason.

Read with `Settings()`; tests pass values. Nothing is read at import.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AliasChoices, Field, ValidationError

from pinpoint.errors import ModelError
from pinpoint.setting_fields.guards import OfGuards
from pinpoint.setting_fields.http import OfHttp
from pinpoint.setting_fields.kinds import CONFIG, MOST_BYTES, WEEK_S, ActivationsWord
from pinpoint.setting_fields.kinds import measured as _of

# Of a pass, where nothing is set and nothing was measured: enough to keep the matrix products busy.
USUAL_BUDGET_TOKENS = 8192


class Settings(OfHttp, OfGuards):
    """All that an operator can set, by environment variable `PINPOINT_<FIELD>` unless another name is given.

    Those of the HTTP server and of the guards are in `setting_fields`.

    The tables of docs/settings.md are made from these fields.
    """

    model_config = CONFIG

    model_name: str = Field(
        default="",
        validation_alias=AliasChoices("MODEL_NAME", "PINPOINT_MODEL_NAME"),
        description="A name on the Hub ([looked for here first](architecture.md#where-a-model-comes-from)), or a "
        "folder; empty means the embedded model. The usual RunPod templates call it so",
    )
    model_revision: str = Field(
        default="main",
        validation_alias=AliasChoices("MODEL_REVISION", "PINPOINT_MODEL_REVISION"),
        description="A branch, tag or commit; pin a commit in production, so that a restart never changes the "
        "answers. A folder has no revision",
    )
    device: Literal["auto", "cuda", "cpu"] = Field(
        default="auto",
        description="`auto` is GPU 0 where there is one; only the embedded model runs on a CPU without being told to",
    )
    compute_dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="What activations are computed in; `auto` is bfloat16 on a GPU, and on a CPU float32, where it is "
        "exact and portable",
    )
    precision: Literal["int8", "fp8", "nf4", "bf16", "auto"] = Field(
        default="int8",
        description="How linear layers and experts are held; `auto` is the highest of bf16, int8 and nf4 that fits "
        "the card, and the log says which (on a CPU, and with PINPOINT_ACTIVATIONS=int8, int8). `fp8` takes what "
        "`int8` takes and quantises states too; it needs an Ada, Hopper or Blackwell card, and any other is refused. A "
        "checkpoint that `pinpoint quantize` wrote has its own and refuses any other. `python -m pinpoint plan` reads "
        "it too",
    )
    activations: ActivationsWord = Field(
        default="compute",
        description="What the inputs of products with int8 weights are held in: `compute` (or `bf16`), the 16 or 32 "
        "bits of `PINPOINT_COMPUTE_DTYPE`, or `int8`, by the row: integers are multiplied with integers, which is "
        "faster where the card or the processor (VNNI, AMX) has products for it. With precision `int8` alone, its "
        "checkpoints as they are; layers with outliers are [kept from it](architecture.md#8-bit-activations). "
        "[What it costs](quality.md)",
    )
    verify_checksums: bool = Field(
        default=False,
        description="Compares every file of the checkpoint with `SHA256SUMS` before loading. Off: reading 47 GB once "
        "more takes minutes on a network volume, and files that are cut short or lack something are refused anyway",
    )
    token_budget: int | None = Field(
        default=None,
        ge=256,
        le=1_048_576,
        description="Most tokens of one forward pass; the memory plan may allow fewer. Everyone in a pass waits for "
        "all of it; a document that takes more is read in chunks. Unset: 8,192, and on a GPU 16,384 or 32,768 where "
        "that is faster by 3 % or more, as [measured at the start](memory.md#the-token-budget). On a CPU documents "
        "that fill 2,048 are taken together, whatever is set",
        json_schema_extra=_of("tokens"),
    )
    buffer_gb: float = Field(
        default=3.0,
        ge=0,
        le=10_000,
        allow_inf_nan=False,
        description="What stays free on the card: other users of it, fragmentation",
        json_schema_extra=_of("GB of 10⁹ bytes", "plan"),
    )
    max_memory_gb: float | None = Field(
        default=None,
        gt=0,
        le=10_000,
        allow_inf_nan=False,
        description="What the worker may take, a bound of your own below the card's; unset: the card less the buffer",
        json_schema_extra=_of("GB of 10⁹ bytes", "plan"),
    )
    prefix_store_bytes: int = Field(
        default=256_000_000,
        ge=0,
        le=MOST_BYTES,
        description="Keys and values of shared prompt beginnings that outlive their pass; 256 MB are about 2,000 "
        "tokens of Mixtral's",
        json_schema_extra=_of("bytes"),
    )
    max_response_bytes: int = Field(
        default=10_000_000,
        ge=1000,
        le=1_000_000_000,
        description="Of a serialised answer: `/run` takes 10 MB, and more is dropped without a word",
        json_schema_extra=_of("bytes"),
    )
    max_concurrency: int = Field(
        default=4,
        ge=1,
        le=64,
        description="How many jobs the platform may have in flight here. Constant: the SDK waits for an empty worker "
        "to change it",
        json_schema_extra=_of("jobs"),
    )
    batch_wait_ms: float | None = Field(
        default=None,
        ge=0,
        le=1000,
        allow_inf_nan=False,
        description="How long a forward pass that is not full waits for jobs that have arrived and are not encoded "
        "yet. With no such job, it does not wait. Unset: at most a tenth of what the last passes took, 2 to 50 ms",
        json_schema_extra=_of("ms"),
    )
    max_queued_tokens: int = Field(
        default=16_000_000,
        ge=1,
        le=10**12,
        description="Asked for by questions that wait; a job beyond is refused as `overloaded`. About what a large "
        "card computes in ten minutes, after which the platform has given a job up anyway. Other jobs count with at "
        "most the job's own size, and one that is larger by itself is taken when nothing else waits",
        json_schema_extra=_of("tokens"),
    )
    job_deadline_s: float = Field(
        default=600.0,
        ge=0,
        le=WEEK_S,
        allow_inf_nan=False,
        description="From a job's arrival to its answer, 0 for no end; an `executionTimeout` in the job's own policy "
        "goes before. The platform's default; raise it with the endpoint's",
        json_schema_extra=_of("seconds"),
    )
    kept_answers_bytes: int = Field(
        default=32_000_000,
        ge=0,
        le=MOST_BYTES,
        description="Answers kept for jobs that are handed over once more, longest unused out first. Some 20,000 of "
        "one document",
        json_schema_extra=_of("bytes"),
    )
    max_file_bytes: int = Field(
        default=20_000_000,
        ge=1000,
        le=1_000_000_000,
        description="Of one file, sent or fetched. A request with its files in it has at most what the platform takes; "
        "larger ones come by `url`",
        json_schema_extra=_of("bytes"),
    )
    file_s: float = Field(
        default=30.0,
        ge=1,
        le=3600,
        allow_inf_nan=False,
        description="Reading one file, OCR aside. 10,000 pages of text take about as long",
        json_schema_extra=_of("seconds"),
    )
    file_processes: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Processes that read files, each with at most 1.5 GB of address space; they start with the first "
        "file. One job uses all but one of them at a time",
        json_schema_extra=_of("processes"),
    )
    ocr: Literal["on", "off"] = Field(
        default="on",
        description="Whether pages that are pictures are read by OCR; `off` refuses a document of such pages alone as "
        "`needs_ocr`. The libraries are an extra: `pip install -r requirements-ocr.txt`",
    )
    ocr_pages: int = Field(
        default=50,
        ge=1,
        le=10_000,
        description="Pages of one file that OCR reads; a page takes two seconds of one core, full of text eight",
        json_schema_extra=_of("pages"),
    )
    ocr_s: float = Field(
        default=120.0,
        ge=1,
        le=36_000,
        allow_inf_nan=False,
        description="OCR of one file; pages that are not reached are said",
        json_schema_extra=_of("seconds"),
    )
    ocr_processes: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Processes that recognise pages, one core and about 1 GB each; they start with the first scan",
        json_schema_extra=_of("processes"),
    )
    url_allowlist: str = Field(
        default="",
        description="Hosts from which `url` may be fetched, by commas: `files.example.com,*.s3.amazonaws.com`; `*.` "
        "stands for all names below, `*` alone for every host of the open internet. Empty: nothing is fetched",
    )
    url_allow_http: bool = Field(default=False, description="Fetch over connections that are not encrypted as well")
    fetch_s: float = Field(
        default=30.0,
        ge=0.1,
        le=3600,
        allow_inf_nan=False,
        description="From the look-up of a host's name to the last byte of the file, redirects included",
        json_schema_extra=_of("seconds"),
    )
    state_dir: str = Field(
        default="",
        description="A folder that outlives the worker, where jobs that ended it are remembered; empty: "
        "`/runpod-volume` where it is mounted, else nowhere",
    )
    tasks: str = Field(
        default="",
        description="A folder of task files, as `python -m pinpoint teach` writes them; read at the start. A file that "
        "was taught with another model, revision, precision, prompt or build is refused, and the log and health say "
        "why. Tasks that are taught over the wire are written there. Empty: none, and `confidence` is null",
    )
    taxonomies: str = Field(
        default="",
        description="A folder of [taxonomies](taxonomies.md), YAML or JSON, that jobs name by their files' names; read "
        "at the start. A damaged file is refused alone, and the log and health say why. Empty: the one that comes with "
        "the package",
    )
    served_model_names: str = Field(
        default="",
        description="Further names that requests in a decision format may call the model by, between commas: what "
        "their code says already. It is always called by its own name and `pinpoint`",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="One line for each job, with ids, counts and times, never text"
    )

    @property
    def usual_budget(self) -> int:
        """Most tokens of a pass before anything is measured."""
        return self.token_budget or USUAL_BUDGET_TOKENS


def read_settings(**given: Any) -> Settings:
    """The settings of this process's environment, but for fields that are given.

    Raises:
        ModelError: a variable has a value that it cannot have; the message names it and what it takes.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        alone = name.startswith(("MODEL_", "PINPOINT_", "PORT", "HEALTH_"))
        variable = name if alone else f"PINPOINT_{name}"
        raise ModelError("invalid_setting", str(first["msg"]).removeprefix("Value error, "), variable) from None
