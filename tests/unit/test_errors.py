"""The tree of errors: what the caller sees, and what survives a trip between processes."""

import pickle

import pytest

from pinpoint.errors import (
    CapacityError,
    ClientError,
    DeviceError,
    DocumentError,
    InternalError,
    ModelError,
    OutOfMemory,
    PinpointError,
    RequestError,
)

CHILDREN = [
    RequestError, DocumentError, ModelError, CapacityError, OutOfMemory, DeviceError, ClientError, InternalError,
]  # fmt: skip


def test_wire_has_code_message_and_field() -> None:
    error = RequestError("wrong_type", "must be a string", "documents[1].text")
    assert error.wire() == str(error) == "wrong_type: must be a string (documents[1].text)"


def test_wire_has_no_parenthesis_without_a_field() -> None:
    assert CapacityError("overloaded", "try later").wire() == "overloaded: try later"


@pytest.mark.parametrize("kind", CHILDREN)
def test_every_error_is_caught_at_the_root_and_by_no_sibling(kind: type[PinpointError]) -> None:
    assert issubclass(kind, PinpointError)
    assert not any(issubclass(kind, other) for other in CHILDREN if other is not kind)


def test_only_a_failed_device_asks_for_a_restart() -> None:
    assert [kind for kind in CHILDREN if kind.restart] == [DeviceError]
    assert not PinpointError.restart


@pytest.mark.parametrize("kind", CHILDREN)
def test_an_error_survives_pickling(kind: type[PinpointError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("code", "message", "field")))
    assert type(copy) is kind
    assert (copy.code, copy.message, copy.field) == ("code", "message", "field")
