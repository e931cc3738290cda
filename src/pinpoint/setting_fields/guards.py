"""Settings of the guards around the platform's SDK (`serving/sdk_guards`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from pinpoint.setting_fields.kinds import CONFIG, MOST_BYTES, WEEK_S, measured


def _off_or_a_second(hang_s: float) -> float:
    """Less than a second is what an innocent event loop may need on a busy machine."""
    if 0 < hang_s < 1:
        raise ValueError("must be 0, for off, or at least 1")
    return hang_s


class OfGuards(BaseSettings):
    """What is set of taking, posting, hanging and leaving."""

    model_config = CONFIG

    late_take_s: float = Field(
        default=2.0,
        ge=0,
        le=600,
        allow_inf_nan=False,
        description="How long the poll that is open at SIGTERM may still bring jobs. A platform stops giving jobs to a "
        "worker it ends; what crosses SIGTERM on the wire arrives within moments. Longer only takes work that SIGKILL "
        "may cut: containers are commonly given 10 s",
        json_schema_extra=measured("seconds", "guards"),
    )
    post_attempt_s: float = Field(
        default=60.0,
        ge=0.1,
        le=3600,
        allow_inf_nan=False,
        description="One attempt to post a result. 20 MB at 10 Mbit/s take 16 s; the SDK itself would wait 600 s",
        json_schema_extra=measured("seconds", "guards"),
    )
    post_deadline_s: float = Field(
        default=600.0,
        ge=0.1,
        le=WEEK_S,
        allow_inf_nan=False,
        description="How long a result is tried before its slot is given back. The platform keeps results 30 min, and "
        "the default execution time-out is 10 min",
        json_schema_extra=measured("seconds", "guards"),
    )
    kept_results_bytes: float = Field(
        default=64e6,
        ge=0,
        le=MOST_BYTES,
        allow_inf_nan=False,
        description="Results that were not accepted in time and are kept for another try, all together",
        json_schema_extra=measured("bytes", "guards"),
    )
    hang_s: Annotated[float, AfterValidator(_off_or_a_second)] = Field(
        default=300.0,
        ge=0,
        le=WEEK_S,
        allow_inf_nan=False,
        description="How long a forward pass or the event loop may make no progress before the worker leaves as hung; "
        "0 watches nothing, and less than 1 is refused. The longest honest forward pass is a full token budget on a "
        "CPU, about a minute; five is a hang",
        json_schema_extra=measured("seconds", "guards"),
    )
    last_result_s: float = Field(
        default=30.0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="How long the last result of a worker to be replaced waits for the others",
        json_schema_extra=measured("seconds", "guards"),
    )
