"""Events to a Kafka topic, as Rasa's Kafka event broker sends them: the JSON object, keyed by sender. Blocking."""

from collections.abc import Sequence
from typing import Any

import kafka.errors

from turnstream.turnlog.kafka.clients import close_producer, open_producer
from turnstream.turnlog.kafka.settings import KafkaSettings, producer_config

_ACKNOWLEDGED_WITHIN_S = 60.0
_CLOSED_WITHIN_S = 10.0
_FOUND_WITHIN_S = 5.0


class TopicError(Exception):
    """The topic did not take what it was sent; says which topic, where, and why."""


class EventTopic:
    """Sends in order and at least once; what `flush` has confirmed is in the topic."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        """Raises TopicError where the brokers cannot be reached, or have no such topic."""
        self._name = f"topic '{topic}' at {settings.bootstrap_servers}"
        self._topic = topic
        self._sent: list[Any] = []
        config = producer_config(settings) | {"linger_ms": 20, "max_block_ms": int(_FOUND_WITHIN_S * 1000)}
        try:
            self._producer = open_producer(config)
        except kafka.errors.KafkaError as error:
            raise TopicError(f"{self._name} cannot be reached: {error!r}") from error
        try:
            self._producer.partitions_for(topic)
        except kafka.errors.KafkaError as error:
            close_producer(self._producer, 0.0)
            raise TopicError(f"{self._name} is not there. Create it with as many partitions as you want.") from error

    def send(self, sender_id: str, bodies: Sequence[str]) -> None:
        """Raises TopicError."""
        try:
            for body in bodies:
                self._sent.append(self._producer.send(self._topic, key=sender_id.encode(), value=body.encode()))
        except (kafka.errors.KafkaError, AssertionError) as error:
            raise TopicError(f"{self._name} did not take an event of '{sender_id}': {error!r}") from error

    def flush(self) -> None:
        """Until everything is acknowledged. Raises TopicError."""
        try:
            self._producer.flush(timeout=_ACKNOWLEDGED_WITHIN_S)
            for future in self._sent:
                future.get(timeout=_ACKNOWLEDGED_WITHIN_S)
        except kafka.errors.KafkaError as error:
            raise TopicError(f"{self._name} did not acknowledge: {error!r}") from error
        self._sent.clear()

    def close(self) -> None:
        close_producer(self._producer, _CLOSED_WITHIN_S)
