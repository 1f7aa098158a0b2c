"""A gRPC server as every process of ours runs it: health, reflection, typed errors, size limits, and a graceful end."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator, Sequence

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from turnstream.runtime.interceptors import ErrorInterceptor
from turnstream.runtime.metrics import write_timings_on_signal
from turnstream.runtime.security import ServerSecurity
from turnstream.runtime.services import Service, register
from turnstream.runtime.settings import GrpcSettings

_LOG = logging.getLogger(__name__)
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
LIVE = ""
"""What health checks ask for to learn whether the process answers at all."""
READY = "ready"
"""What health checks ask for to learn whether it can do its work."""
KEEPALIVE_TIMEOUT_MS = 20_000
MIN_PING_INTERVAL_MS = 10_000


class PortTaken(OSError):
    """Another process listens on the address."""

    def __init__(self, host: str, port: int, option: str = "--port") -> None:
        super().__init__(
            f"port {port} on {host} is taken: stop the process that uses it, or choose another port with {option}"
        )
        self.host = host
        self.port = port


class GrpcServer:
    """`async with GrpcServer(services, settings) as server: await server.wait()`."""

    def __init__(
        self,
        services: Sequence[Service],
        settings: GrpcSettings | None = None,
        *,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        security: ServerSecurity | None = None,
        max_streams_per_connection: int = 0,
    ) -> None:
        """What `interceptors` raise becomes a status, as what servicers raise does.

        `max_streams_per_connection` 0: any number, for clients of ours, whose slow calls must not hold up others.
        """
        self._settings = settings or GrpcSettings()
        self._security = security
        self._server = grpc.aio.server(
            interceptors=[ErrorInterceptor(), *interceptors],
            options=_options(self._settings, max_streams_per_connection),
            maximum_concurrent_rpcs=self._settings.max_calls,
        )
        self._names = register(services, self._server)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflected = (*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(reflected, self._server)
        # Probes speak no TLS, and are not to wait behind calls: health has a port of its own besides.
        self._health_server = grpc.aio.server(options=_options(self._settings))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._health_server)
        self._is_draining = False
        self._stopping: asyncio.Event = asyncio.Event()
        self.port = 0
        """The port listened on, once started; the settings' own, unless that is 0."""
        self.health_port = -1
        """The port with health checks alone; -1: none."""

    @property
    def address(self) -> str:
        return _address(self._settings.host, self.port)

    async def start(self, *, ready: bool = True) -> None:
        """Listen, and be live; ready at once unless `ready` is False. Raises PortTaken, BadCertificate."""
        self.port = self._bind()
        self.health_port = self._bind_health()
        write_timings_on_signal()
        await self._health.set(LIVE, SERVING)
        await self.set_ready(ready)
        await self._server.start()
        await self._health_server.start()
        _LOG.info("serving %s on %s", ", ".join(self._names), self.address)

    def _bind(self) -> int:
        address = _address(self._settings.host, self._settings.port)
        credentials = self._security.credentials() if self._security is not None else None
        try:
            if credentials is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise PortTaken(self._settings.host, self._settings.port, "TURNSTREAM_GRPC_PORT") from error

    def _bind_health(self) -> int:
        host, port = self._settings.host, self._settings.health_port
        if port < 0:
            return port
        try:
            return self._health_server.add_insecure_port(_address(host, port))
        except RuntimeError as error:
            raise PortTaken(host, port, "TURNSTREAM_GRPC_HEALTH_PORT") from error

    async def set_ready(self, ready: bool) -> None:
        """What health checks are told of `ready` and of each service; not ready for good once it drains."""
        for name in (READY, *self._names):
            await self._health.set(name, SERVING if ready and not self._is_draining else NOT_SERVING)

    async def set_health(self, name: str, serving: bool) -> None:
        """What health checks are told of something that is no service, such as a bundle."""
        await self._health.set(name, SERVING if serving else NOT_SERVING)

    @property
    def stopping(self) -> asyncio.Event:
        """Set it to end `wait()`."""
        return self._stopping

    async def wait(self) -> None:
        """Until `stopping` is set, or a SIGTERM or SIGINT inside `stop_on_signals`."""
        await self._stopping.wait()

    async def retire(self) -> None:
        """Say for good that it is not ready; calls are still taken."""
        self._is_draining = True
        await self.set_ready(False)

    async def drain(self, grace_s: float | None = None) -> None:
        """Retire, take no new calls, let those under way finish within the grace, then stop."""
        self._stopping.set()
        await self.retire()
        await self._server.stop(self._settings.drain_timeout_s if grace_s is None else grace_s)
        await self._health_server.stop(0)

    async def __aenter__(self) -> "GrpcServer":
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.drain()


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _options(settings: GrpcSettings, max_streams: int = 0) -> list[tuple[str, int]]:
    """Meaning: https://grpc.github.io/grpc/core/group__grpc__arg__keys.html."""
    options = [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_response_bytes),
        # Without this a second process could bind the same port and take half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", int(settings.keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        # Clients of ours probe idle connections themselves.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", MIN_PING_INTERVAL_MS),
    ]
    if max_streams > 0:
        options.append(("grpc.max_concurrent_streams", max_streams))
    if settings.max_connection_age_s > 0:
        # New calls go elsewhere then; those under way finish, however long they take.
        options.append(("grpc.max_connection_age_ms", int(settings.max_connection_age_s * 1000)))
    return options


@contextlib.contextmanager
def stop_on_signals(stopping: asyncio.Event) -> Iterator[None]:
    """Inside it SIGTERM and SIGINT set the event; for a process that runs several servers."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def serve_until_stopped(server: GrpcServer) -> None:
    """Start, serve until SIGTERM or SIGINT, drain. Raises PortTaken."""
    with stop_on_signals(server.stopping):
        async with server:
            await server.wait()
