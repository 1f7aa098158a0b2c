"""One trace for one turn, through every service: W3C trace context, and spans where an exporter is configured.

The context (https://www.w3.org/TR/trace-context/) is passed on even where nothing is exported; that costs a context
variable. OpenTelemetry is imported only by `runtime.otel`, which is imported only where an endpoint is configured.
No span holds what users and bots say.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol

TRACEPARENT = "traceparent"
"""The header, and the key of gRPC's metadata."""

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Attributes = Mapping[str, str | int | float | bool]

_CURRENT: ContextVar[str] = ContextVar("traceparent", default="")
_VALID = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class OpenSpan(Protocol):
    """`traceparent` names the span as a parent of others."""

    @property
    def traceparent(self) -> str: ...

    def end(self, error: str = "") -> None:
        """`error` says in a word why it failed, such as a status."""
        ...


class Tracer(Protocol):
    def start(self, name: str, kind: Kind, parent: str, attributes: Attributes) -> OpenSpan:
        """`parent` is a valid traceparent, or empty for the first span of a trace."""
        ...


_tracer: Tracer | None = None


def set_tracer(tracer: Tracer | None) -> None:
    """What makes this process's spans; None: nothing does."""
    global _tracer
    _tracer = tracer


def valid(traceparent: str) -> str:
    """The traceparent, or nothing where it is none: a receiver then begins anew."""
    return traceparent if _VALID.fullmatch(traceparent) else ""


def current_traceparent() -> str:
    """Of the span, or of the caller's where none is made here; empty outside every trace."""
    return _CURRENT.get()


def current_trace_id() -> str:
    return _CURRENT.get()[3:35]


def begin_trace(traceparent: str = "") -> str:
    """A client's traceparent, or where it has none a new one, so that logs can be joined without an exporter."""
    return valid(traceparent) or f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-00"


def start_span(
    name: str, kind: Kind, parent: str | None = None, attributes: Attributes | None = None
) -> OpenSpan | None:
    """A span below `parent`: by default the current one; where it is no traceparent, the first of a trace.

    None where nothing is exported. It must be ended.
    """
    if _tracer is None:
        return None
    return _tracer.start(name, kind, _CURRENT.get() if parent is None else valid(parent), attributes or {})


def enter_trace(traceparent: str) -> None:
    """Make it the current one for the rest of this task, which must be the call's own."""
    _CURRENT.set(traceparent)


@contextmanager
def in_trace(traceparent: str) -> Iterator[None]:
    token = _CURRENT.set(traceparent)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def span(
    name: str, kind: Kind = "internal", parent: str | None = None, attributes: Attributes | None = None
) -> Iterator[None]:
    """What happens inside is below this span; an exception that leaves it marks it as failed."""
    opened = start_span(name, kind, parent, attributes)
    if opened is None:
        with in_trace(_CURRENT.get() if parent is None else valid(parent)):
            yield
        return
    error = ""
    try:
        with in_trace(opened.traceparent):
            yield
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        opened.end(error)
