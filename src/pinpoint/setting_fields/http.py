"""Settings of the HTTP server (`serving/http`)."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings

from pinpoint.setting_fields.kinds import CONFIG, measured


class OfHttp(BaseSettings):
    """What is set of the server, and whether it is what runs."""

    model_config = CONFIG

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
        json_schema_extra=measured("port", "http"),
    )
    port_health: int | None = Field(
        default=None,
        ge=0,
        le=65_535,
        validation_alias=AliasChoices("PORT_HEALTH", "PINPOINT_PORT_HEALTH"),
        description="Where health is asked for; unset: at the same port",
        json_schema_extra=measured("port", "http"),
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
        json_schema_extra=measured("requests", "http"),
    )
    max_body_bytes: int = Field(
        default=30_000_000,
        ge=1000,
        le=1_000_000_000,
        description="Of a request over HTTP, unpacked. The load balancer's own limit; bodies in flight take four times "
        "this at most",
        json_schema_extra=measured("bytes", "http"),
    )
    body_s: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="How long a body may take to arrive. 30 MB at 10 Mbit/s take 24 s",
        json_schema_extra=measured("seconds", "http"),
    )
    drain_s: float = Field(
        default=30.0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="How long requests in flight may take to end after SIGTERM, while new ones are answered 503",
        json_schema_extra=measured("seconds", "http"),
    )
