"""The listening socket of REST, and its patience with clients that are slow, silent, or too many."""

import asyncio
import errno
import socket
import ssl
from asyncio.trsock import TransportSocket
from contextlib import suppress

from aiohttp import web

from turnstream.gateway.metrics import REFUSED, REST_CONNECTIONS
from turnstream.runtime.security import BadCertificate, ServerSecurity
from turnstream.runtime.server import PortTaken
from turnstream.runtime.settings import GatewaySettings

KEEPALIVE_S = 75.0
"""How long a connection may be silent before a request's headers are complete; longer than proxies keep theirs."""
MAX_REQUEST_LINE_BYTES = 64 * 1024
"""What is longer is refused by the HTTP server, in plain text; up to here routes say in JSON what is too long."""
DRAIN_S = 20.0
_BODY = b'{"status": "failure", "reason": "TryLater", "message": "There are too many connections.", "code": 503}'
REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


class RestServer:
    """`async with RestServer(app, settings) as server: ...`"""

    def __init__(self, app: web.Application, settings: GatewaySettings, security: ServerSecurity | None = None) -> None:
        self._settings = settings
        self._security = security
        self._runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=KEEPALIVE_S, max_line_size=MAX_REQUEST_LINE_BYTES
        )
        self._listening: asyncio.Server | None = None
        self.port = 0
        """The port listened on, once started."""

    @property
    def url(self) -> str:
        host = self._settings.host
        scheme = "https" if self._security else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises PortTaken, BadCertificate."""
        host, port = self._settings.host, self._settings.port
        tls = _tls(self._security) if self._security is not None else None
        await self._runner.setup()
        try:
            self._listening = await asyncio.get_running_loop().create_server(self._connected, host, port, ssl=tls)
        except OSError as error:
            await self._runner.cleanup()
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(host, port) from error
            raise
        for listening in self._listening.sockets:
            _give_up_after(listening, self._settings.client_timeout_s)
        self.port = self._listening.sockets[0].getsockname()[1]
        REST_CONNECTIONS.set_function(lambda: self.connections)

    @property
    def connections(self) -> int:
        """How many are open."""
        return 0 if self._runner.server is None else len(self._runner.server.connections)

    def _connected(self) -> asyncio.Protocol:
        assert self._runner.server is not None
        if self.connections >= self._settings.max_connections:
            REFUSED.labels("connections").inc()
            return _Refusal()
        return self._runner.server()

    async def stop(self, grace_s: float = DRAIN_S) -> None:
        """Take no new requests, let those under way finish within the grace, then close."""
        if self._listening is None or self._runner.server is None:
            return
        self._listening.close()
        # What listens without an end, such as WebSockets, is told before the others are waited for.
        await self._runner.shutdown()
        self._runner.server.pre_shutdown()
        await self._runner.server.shutdown(grace_s)
        await self._runner.cleanup()

    async def __aenter__(self) -> "RestServer":
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()


class _Refusal(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(REFUSAL)
        transport.close()


def _give_up_after(listening: socket.socket | TransportSocket, seconds: float) -> None:
    """A connection whose client takes nothing for so long is closed by the kernel, with what waits to be sent."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def _tls(security: ServerSecurity) -> ssl.SSLContext:
    """Replaced files are read again at a handshake. Raises BadCertificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, security)
    seen = security.stamps()

    def renew(*_: object) -> None:
        nonlocal seen
        with suppress(BadCertificate):
            if (now := security.stamps()) != seen:
                load_certificate(context, security)
                seen = now

    # Called at each handshake, whose own certificate is chosen by then: the next one has the new.
    context.sni_callback = renew
    return context


def load_certificate(context: ssl.SSLContext, security: ServerSecurity) -> None:
    """Raises BadCertificate."""
    try:
        context.load_cert_chain(security.certificate, security.key)
    except OSError as error:
        raise BadCertificate(f"{security.certificate}, {security.key}: {error}") from error
