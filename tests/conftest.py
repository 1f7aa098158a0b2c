"""Options of the test suite, and the broker that its tests share."""

import logging
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from turnstream.testing.kafka_broker import KafkaBroker

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background with SIGINT ignored, and every process below would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", default="1", help="Seeds for the networks of the large records, separated by commas.")
    parser.addoption("--full", action="store_true", help="Train the public projects in full.")


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator["KafkaBroker"]:
    """Apache Kafka for the whole session."""
    from turnstream.testing.kafka_broker import BrokerUnavailable, KafkaBroker

    # Brokers are killed here; kafka-python would write a page about each.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        broker = KafkaBroker.start(tmp_path_factory.mktemp("kafka"))
    except BrokerUnavailable as error:
        pytest.fail(f"no Kafka to test on: {error}", pytrace=False)
    with broker:
        yield broker
