"""A real broker for tests, and settings of a log of its own for each."""

import uuid
from dataclasses import replace

import kafka
from turnstream.testing.kafka_broker import KafkaBroker
from turnstream.turnlog.kafka.records import message_header
from turnstream.turnlog.kafka.settings import KafkaSettings, producer_config

SETTINGS = KafkaSettings(partitions=4, replication=1, accept_timeout_s=20.0)
NOTICED_SOON_S = 1.5
"""For tests in which workers die: it is noticed sooner than by default, which the broker of the tests allows. A machine
that pauses as long takes a living worker for dead: what is not about death must not ask for it."""


def kafka_settings(broker: KafkaBroker, session_timeout_s: float = SETTINGS.session_timeout_s) -> KafkaSettings:
    prefix = f"test-{uuid.uuid4().hex[:12]}."
    return replace(SETTINGS, bootstrap_servers=broker.address, prefix=prefix, session_timeout_s=session_timeout_s)


def put(settings: KafkaSettings, topic: str, partition: int, key: bytes, value: bytes, message_id: str = "") -> int:
    """A record by hand; its offset."""
    producer = kafka.KafkaProducer(**producer_config(settings))
    headers = message_header(message_id) if message_id else []
    sent = producer.send(topic, value, key, headers=headers, partition=partition)
    offset: int = sent.get(timeout=10).offset
    producer.close()
    return offset
