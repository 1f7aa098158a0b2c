"""What can go wrong between services, and how it crosses the wire.

TurnstreamError                 (base; INTERNAL)
├── InvalidRequest              INVALID_ARGUMENT     a field is missing, malformed or too large
├── NotFound                    NOT_FOUND
│   ├── UnknownBundle
│   │   └── NoBundle            FAILED_PRECONDITION  no assistant is loaded at all
│   └── UnknownModel
├── Conflict                    ALREADY_EXISTS       the same id stands for something else already
├── Precondition                FAILED_PRECONDITION  right request, wrong replica or state
├── TryLater                    RESOURCE_EXHAUSTED   a limit is reached; retry with the same message id
│   └── TooManyRequests                              of this client; `retry_after_s` says when to come again
├── Unavailable                 UNAVAILABLE          nobody answers; retry where that is safe
│   ├── ModelServerUnavailable
│   └── BundleNotLoaded                              it is there, and is being loaded
├── DeadlinePassed              DEADLINE_EXCEEDED    whether it happened is not known
├── Aborted                     ABORTED              lost a race, such as a partition; start again
├── Unauthenticated             UNAUTHENTICATED      no valid token
├── Forbidden                   PERMISSION_DENIED    the token's owner may not
├── NotImplementedHere          UNIMPLEMENTED
├── Cancelled                   CANCELLED            the caller gave up
└── InternalError               INTERNAL             unexpected; `error_id` finds it in the server's log

A server raises these; `runtime.interceptors.ErrorInterceptor` turns them into a gRPC status, with the class's name in
the trailing metadata `turnstream-error`. A client turns the status back with `typed_errors()` or `error_from_rpc()`.
"""

# The names are those of the tree above, without a suffix that would repeat it.

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import grpc
import grpc.aio

ERROR_KEY = "turnstream-error"
ERROR_ID_KEY = "turnstream-error-id"


class TurnstreamError(Exception):
    """Base of all. `message` says what happened and what to do, without secrets: clients see it."""

    status: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL
    retriable: ClassVar[bool] = False
    """Whether the same request may succeed later, provided that repeating it is safe."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidRequest(TurnstreamError):
    status = grpc.StatusCode.INVALID_ARGUMENT


class NotFound(TurnstreamError):
    status = grpc.StatusCode.NOT_FOUND


class UnknownBundle(NotFound):
    """There is no bundle of that version."""


class NoBundle(UnknownBundle):
    """No assistant is loaded."""

    status = grpc.StatusCode.FAILED_PRECONDITION


class UnknownModel(NotFound):
    """The model server has no such model, version, label or signature."""


class Conflict(TurnstreamError):
    status = grpc.StatusCode.ALREADY_EXISTS


class Precondition(TurnstreamError):
    status = grpc.StatusCode.FAILED_PRECONDITION


class TryLater(TurnstreamError):
    status = grpc.StatusCode.RESOURCE_EXHAUSTED
    retriable = True


class TooManyRequests(TryLater):
    """`retry_after_s` is in the metadata too, as gRPC's retries read it (`grpc-retry-pushback-ms`)."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(TurnstreamError):
    status = grpc.StatusCode.UNAVAILABLE
    retriable = True


class ModelServerUnavailable(Unavailable):
    pass


class BundleNotLoaded(Unavailable):
    """The bundle of that version is there, and not loaded yet: ask again."""


class DeadlinePassed(TurnstreamError):
    status = grpc.StatusCode.DEADLINE_EXCEEDED


class Aborted(TurnstreamError):
    status = grpc.StatusCode.ABORTED
    retriable = True


class Unauthenticated(TurnstreamError):
    status = grpc.StatusCode.UNAUTHENTICATED


class Forbidden(TurnstreamError):
    status = grpc.StatusCode.PERMISSION_DENIED


class NotImplementedHere(TurnstreamError):
    status = grpc.StatusCode.UNIMPLEMENTED


class Cancelled(TurnstreamError):
    status = grpc.StatusCode.CANCELLED


class InternalError(TurnstreamError):
    """Something unexpected on the other side; `error_id` (empty if unknown) names the entry in its log."""

    def __init__(self, message: str, error_id: str = "") -> None:
        super().__init__(message)
        self.error_id = error_id


BY_STATUS: Mapping[grpc.StatusCode, type[TurnstreamError]] = {
    c.status: c
    for c in (
        InvalidRequest,
        NotFound,
        Conflict,
        Precondition,
        TryLater,
        Unavailable,
        DeadlinePassed,
        Aborted,
        Unauthenticated,
        Forbidden,
        NotImplementedHere,
        Cancelled,
        InternalError,
    )
} | {grpc.StatusCode.OUT_OF_RANGE: InvalidRequest}
"""The class for a status that came without a known name."""


def _by_name(base: type[TurnstreamError]) -> Iterator[tuple[str, type[TurnstreamError]]]:
    yield base.__name__, base
    for child in base.__subclasses__():
        yield from _by_name(child)


def error_from_status(
    code: grpc.StatusCode, message: str, *, name: str = "", error_id: str = "", where: str = ""
) -> TurnstreamError:
    """The typed error for a status. `name` (from the metadata) chooses a subclass, unless it contradicts `code`."""
    text = f"{where}: {message}" if where else message
    named = dict(_by_name(TurnstreamError)).get(name)
    kind = named if named is not None and named.status is code else BY_STATUS.get(code, InternalError)
    if issubclass(kind, InternalError):
        return kind(text, error_id)
    return kind(text)


def error_from_rpc(error: grpc.aio.AioRpcError, where: str = "") -> TurnstreamError:
    """The typed error behind a failed call; `where` (the service called) is put before its message."""
    metadata = error.trailing_metadata() or ()
    found = {str(k): v if isinstance(v, str) else v.decode("ascii", "replace") for k, v in metadata}
    return error_from_status(
        error.code(),
        error.details() or error.code().name,
        name=found.get(ERROR_KEY, ""),
        error_id=found.get(ERROR_ID_KEY, ""),
        where=where,
    )


@contextmanager
def typed_errors(where: str = "") -> Iterator[None]:
    """Inside it a failed call raises a `TurnstreamError`: `with typed_errors("nlu"): await stub.Parse(request)`."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise error_from_rpc(error, where) from error
