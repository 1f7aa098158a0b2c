"""Calls between two processes of one machine over a Unix socket, without HTTP/2: same stubs, servicers and messages.

    async with PipeServer(services, path): ...
    stub = NluStub(open_channel("pipe:/run/models.sock"))

A small call costs a quarter of what it costs over gRPC. Deadlines, cancellation, status, size limits and server
interceptors are as in `runtime.local`, whose parts do the work; streams are not carried, and of a request's metadata
only the trace is. A frame is its size, then of a request: number, seconds left, length of the method's name, length of
the traceparent, name, traceparent, message; a request without a name cancels. Of an answer: number, status code,
message, or for an error its details and metadata as JSON.
"""

import asyncio
import json
import math
import os
import struct
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path

import grpc
import grpc.aio

from turnstream.runtime.interceptors import ErrorInterceptor
from turnstream.runtime.local import LocalChannel, LocalServer
from turnstream.runtime.local_exchange import CallDetails, Exchange, SizeLimits, Status
from turnstream.runtime.services import Service, register
from turnstream.runtime.tracing import TRACEPARENT, valid

SCHEME = "pipe:"
LIMITS = SizeLimits(request_bytes=64 * 1024 * 1024, response_bytes=64 * 1024 * 1024)
_SIZE = struct.Struct("!I")
_REQUEST = struct.Struct("!IdHB")
_ANSWER = struct.Struct("!IB")
_OK = 0
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class _End(asyncio.Protocol):
    """One end of a connection: cuts what arrives into frames."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._outgoing: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self.calls: dict[int, Exchange] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        if self._transport is not None:
            self._flush()
            self._transport.close()

    def send(self, *parts: bytes) -> None:
        """Goes out with the other frames of this turn of the event loop: the answers of a batch come at once."""
        if not self.is_open:
            return
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing += (_SIZE.pack(sum(map(len, parts))), *parts)

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if outgoing and self.is_open:
            assert self._transport is not None
            self._transport.write(b"".join(outgoing))

    def data_received(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= _SIZE.size:
            (size,) = _SIZE.unpack_from(self._received)
            end = _SIZE.size + size
            if size > LIMITS.request_bytes + 2**16:
                self.close()
                return
            if len(self._received) < end:
                return
            frame = bytes(self._received[_SIZE.size : end])
            del self._received[:end]
            self.frame_received(frame)

    def frame_received(self, frame: bytes) -> None:
        raise NotImplementedError


class _ServerEnd(_End):
    def __init__(self, server: LocalServer) -> None:
        super().__init__()
        self._server = server

    def frame_received(self, frame: bytes) -> None:
        number, seconds, name_length, trace_length = _REQUEST.unpack_from(frame)
        if not name_length:
            if exchange := self.calls.get(number):
                exchange.give_up("cancelled by the client")
            return
        name_end = _REQUEST.size + name_length
        start = name_end + trace_length
        timeout = None if math.isinf(seconds) else seconds
        metadata = ((TRACEPARENT, frame[name_end:start].decode()),) if trace_length else None
        method = frame[_REQUEST.size : name_end].decode()
        exchange = self._server.open(method, frame[start:], timeout, metadata, streams=False)
        self.calls[number] = exchange
        exchange.when_done(lambda: self._answer(number))

    def _answer(self, number: int) -> None:
        exchange = self.calls.pop(number, None)
        if exchange is None:
            return
        status = exchange.settled.result()
        if status.code is grpc.StatusCode.OK:
            self.send(_ANSWER.pack(number, _OK), exchange.buffer[0])
            return
        pairs = [(key, value) for key, value in status.trailing if isinstance(value, str)]
        self.send(_ANSWER.pack(number, status.code.value[0]), json.dumps([status.details, pairs]).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        calls, self.calls = self.calls, {}
        for exchange in calls.values():
            exchange.give_up("the client is gone")


class PipeServer:
    """Serves at a path, which should be in a folder that only this user can enter."""

    def __init__(self, services: Sequence[Service], path: Path) -> None:
        self._local = LocalServer([ErrorInterceptor()], LIMITS)
        register(services, self._local)
        self._path = path
        self._server: asyncio.AbstractServer | None = None

    @property
    def target(self) -> str:
        """What `open_channel` takes."""
        return f"{SCHEME}{self._path}"

    async def start(self) -> None:
        """Listen; a socket that a killed process has left behind is replaced. Raises OSError."""
        self._path.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _ServerEnd(self._local), self._path)
        os.chmod(self._path, 0o600)

    async def stop(self, grace_s: float) -> None:
        """Take no new connections, let calls under way finish within the grace, then stop."""
        if self._server is not None:
            self._server.close()
            await self._local.stop(grace_s)
            self._path.unlink(missing_ok=True)


class _ClientEnd(_End):
    def __init__(self) -> None:
        super().__init__()
        self._numbers = count()

    def call(self, exchange: Exchange) -> None:
        number = next(self._numbers) % 2**32
        self.calls[number] = exchange
        exchange.when_done(lambda: self._cancel(number))
        remaining = exchange.time_remaining()
        method = exchange.details.method.encode()
        trace = _traceparent(exchange.details.invocation_metadata)
        header = _REQUEST.pack(number, math.inf if remaining is None else remaining, len(method), len(trace))
        self.send(header, method, trace, exchange.request)

    def _cancel(self, number: int) -> None:
        """Where the call ended here and not by an answer."""
        if self.calls.pop(number, None) is not None:
            self.send(_REQUEST.pack(number, 0.0, 0, 0))

    def frame_received(self, frame: bytes) -> None:
        number, code = _ANSWER.unpack_from(frame)
        exchange = self.calls.pop(number, None)
        if exchange is None or exchange.settled.done():
            return
        body = frame[_ANSWER.size :]
        if code == _OK:
            exchange.buffer.append(body)
            exchange.settle(Status(grpc.StatusCode.OK))
        else:
            details, pairs = json.loads(body)
            exchange.settle(Status(_CODES[code], details, tuple((k, v) for k, v in pairs)))

    def connection_lost(self, exc: Exception | None) -> None:
        calls, self.calls = self.calls, {}
        for exchange in calls.values():
            exchange.settle(Status(grpc.StatusCode.UNAVAILABLE, "the connection was lost"))


def _traceparent(metadata: Iterable[tuple[str, str | bytes]]) -> bytes:
    return next(
        (valid(value).encode() for key, value in metadata if key == TRACEPARENT and isinstance(value, str)), b""
    )


class _PipeClient:
    """Connects at the first call, and again at the first one after the connection was lost."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._end: _ClientEnd | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._waiting: list[Exchange] = []

    def open(
        self,
        method: str,
        request: bytes,
        timeout: float | None,
        metadata: Iterable[tuple[str, str | bytes]] | None,
        streams: bool,
    ) -> Exchange:
        if streams:
            raise NotImplementedError(f"{method}: a stream of answers needs gRPC")
        details = CallDetails(method, tuple(metadata) if metadata else ())
        exchange = Exchange(details, request, timeout, LIMITS, asyncio.get_running_loop())
        if exchange.settled.done():
            return exchange
        if self._end is not None and self._end.is_open:
            self._end.call(exchange)
        else:
            self._waiting.append(exchange)
            if self._connecting is None:
                self._connecting = asyncio.create_task(self._connect())
        return exchange

    async def _connect(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            _, self._end = await loop.create_unix_connection(_ClientEnd, self._path)
        except OSError as error:
            for exchange in self._taken():
                exchange.settle(Status(grpc.StatusCode.UNAVAILABLE, f"{self._path}: {error.strerror or error}"))
        else:
            for exchange in self._taken():
                if not exchange.settled.done():
                    self._end.call(exchange)
        finally:
            self._connecting = None

    def _taken(self) -> list[Exchange]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        if self._end is not None:
            self._end.close()


class PipeChannel(LocalChannel):
    """A channel to a `PipeServer`; calls that find nobody fail with UNAVAILABLE."""

    def __init__(self, path: str) -> None:
        self._client = _PipeClient(path)
        super().__init__(self._client)

    async def close(self, grace: float | None = None) -> None:
        self._client.close()
