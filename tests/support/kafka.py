"""A real broker for tests, and settings of a log of its own for each."""

import uuid
from dataclasses import replace

import kafka
from turnstream.testing.kafka_broker import KafkaBroker
from turnstream.turnlog.kafka.records import message_header
from turnstream.turnlog.kafka.settings import KafkaSettings, producer_config

SETTINGS = KafkaSettings(partitions=4, replication=1, session_timeout_s=1.5, accept_timeout_s=20.0)
"""Death is noticed sooner than by default, so that tests are quick; the broker of the tests allows it."""


def kafka_settings(broker: KafkaBroker) -> KafkaSettings:
    return replace(SETTINGS, bootstrap_servers=broker.address, prefix=f"test-{uuid.uuid4().hex[:12]}.")


def put(settings: KafkaSettings, topic: str, partition: int, key: bytes, value: bytes, message_id: str = "") -> int:
    """A record by hand; its offset."""
    producer = kafka.KafkaProducer(**producer_config(settings))
    headers = message_header(message_id) if message_id else []
    sent = producer.send(topic, value, key, headers=headers, partition=partition)
    offset: int = sent.get(timeout=10).offset
    producer.close()
    return offset
