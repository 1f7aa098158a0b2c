"""What every process of ours opens to its operators: metrics, traces, and a log level that can be changed."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from prometheus_client import start_http_server

from turnstream.runtime.logs import debug_on_signal
from turnstream.runtime.server import PortTaken
from turnstream.runtime.settings import MetricsSettings, Settings, TelemetrySettings
from turnstream.runtime.tracing import set_tracer

_LOG = logging.getLogger(__name__)
_STANDARD = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Variables by which OpenTelemetry itself is told where to send traces."""


@asynccontextmanager
async def observed(settings: Settings, name: str) -> AsyncIterator[None]:
    """For as long as the process serves; `name` is what traces call it. Raises PortTaken."""
    async with AsyncExitStack() as stack:
        stack.enter_context(debug_on_signal())
        await stack.enter_async_context(_metrics_served(settings.metrics))
        await stack.enter_async_context(_traces_sent(settings.telemetry, name))
        yield


@asynccontextmanager
async def _metrics_served(settings: MetricsSettings) -> AsyncIterator[None]:
    """In a thread of their own: they can be read while the event loop is busy."""
    if settings.port < 0:
        yield
        return
    try:
        server, thread = start_http_server(settings.port, settings.host)
    except OSError as error:
        raise PortTaken(settings.host, settings.port, "TURNSTREAM_METRICS_PORT") from error
    _LOG.info("metrics on http://%s:%d/metrics", settings.host, server.server_port)
    try:
        yield
    finally:
        # It looks twice a second whether it is to end.
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


@asynccontextmanager
async def _traces_sent(settings: TelemetrySettings, name: str) -> AsyncIterator[None]:
    if not settings.otlp_endpoint and not any(os.environ.get(variable) for variable in _STANDARD):
        yield
        return
    from turnstream.runtime.otel import OtelTracer

    tracer = OtelTracer(name, settings.otlp_endpoint)
    set_tracer(tracer)
    try:
        yield
    finally:
        set_tracer(None)
        await asyncio.to_thread(tracer.close)
