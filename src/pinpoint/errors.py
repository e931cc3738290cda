"""One tree of errors; each knows its wire code, the field at fault and whether the worker must restart.

    PinpointError
    ├── RequestError     the job is refused: the caller has to change the request
    ├── DocumentError    one document is refused: the others of its job are answered
    ├── ModelError       the model cannot be loaded: a missing, damaged or unsuitable checkpoint
    ├── CapacityError    it does not fit, or the worker is overloaded: less, or later
    ├── OutOfMemory      a batch did not fit after all: split it and try again
    ├── DeviceError      the device is in an unknown state: the worker must restart
    ├── ClientError      found by the client: a service cannot be asked, or does not answer as it should
    │   ├── AccessError        its key is missing or wrong
    │   ├── NotFoundError      there is no such endpoint or route
    │   ├── UnavailableError   it is not reached, too busy or fails, after all tries
    │   └── JobError           a job ended without an answer of ours
    └── InternalError    our own mistake

``OutOfMemory`` stands beside ``CapacityError``, not under it: the one is answered by splitting the batch, the other is
told to the caller, and an ``except CapacityError`` must not swallow the first.
"""

from __future__ import annotations

from typing import ClassVar


class PinpointError(Exception):
    """Anything that Pinpoint reports; `code` is stable, `message` is for people, `field` is a path in the request."""

    restart: ClassVar[bool] = False

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        """Keep all three in ``args`` too, so that the error survives pickling between processes."""
        super().__init__(code, message, field)
        self.code = code
        self.message = message
        self.field = field

    def wire(self) -> str:
        """Return ``<code>: <message> (<field>)``, without the parenthesis when no field is at fault."""
        suffix = "" if self.field is None else f" ({self.field})"
        return f"{self.code}: {self.message}{suffix}"

    def __str__(self) -> str:
        """Show in logs what the caller sees."""
        return self.wire()


class RequestError(PinpointError):
    """The job is refused."""


class DocumentError(PinpointError):
    """One document is refused, its neighbours are answered."""


class ModelError(PinpointError):
    """The model cannot be loaded."""


class CapacityError(PinpointError):
    """It does not fit, or the worker is overloaded."""


class OutOfMemory(PinpointError):
    """A batch ran out of device memory; the device itself is fine."""


class DeviceError(PinpointError):
    """The device failed; nothing that runs on it can be trusted until the process restarts."""

    restart: ClassVar[bool] = True


class ClientError(PinpointError):
    """A service cannot be asked, or does not answer as it should."""


class AccessError(ClientError):
    """The service does not take the key, or wants one."""


class NotFoundError(ClientError):
    """There is no such endpoint, or what answers has no such route."""


class UnavailableError(ClientError):
    """The service was not reached, was too busy or failed, after all tries."""


class JobError(ClientError):
    """A job ended without an answer that could be read."""


class InternalError(PinpointError):
    """Our own mistake."""
