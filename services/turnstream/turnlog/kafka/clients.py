"""Opening and closing kafka-python's clients without leaving anything behind. Blocking."""

import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import kafka
import kafka.errors
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport
from kafka.producer.transaction_manager import TransactionalRequestResult

from turnstream.turnlog.kafka.batches import LeanRecords
from turnstream.turnlog.kafka.settings import Config

logger = logging.getLogger(__name__)


def _hear_the_last_word(transport: Any) -> None:
    """kafka-python drops what came together with the end of a connection: the reason why a log-in was refused."""
    receive = transport._sock_recv

    def _sock_recv(self: Any) -> Any:
        data, error = receive(self)
        # The end is met again with the next read.
        return data, None if data else error

    transport._sock_recv = _sock_recv


_hear_the_last_word(KafkaTCPTransport)
_hear_the_last_word(KafkaSSLTransport)


async def _connect_or_close(self: Any, net: Any, sock: socket.socket, *address: Any, **limits: Any) -> socket.socket:
    """kafka-python leaves the socket of a connection that fails to the garbage collector."""
    try:
        connected: socket.socket = await _connect(self, net, sock, *address, **limits)
    except BaseException:
        sock.close()
        raise
    return connected


_connect = KafkaNetSocket.sock_connect
KafkaNetSocket.sock_connect = _connect_or_close


async def _shake_hands_or_close(self: Any) -> None:
    """The same where the broker accepts a connection, and one side refuses the other's TLS."""
    try:
        await _shake_hands(self)
    except BaseException as error:
        self.abort(error)
        raise


_shake_hands = KafkaSSLTransport.handshake
KafkaSSLTransport.handshake = _shake_hands_or_close


async def _write_or_close(self: Any) -> None:
    """A transport that closes sends first what it has; kafka-python forgets its socket where the client ends before."""
    try:
        await _write(self)
    except GeneratorExit:
        if self._closed:
            # It is this task, which ends by itself.
            self._write_task = None
            self._close()
        raise


_write = KafkaTCPTransport._write_to_sock
KafkaTCPTransport._write_to_sock = _write_or_close


_LONGEST_WAIT_MS = 12_000
"""For a step of a transaction: a little longer than a transaction lives. Whoever waits for longer waits in vain."""


def _wait_within_bounds(self: Any, timeout_ms: float | None = None) -> bool:
    """kafka-python loses sight of a transaction whose records expired, and would wait for its end for ever."""
    if _wait(self, _LONGEST_WAIT_MS if timeout_ms is None else timeout_ms):
        return True
    if timeout_ms is None:
        raise kafka.errors.KafkaTimeoutError(f"a step of a transaction did not end within {_LONGEST_WAIT_MS} ms")
    return False


_wait = TransactionalRequestResult.wait
TransactionalRequestResult.wait = _wait_within_bounds


class Refused(kafka.errors.KafkaError):  # type: ignore[misc]
    """A broker answered, and does not let this process in: the log-in or the certificate is not accepted."""


def open_admin(config: Config) -> Any:
    """Raises kafka.errors.KafkaError, Refused where trying again is in vain."""
    return _open(kafka.KafkaAdminClient, config)


def open_consumer(config: Config) -> Any:
    """One whose records are `batches.Record`. Raises kafka.errors.KafkaError."""
    consumer = _open(kafka.KafkaConsumer, config)
    consumer._fetcher.PartitionRecords = LeanRecords
    return consumer


def open_producer(config: Config) -> Any:
    """Raises kafka.errors.KafkaError."""
    return _open(kafka.KafkaProducer, config)


def _open(kind: Any, config: Config) -> Any:
    """A client that cannot reach a broker raises from its constructor, with its thread and sockets left as they are.

    It tells every failure as a time-out; what the connections failed of is asked here.
    """
    networks = []
    failures: list[BaseException] = []

    def network(**options: Any) -> Any:
        networks.append(KafkaNetClient(**options))
        _listen(networks[-1]._manager, failures)
        return networks[-1]

    try:
        return kind(**config, kafka_client=network)
    except BaseException as error:
        for opened in networks:
            with contextlib.suppress(Exception):
                opened.close()
        for failure in failures:
            if (reason := _refusal(failure)) is not None:
                raise Refused(reason) from error
        raise


def _listen(manager: Any, failures: list[BaseException]) -> None:
    """Keep what its connections fail of; where trying again is in vain, it is not tried again."""
    connect = manager.get_connection

    def failed(failure: BaseException) -> None:
        failures.append(failure)
        if not manager.bootstrapped and _refusal(failure) is not None:
            manager.close()

    def get_connection(*arguments: Any, **options: Any) -> Any:
        connection = connect(*arguments, **options)
        connection.init_future.add_errback(failed)
        return connection

    manager.get_connection = get_connection


def _refusal(failure: BaseException) -> str | None:
    """Why a broker does not let us in; None where it may the next time."""
    if isinstance(failure, kafka.errors.SaslAuthenticationFailedError | kafka.errors.UnsupportedSaslMechanismError):
        return (
            f"the log-in is refused ({failure}); check kafka.sasl_mechanism, kafka.sasl_username, kafka.sasl_password"
        )
    for cause in _causes(failure):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}); check kafka.ssl_cafile"
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return f"TLS fails ({cause.reason}); check kafka.security_protocol, kafka.ssl_certfile, kafka.ssl_keyfile"
    return None


def _causes(failure: BaseException) -> Iterator[BaseException]:
    """What kafka-python's errors are about: some hold it as their cause, some as their argument."""
    cause: object = failure
    while isinstance(cause, BaseException):
        yield cause
        cause = cause.__cause__ or cause.__context__ or next(iter(cause.args), None)


def close_producer(producer: Any, timeout_s: float) -> None:
    """Send what is buffered within `timeout_s`, then close; what could not be sent fails. Never raises.

    `KafkaProducer.close` raises and stays open where a batch cannot be sent in time.
    """
    try:
        producer.close(timeout=timeout_s)
        return
    except Exception as error:
        logger.info("a producer is closed by force: %s", repr(error))
    with contextlib.suppress(Exception):
        producer._sender.force_close()
        producer._sender.join(1.0)
    with contextlib.suppress(kafka.errors.KafkaError):
        producer.close(timeout=1.0)
