"""Spans by OpenTelemetry, sent by OTLP over gRPC. Imported only where traces are exported: it costs half a second.

`OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_*` and `OTEL_EXPORTER_OTLP_*` mean
what OpenTelemetry says (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
"""

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from turnstream.runtime.tracing import Attributes, Kind
from turnstream.runtime.version import VERSION

_KINDS = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
FLUSH_MS = 2000


class OtelTracer:
    """A `runtime.tracing.Tracer`. `endpoint` is `http://host:port` (plaintext) or `https://`; empty: OTEL's own."""

    def __init__(self, service: str, endpoint: str = "") -> None:
        # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say comes first.
        resource = Resource({"service.name": service, "service.version": VERSION}).merge(Resource.create())
        if "unknown_service" in str(resource.attributes["service.name"]):
            resource = resource.merge(Resource({"service.name": service}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint or None)))
        self._tracer = self._provider.get_tracer("turnstream", VERSION)

    def start(self, name: str, kind: Kind, parent: str, attributes: Attributes) -> "OtelSpan":
        context = set_span_in_context(NonRecordingSpan(_context(parent))) if parent else None
        return OtelSpan(self._tracer.start_span(name, context, _KINDS[kind], attributes))

    def close(self) -> None:
        """Send what is left, for a moment at most."""
        self._provider.force_flush(FLUSH_MS)
        self._provider.shutdown()


class OtelSpan:
    def __init__(self, span: Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def end(self, error: str = "") -> None:
        if error:
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end()


def _context(traceparent: str) -> SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
