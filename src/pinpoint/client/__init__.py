"""The Python client: one call for an endpoint's queue, an HTTP server and a model in this process; and bulk runs.

Importing it takes some 0.1 s: what speaks HTTP is imported with the first call, and the engine only where the model
runs in this process.
"""

from __future__ import annotations

from pinpoint.client.asynchronous import AsyncPinpoint
from pinpoint.client.results import Answer, Result, Results
from pinpoint.client.retries import Retries
from pinpoint.client.synchronous import Pinpoint
from pinpoint.errors import (
    AccessError,
    CapacityError,
    ClientError,
    DocumentError,
    JobError,
    NotFoundError,
    PinpointError,
    RequestError,
    UnavailableError,
)

__all__ = [
    "AccessError",
    "Answer",
    "AsyncPinpoint",
    "CapacityError",
    "ClientError",
    "DocumentError",
    "JobError",
    "NotFoundError",
    "Pinpoint",
    "PinpointError",
    "RequestError",
    "Result",
    "Results",
    "Retries",
    "UnavailableError",
]
