"""Settings: environment → one frozen value. Every field has its unit, its default and its reason.

Read with `Settings()`; tests pass values. Nothing is read at import.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, Field, ValidationError
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


class Settings(BaseSettings):
    """All that an operator can set, by environment variable `PINPOINT_<FIELD>` unless another name is given."""

    model_config = SettingsConfigDict(
        env_prefix="PINPOINT_", frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    # RunPod's templates and the usual workers call it MODEL_NAME; empty means the embedded model.
    model_name: str = Field(default="", validation_alias=AliasChoices("MODEL_NAME", "PINPOINT_MODEL_NAME"))
    # A branch, tag or commit; pin a commit in production, so that a restart never changes the answers.
    model_revision: str = Field(
        default="main", validation_alias=AliasChoices("MODEL_REVISION", "PINPOINT_MODEL_REVISION")
    )
    # "auto" is the GPU where there is one. Only the embedded model runs on a CPU without being told to.
    device: Literal["auto", "cuda", "cpu"] = "auto"
    # What activations are computed in. "auto" is bfloat16 on a GPU; float32 on a CPU, where it is exact and portable.
    compute_dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    # How the weights are held. int8 is what this worker is for; "auto" takes the highest of bf16, int8 and nf4 that
    # fits the card. A checkpoint that `pinpoint quantize` wrote has its own, and no other can be asked of it.
    precision: Literal["int8", "nf4", "bf16", "auto"] = "int8"
    # Compare every file of the checkpoint with its SHA256SUMS before loading. Off: reading 47 GB once more takes
    # minutes on a network volume, and files that are cut short or lack something are found from their headers anyway.
    verify_checksums: bool = False
    # Most tokens of one forward pass; on a GPU the memory plan may allow fewer. Enough to keep matrix products busy.
    token_budget: int = Field(default=8192, ge=256, le=1_048_576)
    # GB (10⁹ bytes) of the card that stay free: other users of the card, fragmentation.
    buffer_gb: float = Field(default=3.0, ge=0, le=10_000, allow_inf_nan=False)
    # GB that the worker may take, a bound below the card's own; unset: the card less the buffer.
    max_memory_gb: float | None = Field(default=None, gt=0, le=10_000, allow_inf_nan=False)
    # Keys and values of shared prompt beginnings that outlive their pass, bytes. 256 MB is 2,000 tokens of Mixtral's.
    prefix_store_bytes: int = Field(default=256_000_000, ge=0, le=MOST_BYTES)
    # Serialised answer, bytes: the platform takes 10 MB from /run.
    max_response_bytes: int = Field(default=10_000_000, ge=1000, le=1_000_000_000)
    # How many jobs the platform may have in flight here. Constant: the SDK waits for an empty worker to change it.
    max_concurrency: int = Field(default=4, ge=1, le=64)
    # How long a forward pass that is not full waits for jobs that have arrived and are not encoded yet, ms: about what
    # encoding takes. Nobody waits where nobody is coming.
    batch_wait_ms: float = Field(default=5.0, ge=0, le=1000, allow_inf_nan=False)
    # Tokens asked for by questions that wait; a job beyond is refused as `overloaded`. About what a large card computes
    # in ten minutes, after which the platform has given a job up anyway.
    max_queued_tokens: int = Field(default=16_000_000, ge=1, le=10**12)
    # Seconds from a job's arrival to its answer, where the job's own policy names no executionTimeout; 0 for no end.
    # The platform's default.
    job_deadline_s: float = Field(default=600.0, ge=0, le=WEEK_S, allow_inf_nan=False)
    # Serialised answers kept for jobs that are handed over once more, bytes. Some 20,000 of one document.
    kept_answers_bytes: int = Field(default=32_000_000, ge=0, le=MOST_BYTES)
    # Folder that outlives the worker, to remember jobs that ended it; empty: the network volume, where there is one.
    state_dir: str = ""
    # The next six are of the guards around the platform's SDK (`serving/sdk_guards`).
    # Seconds that the poll which is open at SIGTERM may still bring jobs. A platform stops giving jobs to a worker it
    # ends; what crosses SIGTERM on the wire arrives within moments. Longer only takes work that SIGKILL may cut:
    # containers are commonly given 10 s.
    late_take_s: float = Field(default=2.0, ge=0, le=600, allow_inf_nan=False)
    # Seconds of one attempt to post a result. 20 MB at 10 Mbit/s take 16 s; the SDK itself would wait 600 s.
    post_attempt_s: float = Field(default=60.0, ge=0.1, le=3600, allow_inf_nan=False)
    # Seconds that a result is tried before its slot is given back. The platform keeps results 30 min, and the default
    # execution time-out is 10 min.
    post_deadline_s: float = Field(default=600.0, ge=0.1, le=WEEK_S, allow_inf_nan=False)
    # Bytes of results that were not accepted in time and are kept for another try, all together.
    kept_results_bytes: float = Field(default=64e6, ge=0, le=MOST_BYTES, allow_inf_nan=False)
    # Seconds that a forward pass or the event loop may make no progress before the worker leaves as hung; 0 watches
    # nothing. The longest honest forward pass is a full token budget on a CPU, about a minute; five is a hang.
    hang_s: Annotated[float, Field(ge=0, le=WEEK_S, allow_inf_nan=False), AfterValidator(_off_or_a_second)] = 300.0
    # Seconds that the last result of a worker to be replaced waits for the others.
    last_result_s: float = Field(default=30.0, ge=0, le=3600, allow_inf_nan=False)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


def read_settings() -> Settings:
    """The settings of this process's environment.

    Raises:
        ModelError: a variable has a value that it cannot have; the message names it and what it takes.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        variable = name if name.startswith(("MODEL_", "PINPOINT_")) else f"PINPOINT_{name}"
        raise ModelError("invalid_setting", str(first["msg"]).removeprefix("Value error, "), variable) from None
