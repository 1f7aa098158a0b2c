"""What kafka-python leaves behind where a connection fails or ends early is cleared away."""

import contextlib
import socket
from collections.abc import Iterator

import pytest
from kafka.errors import KafkaConnectionError
from kafka.net.inet import create_connection
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaTCPTransport
from turnstream.testing.kafka_broker import free_port
from turnstream.turnlog.kafka import clients


@pytest.fixture
def network() -> Iterator[NetworkSelector]:
    network = NetworkSelector()
    yield network
    network.close()


def test_the_socket_of_a_connection_that_is_refused_is_closed(
    network: NetworkSelector, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[socket.socket] = []
    make = clients.KafkaNetSocket.socket

    def remembered(*arguments: int) -> socket.socket:
        opened.append(make(*arguments))
        return opened[-1]

    monkeypatch.setattr(clients.KafkaNetSocket, "socket", remembered)
    with pytest.raises(KafkaConnectionError):
        network.run(create_connection(network, "127.0.0.1", free_port()))
    assert [one.fileno() for one in opened] == [-1]


def test_a_transport_with_unsent_words_is_closed_with_its_client() -> None:
    network = NetworkSelector()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            ours.send(bytes(65536))
    transport = KafkaTCPTransport(network, ours, host="anywhere")
    transport.write(b"more than there is room for")
    network.poll(timeout_ms=10)
    transport.close()
    network.close()
    theirs.close()
    assert ours.fileno() == -1
