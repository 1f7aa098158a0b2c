"""Ends the transaction that a dead or paused worker left open on partitions that it has lost. Blocking."""

import contextlib
import logging
from collections.abc import Collection, Sequence

import kafka
import kafka.errors
from kafka.structs import TopicPartition

from turnstream.turnlog.kafka import metrics
from turnstream.turnlog.kafka.clients import close_producer, open_producer
from turnstream.turnlog.kafka.settings import KafkaSettings, producer_config

logger = logging.getLogger(__name__)


def fence_transactions(
    admin: "kafka.KafkaAdminClient", settings: KafkaSettings, partitions: Sequence[TopicPartition], own: str
) -> None:
    """Take over the transactional id of whoever has a transaction open on one of `partitions`.

    Only the partition's owner may call it, and `own` is its own id: whoever else writes there has lost the partition.
    Initialising a producer with that id aborts the transaction and fences the other one (KIP-98, KIP-360), so that
    readers need not wait for the transaction's timeout.
    """
    for name in _open_on(admin, settings, set(partitions)) - {own}:
        logger.warning("the transaction of '%s' is ended: its partitions have another owner", name)
        producer = open_producer(producer_config(settings) | {"transactional_id": name, "retry_backoff_ms": 2})
        try:
            producer.init_transactions()
            metrics.FENCED.inc()
        finally:
            close_producer(producer, 1.0)


def _open_on(
    admin: "kafka.KafkaAdminClient", settings: KafkaSettings, partitions: Collection[TopicPartition]
) -> set[str]:
    listed = admin.list_transactions(state_filters=["Ongoing"])
    names = [t.transactional_id for found in listed.values() for t in found]
    ours = [name for name in names if name.startswith(settings.prefix)]
    open_on = set()
    for name in ours:
        with contextlib.suppress(kafka.errors.TransactionalIdNotFoundError):
            described = admin.describe_transactions([name])[name]
            if described.topic_partitions & set(partitions):
                open_on.add(name)
    return open_on
