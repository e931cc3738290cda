"""Settings: environment → one frozen value. Every field has its unit, its default and its reason.

Read with `Settings()`; tests pass values. Nothing is read at import.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, Field, JsonValue, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pinpoint.errors import ModelError

# Every number has bounds at both ends: a clock, a timer or a buffer that cannot hold it would fail after the load, or
# with the first result. These two are far beyond any use.
WEEK_S = 604_800.0
MOST_BYTES = 10**12


def _off_or_a_second(hang_s: float) -> float:
    """Less than a second is what an innocent event loop may need on a busy machine."""
    if 0 < hang_s < 1:
        raise ValueError("must be 0, for off, or at least 1")
    return hang_s


def _of(unit: str, section: str = "own") -> dict[str, JsonValue]:
    """The unit of a number, and which table of docs/settings.md it stands in: own, plan, guards or http."""
    return {"unit": unit, "section": section}


class Settings(BaseSettings):
    """All that an operator can set, by environment variable `PINPOINT_<FIELD>` unless another name is given.

    The tables of docs/settings.md are made from these fields.
    """

    model_config = SettingsConfigDict(
        env_prefix="PINPOINT_", frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

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
    precision: Literal["int8", "nf4", "bf16", "auto"] = Field(
        default="int8",
        description="How linear layers and experts are held; `auto` is the highest of bf16, int8 and nf4 that fits "
        "the card, and the log says which (on a CPU int8). A checkpoint that `pinpoint quantize` wrote has its own and "
        "refuses any other. `python -m pinpoint plan` reads it too",
    )
    activations: Literal["compute", "int8"] = Field(
        default="compute",
        description="What the inputs of products with int8 weights are held in: `compute`, the 16 or 32 bits of "
        "`PINPOINT_COMPUTE_DTYPE`, or `int8`, by the row, so that integers are multiplied with integers, about twice "
        "as fast. With precision `int8` alone, and its checkpoints as they are",
    )
    verify_checksums: bool = Field(
        default=False,
        description="Compares every file of the checkpoint with `SHA256SUMS` before loading. Off: reading 47 GB once "
        "more takes minutes on a network volume, and files that are cut short or lack something are refused anyway",
    )
    token_budget: int = Field(
        default=8192,
        ge=256,
        le=1_048_576,
        description="Most tokens of one forward pass; on a GPU the memory plan may allow fewer. Enough to keep the "
        "matrix products busy; a longer document is treated as one beyond the context",
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
    batch_wait_ms: float = Field(
        default=5.0,
        ge=0,
        le=1000,
        allow_inf_nan=False,
        description="How long a forward pass that is not full waits for jobs that have arrived and are not encoded "
        "yet: about what encoding takes. With no such job, it does not wait",
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
        "`needs_ocr`. The libraries are an extra: `pip install 'pinpoint[ocr]'`",
    )
    ocr_pages: int = Field(
        default=50,
        ge=1,
        le=10_000,
        description="Pages of one file that OCR reads; a page takes one to four seconds of one core",
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
    # Those of the HTTP server.
    endpoint: Literal["queue", "http"] = Field(
        default="queue",
        description="What `python handler.py`, and so the image, does on the platform: takes jobs from a queue, or "
        "serves HTTP as `python -m pinpoint serve` does, which a load-balancing endpoint needs",
        json_schema_extra={"section": "http"},
    )
    host: str = Field(
        default="",
        description="What the HTTP server listens on; empty: everywhere with an API key, without one only this machine",
        json_schema_extra={"section": "http"},
    )
    port: int = Field(
        default=8000,
        ge=0,
        le=65_535,
        validation_alias=AliasChoices("PORT", "PINPOINT_PORT"),
        description="Of the HTTP server; a load-balancing endpoint of RunPod sets it",
        json_schema_extra=_of("port", "http"),
    )
    port_health: int | None = Field(
        default=None,
        ge=0,
        le=65_535,
        validation_alias=AliasChoices("PORT_HEALTH", "PINPOINT_PORT_HEALTH"),
        description="Where health is asked for; unset: at the same port",
        json_schema_extra=_of("port", "http"),
    )
    health_check_path: str = Field(
        default="/ping",
        pattern="^/",
        validation_alias=AliasChoices("HEALTH_CHECK_PATH", "PINPOINT_HEALTH_CHECK_PATH"),
        description="The path of it, beside `/ping`",
        json_schema_extra={"section": "http"},
    )
    api_key: SecretStr = Field(
        default=SecretStr(""),
        description="Where it is set, every route but `/ping` needs it as a bearer token",
        json_schema_extra={"section": "http"},
    )
    max_http_requests: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="In flight over HTTP; more are answered 429. Some seconds of a small model's work",
        json_schema_extra=_of("requests", "http"),
    )
    max_body_bytes: int = Field(
        default=30_000_000,
        ge=1000,
        le=1_000_000_000,
        description="Of a request over HTTP, unpacked. The load balancer's own limit; bodies in flight take four times "
        "this at most",
        json_schema_extra=_of("bytes", "http"),
    )
    body_s: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="How long a body may take to arrive. 30 MB at 10 Mbit/s take 24 s",
        json_schema_extra=_of("seconds", "http"),
    )
    drain_s: float = Field(
        default=30.0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="How long requests in flight may take to end after SIGTERM, while new ones are answered 503",
        json_schema_extra=_of("seconds", "http"),
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="One line for each job, with ids, counts and times, never text"
    )
    # Those of the guards around the platform's SDK (`serving/sdk_guards`).
    late_take_s: float = Field(
        default=2.0,
        ge=0,
        le=600,
        allow_inf_nan=False,
        description="How long the poll that is open at SIGTERM may still bring jobs. A platform stops giving jobs to a "
        "worker it ends; what crosses SIGTERM on the wire arrives within moments. Longer only takes work that SIGKILL "
        "may cut: containers are commonly given 10 s",
        json_schema_extra=_of("seconds", "guards"),
    )
    post_attempt_s: float = Field(
        default=60.0,
        ge=0.1,
        le=3600,
        allow_inf_nan=False,
        description="One attempt to post a result. 20 MB at 10 Mbit/s take 16 s; the SDK itself would wait 600 s",
        json_schema_extra=_of("seconds", "guards"),
    )
    post_deadline_s: float = Field(
        default=600.0,
        ge=0.1,
        le=WEEK_S,
        allow_inf_nan=False,
        description="How long a result is tried before its slot is given back. The platform keeps results 30 min, and "
        "the default execution time-out is 10 min",
        json_schema_extra=_of("seconds", "guards"),
    )
    kept_results_bytes: float = Field(
        default=64e6,
        ge=0,
        le=MOST_BYTES,
        allow_inf_nan=False,
        description="Results that were not accepted in time and are kept for another try, all together",
        json_schema_extra=_of("bytes", "guards"),
    )
    hang_s: Annotated[float, AfterValidator(_off_or_a_second)] = Field(
        default=300.0,
        ge=0,
        le=WEEK_S,
        allow_inf_nan=False,
        description="How long a forward pass or the event loop may make no progress before the worker leaves as hung; "
        "0 watches nothing, and less than 1 is refused. The longest honest forward pass is a full token budget on a "
        "CPU, about a minute; five is a hang",
        json_schema_extra=_of("seconds", "guards"),
    )
    last_result_s: float = Field(
        default=30.0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="How long the last result of a worker to be replaced waits for the others",
        json_schema_extra=_of("seconds", "guards"),
    )


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
